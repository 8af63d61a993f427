// @ts-check
import { AXIS, COLORS, draw } from '../../bench/vega.mjs';
import { count } from './tables.mjs';

/** @import { Bin } from './evaluate.mjs' */

/**
 * @typedef {object} Run
 * @property {number} epsilon
 * @property {{ step: number, training: number, heldOut: number }[]} curve cross entropy in nats a token
 * @property {{ perplexity: number, calibrationError: number, bins: Bin[] }} result
 */

const HELD_OUT = 'held-out text';
const TRAINING = 'training text';
const SIZE = 250;
const LARGEST_DOT = 300; // square pixels
const MARGIN = 0.06; // between data and frame, as a fraction of the axis

/** A bin of fewer tokens says nothing: of 20 right half the time, the interval is 30 to 70 %. */
export const LEAST_TOKENS = 20;

/**
 * The loss curves and the reliability diagram of two runs, side by side: `await chart.toSVG()`.
 * @param {Run[]} runs
 */
export function drawChart(runs) {
  const color = {
    field: 'run',
    type: 'nominal',
    scale: { domain: runs.map(label), range: [COLORS.blue, COLORS.vermilion] },
    legend: { title: 'label smoothing', orient: 'bottom', symbolType: 'circle', symbolOpacity: 1 },
  };
  return draw({
    bounds: 'flush',
    spacing: 134,
    hconcat: [lossCurves(runs, color), reliabilityDiagram(runs, color)],
    resolve: { legend: { color: 'shared' } },
  });
}

/** @param {Run} run */
const label = ({ epsilon }) => `ε = ${epsilon}`;

/** What each run came to. @param {Run[]} runs @param {(result: Run['result']) => string} show */
const each = (runs, show) => runs.map((run) => `${show(run.result)} (${label(run)})`).join(', ');

/** The least and the most, and room around them. @param {number[]} values */
function domainOf(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least || 1) * MARGIN;
  return [least - room, most + room];
}

/**
 * @param {Run[]} runs
 * @param {object} color
 */
function lossCurves(runs, color) {
  const values = runs.flatMap((run) =>
    run.curve.flatMap(({ step, training, heldOut }) => [
      { run: label(run), text: TRAINING, step, loss: training },
      { run: label(run), text: HELD_OUT, step, loss: heldOut },
    ]),
  );
  const steps = Math.max(...values.map(({ step }) => step));
  /** @param {object} axis */
  const y = (axis) => ({
    field: 'loss',
    type: 'quantitative',
    scale: { domain: domainOf(values.map(({ loss }) => loss)), nice: false, zero: false },
    axis: { tickCount: 6, ...axis },
  });
  const left = y({ title: 'cross entropy (nats per token)' });
  const x = {
    field: 'step',
    type: 'quantitative',
    title: 'training step',
    scale: { domain: [0, steps * (1 + MARGIN)], nice: false },
    axis: {
      tickCount: 5,
      tickMinStep: 1,
      labelExpr: "datum.value < 1e4 ? format(datum.value, ',') : format(datum.value, '~s')",
    },
  };
  const strokeDash = {
    field: 'text',
    type: 'nominal',
    scale: {
      domain: [HELD_OUT, TRAINING],
      range: [
        [1, 0],
        [5, 4],
      ],
    },
    legend: {
      title: 'measured on',
      orient: 'bottom',
      symbolType: 'stroke',
      symbolSize: 300,
      symbolStrokeColor: '#444',
      symbolStrokeWidth: 2,
      symbolOpacity: 1,
    },
  };
  return {
    title: {
      text: 'Loss and perplexity',
      subtitle: [
        `Held-out perplexity ${each(runs, ({ perplexity }) => perplexity.toPrecision(3))}.`,
        'Measured in the course of the training,',
        'without smoothing.',
      ],
    },
    width: SIZE,
    height: SIZE,
    data: { values },
    layer: [
      {
        layer: [
          {
            mark: { type: 'line', strokeWidth: 2, strokeJoin: 'round' },
            encoding: { x, y: left, color, strokeDash },
          },
          {
            mark: { type: 'circle', opacity: 1, size: 16 },
            encoding: { x, y: left, color },
          },
        ],
      },
      {
        // The same scale once more, for what it says on the other side.
        mark: { type: 'line', opacity: 0 },
        encoding: {
          x,
          y: y({
            title: 'perplexity (e to the cross entropy)',
            orient: 'right',
            grid: false,
            labelExpr:
              "exp(datum.value) < 1e5 ? format(exp(datum.value), ',.3~r') : format(exp(datum.value), '.0e')",
          }),
          detail: { field: 'run' },
        },
      },
    ],
    resolve: { scale: { y: 'independent' } },
  };
}

