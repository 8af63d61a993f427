// @ts-check
// The report's charts. Lines are named where they end, in their colour; axes are logarithmic.
import { AXIS, COLORS, draw, textWidth } from './vega.mjs';

/**
 * @typedef {{ id: string, name: string }} Named
 * @typedef {object} Point
 * @property {number} x
 * @property {number} y
 * @property {number} [low]
 * @property {number} [high]
 * @property {string} [remark] draws it hollow, with these words above it
 *
 * @typedef {object} Line
 * @property {Named} peer
 * @property {string} [name] at its end; by default the peer's
 * @property {Point[]} points by ascending x
 *
 * @typedef {{ title: string, label: (value: number) => string }} Axis
 * @typedef {{ title?: string, lines: Line[], named?: boolean }} Panel named: its lines are (true)
 */

/** A colour for each library, dashes for its variants. @type {Record<string, [color: string, dash: number[]]>} */
const LOOKS = {
  memcpy: [COLORS.grey, []],
  smoothloss: [COLORS.vermilion, []],
  'smoothloss-in-place': [COLORS.vermilion, [6, 3]],
  'smoothloss-new': [COLORS.vermilion, [2, 2]],
  js: [COLORS.vermilion, [10, 3, 2, 3]],
  plain: [COLORS.black, []],
  torch: [COLORS.blue, []],
  'torch-compile': [COLORS.blue, [6, 3]],
  'torch-chunked': [COLORS.blue, [2, 2]],
  jax: [COLORS.green, []],
  openblas: [COLORS.green, []],
  'tfjs-wasm': [COLORS.purple, []],
  'tfjs-cpu': [COLORS.purple, [6, 3]],
};
/** @param {Named} peer */
const look = ({ id }) => LOOKS[id] ?? [COLORS.black, [2, 2]];

const LABEL_SIZE = 12;
const LABEL_HEIGHT = 14;
const MARGIN = 12; // pixels between data and frame
const LEADER = 22; // pixels from the end of a line to its name, if there is something to lead round

// Scales ----------------------------------------------------------------------------------------------------------------

/**
 * A logarithmic scale over so many pixels.
 * @param {number[]} values @param {number} size @param {number} [above] pixels to keep free above the largest
 */
function scaleOf(values, size, above = 0) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = high > low ? Math.log(high / low) : 1;
  const perPixel = span / (size - 2 * MARGIN - above);
  const least = high > low ? low * Math.exp(-MARGIN * perPixel) : low * Math.exp(-perPixel * (size / 2));
  return {
    domain: [least, least * Math.exp(size * perPixel)],
    /** @param {number} value */
    place: (value) => Math.log(value / least) / perPixel,
    perDecade: Math.LN10 / perPixel,
  };
}
/** @typedef {ReturnType<typeof scaleOf>} Scale */

/**
 * Powers of ten, as many as have room for their labels; where there are few, 2 and 5 times them too.
 * @param {Scale} scale @param {(labels: number[]) => number} roomFor pixels that a label of these needs
 */
function ticksOf({ domain: [low, high], perDecade }, roomFor) {
  const within = (/** @type {number} */ tick) => tick >= low && tick <= high;
  const exponents = Array.from({ length: 40 }, (_, i) => i - 20);
  const powers = exponents.map((exponent) => Number(`1e${exponent}`)).filter(within);
  const room = roomFor(powers);
  if (perDecade > 5 * room) {
    return exponents.flatMap((exponent) => [1, 2, 5].map((n) => Number(`${n}e${exponent}`))).filter(within);
  }
  const step = Math.ceil(room / perDecade);
  return powers.filter((_, i) => i % step === 0);
}

/** The pixels of the widest label, and room around it. @param {(value: number) => string} label @returns {(values: number[]) => number} */
const widest = (label) => (values) =>
  8 + Math.max(...values.map((value) => textWidth(label(value), LABEL_SIZE)));

/** What an axis says at its ticks. @param {number[]} values @param {(value: number) => string} label */
const labelled = (values, label) => ({
  values,
  labelExpr: `(${JSON.stringify(Object.fromEntries(values.map((value) => [value, label(value)])))})[datum.value]`,
});

