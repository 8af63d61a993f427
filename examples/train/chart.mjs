// @ts-check
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';

/** @import { Bin } from './evaluate.mjs' */

/**
 * @typedef {object} Run
 * @property {number} epsilon
 * @property {{ step: number, training: number, heldOut: number }[]} curve cross entropy in nats a token
 * @property {{ calibrationError: number, bins: Bin[] }} result
 */

const HELD_OUT = 'held-out text';
const TRAINING = 'training text';
const SIZE = 300;

/** Blue and vermilion from the palette of Okabe and Ito, which colour-blind readers can tell apart. */
const COLORS = ['#0072b2', '#d55e00'];

/**
 * The loss curves and the reliability diagram of two runs, side by side, as an SVG.
 * @param {Run[]} runs
 * @returns {Promise<string>}
 */
export function drawChart(runs) {
  const color = {
    field: 'run',
    type: 'nominal',
    scale: { domain: runs.map(label), range: COLORS },
    legend: { title: 'label smoothing', symbolType: 'circle', symbolOpacity: 1, symbolSize: 80 },
  };
  const spec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    padding: 16,
    spacing: 48,
    hconcat: [lossCurves(runs, color), reliabilityDiagram(runs, color)],
    resolve: { legend: { color: 'shared' } },
    config: {
      font: 'Helvetica, Arial, sans-serif',
      view: { stroke: '#888' },
      axis: {
        labelFlush: false,
        labelFontSize: 12,
        titleFontSize: 13,
        titleFontWeight: 'normal',
        titlePadding: 8,
        gridColor: '#e4e4e4',
      },
      title: {
        fontSize: 14,
        subtitleFontSize: 12,
        subtitleColor: '#444',
        anchor: 'start',
        frame: 'group',
        offset: 12,
        subtitlePadding: 4,
      },
      legend: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'bold', symbolStrokeColor: '#444' },
    },
  };
  const compiled = vegaLite.compile(/** @type {vegaLite.TopLevelSpec} */ (/** @type {unknown} */ (spec)));
  return new vega.View(vega.parse(compiled.spec), { renderer: 'none' }).toSVG();
}

/** @param {Run} run */
const label = ({ epsilon }) => `ε = ${epsilon}`;

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
  return {
    title: { text: 'Loss curves', subtitle: 'measured without smoothing' },
    width: SIZE,
    height: SIZE,
    data: { values },
    mark: { type: 'line', strokeWidth: 2, strokeJoin: 'round' },
    encoding: {
      x: {
        field: 'step',
        type: 'quantitative',
        title: 'training step',
        scale: { domainMin: 0 },
        axis: { tickCount: 5 },
      },
      y: {
        field: 'loss',
        type: 'quantitative',
        title: 'cross entropy (nats/token)',
        scale: { zero: false },
        axis: { tickCount: 6 },
      },
      color,
      strokeDash: {
        field: 'text',
        type: 'nominal',
        scale: {
          domain: [HELD_OUT, TRAINING],
          range: [
            [1, 0],
            [5, 4],
          ],
        },
        legend: { title: 'measured on', symbolType: 'stroke', symbolSize: 300 },
      },
    },
  };
}

/**
 * @param {Run[]} runs
 * @param {object} color
 */
function reliabilityDiagram(runs, color) {
  const values = runs.flatMap((run) => run.result.bins.map((bin) => ({ run: label(run), ...bin })));
  const largest = Math.max(...values.map(({ tokens }) => tokens));
  const errors = runs.map((run, i) => ({
    run: label(run),
    error: `ECE ${(100 * run.result.calibrationError).toFixed(1)} %`,
    confidence: 1,
    accuracy: 0.11 - 0.06 * i,
  }));
  // A little room above 100 %, so that no mark reaches over the frame.
  const unit = {
    scale: { domain: [0, 1.04], nice: false },
    axis: { values: [0, 0.2, 0.4, 0.6, 0.8, 1], labelExpr: 'round(100 * datum.value)' },
  };
  return {
    title: { text: 'Reliability, held-out text', subtitle: 'dotted: perfect calibration' },
    width: SIZE,
    height: SIZE,
    data: { values },
    layer: [
      {
        data: { values: [{ at: 0 }, { at: 1 }] },
        mark: { type: 'line', color: '#888', strokeDash: [2, 3] },
        encoding: { x: { field: 'at', type: 'quantitative' }, y: { field: 'at', type: 'quantitative' } },
      },
      {
        mark: { type: 'line', strokeWidth: 2, strokeJoin: 'round' },
        encoding: {
          x: { field: 'confidence', type: 'quantitative' },
          y: { field: 'accuracy', type: 'quantitative' },
          color,
        },
      },
      {
        mark: { type: 'circle', opacity: 1, stroke: 'white', strokeWidth: 1 },
        encoding: {
          x: {
            field: 'confidence',
            type: 'quantitative',
            title: 'confidence in the prediction (%)',
            ...unit,
          },
          y: {
            field: 'accuracy',
            type: 'quantitative',
            title: 'accuracy of predictions (%)',
            ...unit,
          },
          color,
          size: {
            field: 'tokens',
            type: 'quantitative',
            scale: { type: 'sqrt', range: [10, 320] },
            legend: {
              title: 'tokens in the bin',
              symbolFillColor: '#888',
              symbolStrokeColor: 'white',
              values: [1, 10, 100, 1000].filter((tokens) => tokens <= largest),
            },
          },
        },
      },
      {
        data: { values: errors },
        mark: { type: 'text', align: 'right', fontSize: 12, fontWeight: 'bold' },
        encoding: {
          x: { field: 'confidence', type: 'quantitative' },
          y: { field: 'accuracy', type: 'quantitative' },
          text: { field: 'error' },
          color,
        },
      },
    ],
  };
}