/**
 * Where the probability lies of what came so often in so many trials, with 95 % confidence (Wilson, 1927).
 * @param {number} fraction @param {number} trials
 */
function interval(fraction, trials) {
  const z2 = 1.96 ** 2 / trials;
  const middle = fraction + z2 / 2;
  const half = Math.sqrt(z2 * (fraction * (1 - fraction) + z2 / 4));
  return { low: (middle - half) / (1 + z2), high: (middle + half) / (1 + z2) };
}

/**
 * @param {Run[]} runs
 * @param {object} color
 */
function reliabilityDiagram(runs, color) {
  const bins = runs.flatMap((run) => run.result.bins.map((bin) => ({ run: label(run), ...bin })));
  const values = bins
    .filter(({ tokens }) => tokens >= LEAST_TOKENS)
    .map((bin) => ({ ...bin, ...interval(bin.accuracy, bin.tokens) }));
  const largest = Math.max(LEAST_TOKENS, ...values.map(({ tokens }) => tokens));
  const left = bins.reduce((sum, { tokens }) => sum + (tokens < LEAST_TOKENS ? tokens : 0), 0);
  /** @param {string} field @param {string} title */
  const position = (field, title) => ({
    field,
    type: 'quantitative',
    title,
    scale: { domain: [-MARGIN, 1 + MARGIN], nice: false },
    axis: { values: [0, 0.2, 0.4, 0.6, 0.8, 1], labelExpr: 'round(100 * datum.value)' },
  });
  const x = position('confidence', 'confidence in the prediction (%)');
  const y = position('accuracy', 'accuracy of predictions (%)');
  return {
    title: {
      text: 'Reliability on the held-out text',
      subtitle: [
        `Calibration error ${each(runs, ({ calibrationError }) => `${(100 * calibrationError).toFixed(1)} %`)}.`,
        'Bars: 95 % intervals. Grey: perfect calibration.',
        `Not drawn: bins of fewer than ${LEAST_TOKENS} tokens (${count(left)} in all).`,
      ],
    },
    width: SIZE,
    height: SIZE,
    data: { values },
    layer: [
      {
        name: 'compare_perfect',
        data: { values: [{ at: 0 }, { at: 1 }] },
        mark: { type: 'line', color: AXIS, strokeWidth: 1 },
        encoding: { x: { ...x, field: 'at' }, y: { ...y, field: 'at' } },
      },
      {
        mark: { type: 'rule', strokeWidth: 2, opacity: 0.4 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        mark: { type: 'line', strokeWidth: 1.5, strokeJoin: 'round' },
        encoding: { x, y, color },
      },
      {
        mark: { type: 'circle', opacity: 1, stroke: 'white', strokeWidth: 0.5 },
        encoding: {
          x,
          y,
          color,
          size: {
            field: 'tokens',
            type: 'quantitative',
            scale: { domain: [0, largest], range: [0, LARGEST_DOT] },
            legend: {
              title: 'tokens in the bin',
              orient: 'bottom',
              direction: 'horizontal',
              symbolFillColor: COLORS.grey,
              symbolStrokeColor: 'white',
              values: [LEAST_TOKENS, 100, 1000, 10_000, 100_000]
                .filter((tokens) => tokens <= largest && tokens >= largest / 50)
                .slice(-3),
            },
          },
        },
      },
    ],
  };
}
