// @ts-check
// The report's charts, as SVG without a background: greys and colours of middle lightness, which can be read on white
// and on black.
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';

/**
 * @typedef {{ id: string, name: string }} Named
 * @typedef {{ x: number, y: number, low: number | undefined, high: number | undefined }} Point
 * @typedef {{ peer: Named, points: Point[] }} Series by ascending x
 */

const GREY = '#767d86';
const [WIDTH, HEIGHT] = [520, 380];
const LABEL_HEIGHT = 15;

/** Colour, shape and dashes: a reader needs one of them. */
const LOOKS = {
  memcpy: [GREY, 'cross', [2, 3]],
  smoothloss: ['#e5531a', 'circle', [1, 0]],
  'smoothloss-in-place': ['#e5531a', 'square', [6, 3]],
  'smoothloss-new': ['#e5531a', 'diamond', [2, 2]],
  'smoothloss-loss': ['#e5531a', 'triangle-up', [1, 3]],
  js: ['#c9659b', 'triangle-right', [1, 0]],
  plain: ['#829a1f', 'triangle-left', [1, 0]],
  torch: ['#3a86d0', 'square', [1, 0]],
  'torch-compile': ['#3a86d0', 'diamond', [6, 3]],
  jax: ['#1c9e86', 'triangle-up', [1, 0]],
  'tfjs-wasm': ['#bf8a00', 'triangle-down', [1, 0]],
  'tfjs-cpu': ['#bf8a00', 'cross', [6, 3]],
  onnxruntime: ['#8d74d6', 'circle', [1, 0]],
};
/** @param {Named} peer */
const look = ({ id }) => LOOKS[/** @type {keyof typeof LOOKS} */ (id)] ?? ['#8d74d6', 'square', [1, 3]];

const config = {
  font: 'Helvetica, Arial, sans-serif',
  view: { stroke: null },
  axis: {
    labelFontSize: 12,
    titleFontSize: 13,
    titleFontWeight: 'normal',
    titlePadding: 8,
    labelColor: GREY,
    titleColor: GREY,
    domainColor: GREY,
    tickColor: GREY,
    gridColor: GREY,
    gridOpacity: 0.2,
  },
  title: {
    fontSize: 14,
    subtitleFontSize: 12,
    anchor: 'start',
    frame: 'group',
    offset: 14,
    subtitlePadding: 5,
  },
};

/** @param {object} spec @param {string} title @param {string} subtitle @returns {Promise<string>} */
function draw(spec, title, subtitle) {
  const compiled = vegaLite.compile(
    /** @type {vegaLite.TopLevelSpec} */ (
      /** @type {unknown} */ ({
        $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
        background: null,
        padding: 12,
        title: { text: title, subtitle, color: GREY, subtitleColor: GREY },
        config,
        ...spec,
      })
    ),
  );
  return new vega.View(vega.parse(compiled.spec), { renderer: 'none' }).toSVG();
}

