// @ts-check
// What all charts share: how they look, and how wide their texts are.
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';

/**
 * Colours that stay apart for colour-blind readers (those of Okabe and Ito, darker), and that can be read as text on
 * white: contrast 4.5 and more.
 */
export const COLORS = {
  vermilion: '#c24a00',
  blue: '#0072b2',
  green: '#00583a',
  purple: '#a03d85',
  black: '#222222',
  grey: '#747474',
};
export const GRID = '#e4e4e4';
export const AXIS = '#888888';

// Without a canvas Vega takes every character for 0.8 em, and drops labels that would fit. These are the widths of
// DejaVu Sans, which is wider than Helvetica and Arial: what fits here fits there.
const NARROW = new Set("ijlI.,:;'|![]() ");
const WIDE = new Set('mwMW×%@–→');
const em = (/** @type {string} */ character) => {
  if (NARROW.has(character)) return 0.4;
  if (WIDE.has(character)) return 0.98;
  return /[A-Z]/.test(character) ? 0.77 : 0.64;
};
/** @param {string} text @param {number} fontSize @returns {number} pixels, rather too many */
export const textWidth = (text, fontSize) => fontSize * [...text].reduce((sum, one) => sum + em(one), 0);
const { textMetrics } = /** @type {any} */ (vega);
textMetrics.width = (/** @type {{ fontSize?: number }} */ { fontSize = 11 }, /** @type {unknown} */ text) =>
  textWidth(String(text ?? ''), fontSize);

const config = {
  font: 'Helvetica, Arial, sans-serif',
  view: { stroke: null },
  axis: {
    labelFontSize: 12,
    // A label that does not fit is a fault that the tests find, and not one to hide.
    labelOverlap: false,
    labelFlush: false,
    labelColor: '#333',
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 8,
    titleColor: '#333',
    domainColor: AXIS,
    tickColor: AXIS,
    gridColor: GRID,
  },
  title: {
    fontSize: 14,
    color: '#111',
    subtitleFontSize: 12,
    subtitleColor: '#444',
    subtitlePadding: 4,
    anchor: 'start',
    frame: 'group',
    offset: 12,
  },
  legend: {
    labelFontSize: 12,
    labelColor: '#333',
    labelLimit: 0,
    titleFontSize: 12,
    symbolStrokeColor: '#444',
  },
};

/**
 * A chart, compiled and drawn: `await chart.toSVG()`.
 * @param {object} spec of vega-lite
 * @returns {Promise<vega.View>}
 */
export function draw(spec) {
  const compiled = vegaLite.compile(
    /** @type {vegaLite.TopLevelSpec} */ (
      /** @type {unknown} */ ({
        $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
        background: 'white',
        padding: 12,
        config,
        ...spec,
      })
    ),
  );
  return new vega.View(vega.parse(compiled.spec), { renderer: 'none' }).runAsync();
}