// Names of lines --------------------------------------------------------------------------------------------------------

/** @typedef {{ left: number, right: number, top: number, bottom: number }} Box */

/** @param {Box} a @param {Box} b */
const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** The height of a line at x, between two of its points. @param {number[][]} path @param {number} x */
function heightAt(path, x) {
  const i = path.findIndex((point, i) => i > 0 && x <= point[0] && x >= path[i - 1][0]);
  if (i < 0) return undefined;
  const [[x0, y0], [x1, y1]] = [path[i - 1], path[i]];
  return x1 === x0 ? y1 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

/** Whether a line runs through the box. @param {number[][]} path @param {Box} box */
function crosses(path, { left, right, top, bottom }) {
  const heights = Array.from({ length: 17 }, (_, i) => heightAt(path, left + ((right - left) * i) / 16));
  const there = heights.filter((height) => height !== undefined);
  return there.length > 0 && Math.max(...there) > top - 2 && Math.min(...there) < bottom + 2;
}

/**
 * Where names go of lines that all end at the right: in their order, none over another.
 * @param {number[]} heights ascending @param {number} height of the panel
 */
function spread(heights, height) {
  const places = [...heights];
  for (let i = 1; i < places.length; i++) places[i] = Math.max(places[i], places[i - 1] + LABEL_HEIGHT);
  // Half of what was pushed down goes up instead, as far as there is room.
  for (let i = 0; i < places.length; ) {
    let end = i + 1;
    while (end < places.length && places[end] - places[end - 1] <= LABEL_HEIGHT) end++;
    const shift =
      heights.slice(i, end).reduce((sum, wanted, k) => sum + places[i + k] - wanted, 0) / (end - i);
    const limit = i === 0 ? places[0] : places[i] - places[i - 1] - LABEL_HEIGHT;
    for (let k = i; k < end; k++) places[k] -= Math.min(shift, limit);
    i = end;
  }
  for (let i = places.length - 1, limit = height; i >= 0; i--, limit -= LABEL_HEIGHT) {
    places[i] = Math.min(places[i], limit);
  }
  return places;
}

/**
 * The name of every line beside its end. Lines that reach the right have theirs in a column, with a leader where that is
 * not at the line's own height; the others where there is room.
 * @param {{ name: string, color: string, path: number[][] }[]} lines in pixels @param {number} width @param {number} height
 */
function namesOf(lines, width, height) {
  const ends = lines
    .map((line) => {
      const [x, y] = line.path[line.path.length - 1];
      return { ...line, x, y };
    })
    .toSorted((a, b) => a.y - b.y);
  const far = Math.max(...ends.map(({ x }) => x));
  const reach = ends.filter(({ x }) => x === far);
  const places = spread(
    reach.map(({ y }) => y),
    height,
  );
  const straight = reach.every(({ y }, i) => Math.abs(places[i] - y) < 3);
  const column = Math.max(far + 9, straight ? 0 : width - MARGIN + LEADER);
  const names = reach.map((end, i) => ({ ...end, labelX: column, labelY: places[i] }));
  const boxOf = (/** @type {typeof names[number]} */ { name, labelX, labelY }) => ({
    left: labelX,
    right: labelX + textWidth(name, LABEL_SIZE),
    top: labelY - LABEL_HEIGHT / 2,
    bottom: labelY + LABEL_HEIGHT / 2,
  });
  for (const end of ends.filter(({ x }) => x < far)) {
    const beside = { ...end, labelX: end.x + 9, labelY: end.y };
    const before = { ...beside, labelX: end.x - 9 - textWidth(end.name, LABEL_SIZE) };
    const free = Array.from({ length: 41 }, (_, i) => (i % 2 ? -1 : 1) * Math.ceil(i / 2) * 3)
      .flatMap((shift) => [before, beside].map((place) => ({ ...place, labelY: end.y + shift })))
      .find((place) => {
        const box = boxOf(place);
        return (
          box.left > 0 &&
          box.top > 0 &&
          box.bottom < height &&
          names.every((name) => !overlap(boxOf(name), box)) &&
          lines.every(({ path }) => !crosses(path, box))
        );
      });
    names.push(free ?? beside);
  }
  return names.map((name) => ({ ...name, led: name.x === far && Math.abs(name.labelY - name.y) >= 3 }));
}

// Charts ----------------------------------------------------------------------------------------------------------------

const pixels = (/** @type {string} */ field) => ({ field, type: 'quantitative', scale: null, axis: null });

/**
 * Lines over two logarithmic axes, in one panel or in several of the same axes.
 * @param {{ title: string, subtitle: string | string[], x: Axis, y: Axis, panels: Panel[], columns?: number,
 *   width?: number, height?: number, rules?: number[], spacing?: { row: number, column: number } }} chart rules: heights to compare with
 */
export function drawLines({
  title,
  subtitle,
  x,
  y,
  columns = 1,
  width = 560,
  height = 380,
  rules = [],
  spacing,
  ...chart
}) {
  const panels = chart.panels
    .map((panel) => ({ ...panel, lines: panel.lines.filter(({ points }) => points.length > 0) }))
    .filter(({ lines }) => lines.length > 0);
  const all = panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points));
  const remarks = all.some(({ remark }) => remark !== undefined) ? LABEL_HEIGHT : 0;
  const scales = {
    x: scaleOf(
      all.map((point) => point.x),
      width,
    ),
    y: scaleOf([...all.flatMap(({ y, low = y, high = y }) => [y, low, high]), ...rules], height, remarks),
  };
  const ticks = { x: ticksOf(scales.x, widest(x.label)), y: ticksOf(scales.y, () => 20) };

  const specs = panels.map(({ title, lines, named = true }, i) => {
    const outer = { x: i + columns >= panels.length, y: i % columns === 0 };
    /** @param {'x' | 'y'} channel */
    const axis = (channel) => ({
      ...labelled(ticks[channel], { x, y }[channel].label),
      grid: channel === 'y',
      title: outer[channel] ? { x, y }[channel].title : null,
      labels: outer[channel],
      ticks: outer[channel],
    });
    /** @param {string} field @param {'x' | 'y'} channel */
    const position = (field, channel) => ({
      field,
      type: 'quantitative',
      scale: { type: 'log', domain: scales[channel].domain, nice: false },
      axis: axis(channel),
    });
    const at = { x: position('x', 'x'), y: position('y', 'y') };
    const drawn = lines.map(({ peer, name = peer.name, points }) => {
      const [color, strokeDash] = look(peer);
      const path = points.map((point) => [scales.x.place(point.x), height - scales.y.place(point.y)]);
      return { name, color, strokeDash, points, path };
    });
    const names = named ? namesOf(drawn, width, height) : [];
    return {
      ...(title && { title: { text: title, fontSize: 12, offset: 6 } }),
      width,
      height,
      layer: [
        {
          name: `compare_${i}`,
          data: { values: rules.map((rule) => ({ rule })) },
          mark: { type: 'rule', color: AXIS },
          encoding: { y: position('rule', 'y') },
        },
        ...names
          .filter(({ led }) => led)
          .map(({ color, x, y, labelX, labelY }, j) => ({
            name: `leader_${i}_${j}`,
            data: {
              values: [
                { px: x + 7, py: y },
                { px: labelX - 3, py: labelY },
              ],
            },
            mark: { type: 'line', color, strokeWidth: 0.75, opacity: 0.6 },
            encoding: { x: pixels('px'), y: pixels('py') },
          })),
        ...drawn.flatMap(({ color, strokeDash, points }) => [
          {
            data: { values: points.filter(({ low }) => low !== undefined) },
            mark: { type: 'rule', color, strokeWidth: 3, opacity: 0.35 },
            encoding: { ...at, y: position('low', 'y'), y2: { field: 'high' } },
          },
          {
            data: { values: points },
            mark: { type: 'line', color, strokeDash, strokeWidth: 1.75, strokeJoin: 'round' },
            encoding: at,
          },
          ...[true, false].map((hollow) => ({
            data: { values: points.filter(({ remark }) => (remark !== undefined) === hollow) },
            mark: {
              type: 'point',
              filled: true,
              fill: hollow ? 'white' : color,
              stroke: color,
              strokeWidth: hollow ? 1.5 : 0,
              opacity: 1,
              size: hollow ? 45 : 26,
            },
            encoding: at,
          })),
          {
            data: { values: points.filter(({ remark }) => remark !== undefined) },
            mark: { type: 'text', color, baseline: 'bottom', dy: -4, fontSize: LABEL_SIZE },
            encoding: { ...at, y: position('high', 'y'), text: { field: 'remark' } },
          },
        ]),
        ...names.map(({ name, color, labelX, labelY }) => ({
          data: { values: [{ px: labelX, py: labelY }] },
          mark: { type: 'text', text: name, color, align: 'left', baseline: 'middle', fontSize: LABEL_SIZE },
          encoding: { x: pixels('px'), y: pixels('py') },
        })),
      ],
    };
  });
  return draw({ title: { text: title, subtitle }, concat: specs, columns, bounds: 'flush', spacing });
}