/** @param {number[]} values @param {number} margin */
const domainOf = (values, margin) => [Math.min(...values) / margin, Math.max(...values) * margin];
/** Powers of ten within the domain, and steps between them if those are few. @param {number[]} domain */
function ticks([low, high]) {
  const steps = high / low < 200 ? [1, 2, 5] : [1];
  return Array.from({ length: 40 }, (_, i) => steps.map((step) => Number(`${step}e${i - 20}`)))
    .flat()
    .filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

/**
 * Where the labels of lines go that end at these heights, so that none covers another.
 * @param {number[]} heights in pixels, ascending
 */
function spread(heights) {
  const places = [...heights];
  for (let i = 1; i < places.length; i++) places[i] = Math.max(places[i], places[i - 1] + LABEL_HEIGHT);
  // Back from the bottom, if that pushed any out.
  for (let i = places.length - 1, limit = HEIGHT; i >= 0; i--, limit -= LABEL_HEIGHT) {
    places[i] = Math.min(places[i], limit);
  }
  return places;
}

/** Whole numbers as people write them; small ones as they are. */
const LABEL = "datum.value >= 1000 ? format(datum.value, ',') : format(datum.value, '~g')";

/**
 * A line for each peer, named to the right, over logarithmic axes.
 * @param {{ title: string, subtitle: string, x: string, y: string, series: Series[] }} chart
 */
export function drawLines({ title, subtitle, x, y, ...chart }) {
  const series = chart.series.filter(({ points }) => points.length > 0);
  const all = series.flatMap(({ peer, points }) => points.map((point) => ({ peer: peer.name, ...point })));
  const domain = {
    x: domainOf(
      all.map((point) => point.x),
      1.02,
    ),
    y: domainOf(
      all.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]),
      1.3,
    ),
  };
  // In pixels from the top, and back.
  const span = Math.log(domain.y[1] / domain.y[0]);
  const height = (/** @type {number} */ value) => (HEIGHT * Math.log(domain.y[1] / value)) / span;
  const valueAt = (/** @type {number} */ height) => domain.y[1] * Math.exp((-height / HEIGHT) * span);
  const beyond = (/** @type {number} */ pixels) =>
    domain.x[1] * (domain.x[1] / domain.x[0]) ** (pixels / WIDTH);

  const ends = series
    .map(({ peer, points }) => ({ peer: peer.name, ...points[points.length - 1] }))
    .toSorted((a, b) => b.y - a.y);
  const places = spread(ends.map((end) => height(end.y)));
  const labels = ends.map((end, i) => ({
    ...end,
    ...{ leaderX: beyond(12), labelX: beyond(16), labelY: valueAt(places[i]) },
  }));

  const looks = series.map(({ peer }) => look(peer));
  const names = series.map(({ peer }) => peer.name);
  const by = (/** @type {number} */ i) => ({
    field: 'peer',
    type: 'nominal',
    scale: { domain: names, range: looks.map((one) => one[i]) },
    legend: null,
  });
  /** @param {string} field @param {'x' | 'y'} channel */
  const position = (field, channel) => ({
    field,
    type: 'quantitative',
    title: { x, y }[channel],
    scale: { type: 'log', domain: domain[channel], nice: false },
    axis: { labelExpr: LABEL, values: ticks(domain[channel]), grid: channel === 'y' },
  });
  const at = { x: position('x', 'x'), y: position('y', 'y'), color: by(0) };
  const layer = [
    {
      data: { values: labels },
      mark: { type: 'rule', strokeWidth: 1, strokeDash: [1, 3] },
      encoding: { ...at, x2: { field: 'leaderX' }, y2: { field: 'labelY' } },
    },
    {
      data: { values: all.filter(({ low }) => low !== undefined) },
      mark: { type: 'rule', strokeWidth: 4, opacity: 0.35 },
      encoding: { ...at, y: position('low', 'y'), y2: { field: 'high' } },
    },
    {
      data: { values: all },
      mark: { type: 'line', strokeWidth: 2, strokeJoin: 'round' },
      encoding: { ...at, strokeDash: by(2) },
    },
    {
      data: { values: all },
      mark: { type: 'point', filled: true, opacity: 1, size: 45 },
      encoding: { ...at, shape: by(1) },
    },
    {
      data: { values: labels },
      mark: { type: 'text', align: 'left', baseline: 'middle', fontSize: 12 },
      encoding: {
        ...at,
        x: position('labelX', 'x'),
        y: position('labelY', 'y'),
        text: { field: 'peer' },
      },
    },
  ];
  return draw({ width: WIDTH, height: HEIGHT, layer }, title, subtitle);
}

/**
 * A row for each peer with a mark for each kind, and the figure beside it, over a logarithmic axis.
 * @param {{ title: string, subtitle: string, x: string, kinds: string[],
 *   marks: { peer: Named, kind: string, x: number }[] }} chart
 */
export function drawMarks({ title, subtitle, x, kinds, marks }) {
  const names = [...new Set(marks.map(({ peer }) => peer.name))];
  const domain = domainOf(
    marks.map((mark) => mark.x).filter((value) => value > 0),
    2,
  );
  // Exactly 0 has no place on the axis: it is drawn at its end, and its figure tells.
  const values = marks.map((mark) => ({
    ...{ peer: mark.peer.name, kind: mark.kind, x: Math.max(mark.x, domain[0]) },
    label: mark.x === 0 ? '0' : mark.x.toExponential(1),
  }));
  const encoding = {
    x: {
      field: 'x',
      type: 'quantitative',
      title: x,
      scale: { type: 'log', domain, nice: false },
      axis: { values: ticks(domain), format: '.0e' },
    },
    y: {
      field: 'peer',
      type: 'nominal',
      sort: names,
      title: null,
      axis: { domain: false, ticks: false, grid: true, labelLimit: 240 },
    },
    yOffset: { field: 'kind', type: 'nominal', sort: kinds },
    color: {
      field: 'peer',
      type: 'nominal',
      scale: {
        domain: names,
        range: names.map(
          (name) => look(/** @type {any} */ (marks.find(({ peer }) => peer.name === name)).peer)[0],
        ),
      },
      legend: null,
    },
  };
  const shape = {
    field: 'kind',
    type: 'nominal',
    scale: { domain: kinds, range: ['circle', 'diamond', 'square', 'cross'] },
    legend: {
      title: null,
      orient: 'top',
      labelColor: GREY,
      labelFontSize: 12,
      symbolFillColor: GREY,
      symbolStrokeColor: GREY,
    },
  };
  const layer = [
    { mark: { type: 'point', filled: true, opacity: 1, size: 70 }, encoding: { ...encoding, shape } },
    {
      mark: { type: 'text', align: 'left', baseline: 'middle', dx: 9, fontSize: 11 },
      encoding: { ...encoding, text: { field: 'label' } },
    },
  ];
  return draw({ width: WIDTH, height: { step: 17 }, data: { values }, layer }, title, subtitle);
}