/**
 * A row for each peer with a mark for each kind, and the figure beside it, over a logarithmic axis.
 * @param {{ title: string, subtitle: string | string[], x: string, kinds: string[],
 *   marks: { peer: Named, kind: string, x: number }[], ofMark?: (value: number) => string,
 *   ofTick?: (value: number) => string }} chart ofMark, ofTick: how figures are written, by default as powers of ten
 */
export function drawMarks({
  title,
  subtitle,
  x,
  kinds,
  marks,
  ofMark = (value) => value.toExponential(1),
  ofTick = (value) => value.toExponential(0),
}) {
  const width = 560;
  const names = [...new Set(marks.map(({ peer }) => peer.name))];
  const widestKind = Math.max(...kinds.map((kind) => textWidth(kind, LABEL_SIZE)));
  const scale = scaleOf(
    marks.map((mark) => mark.x).filter((value) => value > 0),
    width,
    60, // for the figure of the last mark
  );
  // Exactly 0 has no place on the axis: it is drawn at its end, and its figure tells.
  const values = marks.map((mark) => ({
    ...{
      peer: mark.peer.name,
      kind: mark.kind,
      x: Math.max(mark.x, scale.domain[0] * 10 ** (8 / scale.perDecade)),
    },
    ...{ color: look(mark.peer)[0], label: mark.x === 0 ? '0' : ofMark(mark.x) },
  }));
  const encoding = {
    x: {
      field: 'x',
      type: 'quantitative',
      title: x,
      scale: { type: 'log', domain: scale.domain, nice: false },
      axis: { ...labelled(ticksOf(scale, widest(ofTick)), ofTick), grid: true },
    },
    y: {
      field: 'peer',
      type: 'nominal',
      sort: names,
      title: null,
      axis: { domain: false, ticks: false, grid: false, labelLimit: 0, labelPadding: 8 },
      scale: { paddingInner: 0.3 },
    },
    yOffset: { field: 'kind', type: 'nominal', sort: kinds },
    color: { field: 'color', type: 'nominal', scale: null },
  };
  const shape = {
    field: 'kind',
    type: 'nominal',
    scale: { domain: kinds, range: ['circle', 'diamond', 'square', 'cross', 'triangle-up', 'triangle-down'] },
    legend: {
      title: null,
      orient: 'top',
      columns: Math.floor(width / (24 + widestKind)),
      symbolFillColor: COLORS.grey,
      symbolStrokeColor: COLORS.grey,
    },
  };
  const layer = [
    { mark: { type: 'point', filled: true, opacity: 1, size: 70 }, encoding: { ...encoding, shape } },
    {
      mark: { type: 'text', align: 'left', baseline: 'middle', dx: 9, fontSize: LABEL_SIZE },
      encoding: { ...encoding, text: { field: 'label' } },
    },
  ];
  return draw({ title: { text: title, subtitle }, width, height: { step: 15 }, data: { values }, layer });
}
