// The promise: charts say what they show. Every tick has its label, no text covers another, a line or the edge, no mark
// touches the frame, and the report's page and pictures are what its figures make.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Chart, cross, inside, overlap, read, runsThrough, type Scene } from './support/chart.js';
import { root } from './support/root.js';

const load = (file: string) => import(pathToFileURL(path.join(root, file)).href);
const report = path.join(root, 'bench/report');
const [results, linearResults] = ['results.json', 'linear.json'].map((file) =>
  JSON.parse(readFileSync(path.join(report, file), 'utf8')),
);
const LINEAR_CHARTS = ['linear-time', 'linear-memory', 'linear-accuracy'];

interface Timing {
  peer: string;
  rows: number;
  classes: number;
  threads: number;
  nsPerCall: { median: number };
}

const WIDTH = 840; // of a README's column: wider pictures are made smaller, and their text with them

/** What holds of every chart. */
function expectLegible({ frame, panels, texts, marks, axes }: Chart): void {
  expect(frame.right - frame.left).toBeLessThanOrEqual(WIDTH);
  expect(panels.length).toBeGreaterThan(0);

  const labels = axes.filter(({ ticks }) => ticks > 0);
  expect(labels.length).toBeGreaterThan(0);
  for (const { ticks, labels: written } of labels) expect(written).toHaveLength(ticks);

  for (const [i, text] of texts.entries()) {
    expect(text.fontSize, text.text).toBeGreaterThanOrEqual(12);
    expect(contrast(text.color), text.text).toBeGreaterThanOrEqual(4.5);
    expect(inside(text, frame), `${text.text} is cut off`).toBe(true);
    for (const other of texts.slice(i + 1)) {
      expect(overlap(text, other), `${text.text} covers ${other.text}`).toBe(false);
    }
  }

  const leaders = marks.filter(({ name }) => name.startsWith('leader'));
  for (const [i, leader] of leaders.entries()) {
    for (const other of leaders.slice(i + 1)) expect(cross(leader.path, other.path)).toBe(false);
  }
  const drawn = marks.filter(({ name }) => !/^(leader|compare)/.test(name));
  expect(drawn.some(({ type }) => type === 'symbol')).toBe(true);
  for (const mark of drawn) {
    expect(inside(mark, panels[mark.panel], 2), `${mark.type} ${mark.name} touches the frame`).toBe(true);
  }
  const words = texts.filter(({ role }) => role === 'data');
  for (const word of words) {
    for (const line of drawn.filter(({ type }) => type === 'line')) {
      expect(runsThrough(line.path, word), `a line runs through ${word.text}`).toBe(false);
    }
    for (const symbol of drawn.filter(({ type }) => type === 'symbol')) {
      expect(overlap(word, symbol), `a point is under ${word.text}`).toBe(false);
    }
  }
}

/** Red, green and blue light of a colour, 0 to 1. */
function linear(color: string): number[] {
  const [, hex] = /^#([0-9a-f]+)$/.exec(color) ?? expect.fail(`${color} is no colour`);
  const digits = hex.length === 3 ? hex.replaceAll(/./g, '$&$&') : hex;
  return [0, 2, 4].map((at) => {
    const value = Number.parseInt(digits.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
}

/** Against white, as the Web Content Accessibility Guidelines define it. */
function contrast(color: string): number {
  const [r, g, b] = linear(color);
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05);
}

describe('the report', () => {
  const charts = new Map<string, Chart>();
  beforeAll(async () => {
    const { pageOf } = await load('bench/report.mjs');
    const { layerPageOf } = await load('bench/linear-report.mjs');
    const keep = (name: string, view: Scene) => charts.set(name, read(view));
    await pageOf(results, false, keep);
    await layerPageOf(linearResults, keep);
  }, 300_000);

  it.each([
    ...['time-by-classes', 'time-by-rows', 'bandwidth', 'growth', 'threads', 'accuracy'],
    ...LINEAR_CHARTS,
  ])('%s is legible', (name) => expectLegible(charts.get(name) ?? expect.fail('not drawn')));

  it('marks every gain that the number of threads does not explain, and has a row on it', () => {
    const at = ({ peer, rows, classes }: Timing, threads: number) =>
      results.timings.find(
        (one: Timing) =>
          one.peer === peer && one.rows === rows && one.classes === classes && one.threads === threads,
      );
    const gains = results.timings
      .filter((one: Timing) => one.threads === 2 && at(one, 1))
      .map((two: Timing) => ({ ...two, gain: at(two, 1).nsPerCall.median / two.nsPerCall.median }))
      .filter(({ gain }: { gain: number }) => gain > 2.2);
    expect(gains.length).toBeGreaterThan(0);
    const marked = charts.get('threads')?.texts.filter(({ role }) => role === 'data') ?? [];
    const page = readFileSync(path.join(report, 'README.md'), 'utf8').split('## Threads')[1];
    for (const { peer, rows, classes, gain } of gains) {
      const { name, gradient } = results.peers.find(({ id }: { id: string }) => id === peer);
      const figure = String(Number(gain.toPrecision(3)));
      if (gradient) expect(marked.map(({ text }) => text)).toContain(`${figure} ×`);
      const shape = [rows, classes].map((n) => n.toLocaleString('en')).join(' × ');
      expect(page).toContain(`| ${shape} | ${name} | ${figure} [`);
    }
  });

  it('is what bench:report makes of results.json and linear.json, byte for byte', () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-report-'));
    try {
      for (const file of ['results.json', 'linear.json', 'instructions.md']) {
        copyFileSync(path.join(report, file), path.join(directory, file));
      }
      for (const [program, file] of [
        ['report.mjs', 'results.json'],
        ['linear-report.mjs', 'linear.json'],
      ]) {
        const args = [path.join(root, 'bench', program), '--json', path.join(directory, file)];
        const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
        expect(stderr).toBe('');
        expect(status).toBe(0);
      }
      expect(readdirSync(directory)).toEqual(readdirSync(report));
      for (const file of readdirSync(report)) {
        const [made, committed] = [directory, report].map((from) =>
          readFileSync(path.join(from, file), 'utf8'),
        );
        expect(made === committed, `${file} is as npm run bench:report makes it`).toBe(true);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('train.svg', () => {
  /** All that a run can come to: losses at both ends, bins at all corners, one of them just large enough. */
  const runs = (steps: number, scale = 1) =>
    [0, 0.1].map((epsilon) => ({
      epsilon,
      curve: Array.from({ length: 10 }, (_, i) => ({
        step: ((i + 1) * steps) / 10,
        training: scale * (5 - 0.3 * i + epsilon),
        heldOut: scale * (5.2 - 0.1 * i - epsilon),
      })),
      result: {
        perplexity: Math.exp(4.3 - epsilon),
        calibrationError: 0.0463 - epsilon / 4,
        bins: [
          { tokens: 20, confidence: 0.01, accuracy: 0 },
          { tokens: 900, confidence: 0.1, accuracy: 0.12 },
          { tokens: 100, confidence: 0.5, accuracy: 0.6 },
          { tokens: 19, confidence: 0.7, accuracy: 0.5 },
          { tokens: 1, confidence: 0.9, accuracy: 0 },
          { tokens: 60, confidence: 0.995, accuracy: 1 },
        ],
      },
    }));
  const chartOf = async (from: ReturnType<typeof runs>) =>
    read(await (await load('examples/train/chart.mjs')).drawChart(from));
  const saysOf = ({ texts }: Chart) => texts.map(({ text }) => text).join('\n');

  it.each([
    ['as long as by default', 1500, 1],
    ['of ten steps', 10, 1],
    ['of a million', 1_000_000, 1],
    ['that hardly changes', 1500, 1e-3],
    ['that goes wrong', 1500, 40],
  ])('is legible for a training %s', async (_, steps, scale) => {
    expectLegible(await chartOf(runs(steps, scale)));
  });

  it('draws the bins of 20 tokens and more, with intervals, and counts the others', async () => {
    const chart = await chartOf(runs(1500));
    const bins = chart.marks.filter(({ type, panel }) => type === 'symbol' && panel === 1);
    expect(bins).toHaveLength(2 * 4);
    const bars = chart.marks.filter(({ type, panel }) => type === 'rule' && panel === 1);
    expect(bars).toHaveLength(2 * 4);
    // 60 of 60: at least 94 % (Wilson).
    const [panel] = chart.panels.slice(1);
    const heights = bars.map(({ top, bottom }) => (bottom - top) / (panel.bottom - panel.top));
    expect(Math.min(...heights)).toBeGreaterThan(0.03);
    expect(saysOf(chart)).toContain('Not drawn: bins of fewer than 20 tokens (40 in all).');
  });

  it('draws an empty diagram where no bin is large enough', async () => {
    const few = runs(1500).map((run) => ({
      ...run,
      result: { ...run.result, bins: [{ tokens: 3, confidence: 0.5, accuracy: 0.3 }] },
    }));
    const chart = await chartOf(few);
    expectLegible(chart);
    expect(chart.marks.filter(({ type, panel }) => type === 'symbol' && panel === 1)).toHaveLength(0);
  });

  it('tells the perplexity: on an axis, and what it came to', async () => {
    const chart = await chartOf(runs(1500));
    expect(saysOf(chart)).toContain('Held-out perplexity 73.7 (ε = 0), 66.7 (ε = 0.1).');
    const [loss, perplexity] = chart.axes
      .filter(({ ticks }) => ticks > 0)
      .map(({ labels }) => labels.map((label) => Number(label.replace(',', ''))))
      .filter((labels) => labels[0] !== 0);
    expect(loss.length).toBe(perplexity.length);
    for (const [i, nats] of loss.entries()) expect(perplexity[i] / Math.exp(nats)).toBeCloseTo(1, 2);
  });
});

describe('the accuracy that docs/same-bits.md tells', () => {
  const file = (name: string) => readFileSync(path.join(root, name), 'utf8');
  const digits = (value: number) => value.toExponential(1);
  const section = file('docs/same-bits.md').split('## Accuracy')[1];
  const { pytorchFloat32Error } = JSON.parse(file('test/vectors/pytorch-cross-entropy.json'));

  interface Recorded {
    cpuCapability: string;
    classes: number;
    labelSmoothing: number;
    gradientAbsolute: number;
    lossRelative: number;
  }

  it('of PyTorch is what generate.py recorded, for both sets of kernels', () => {
    const table = section
      .split('\n')
      .filter((line) => /^\| [0-9]/.test(line))
      .map((line) =>
        line
          .replaceAll(/[*,\s]/g, '')
          .split('|')
          .slice(1, -1),
      );
    const of = (capability: string, [classes, epsilon]: string[]): Recorded =>
      pytorchFloat32Error.results.find(
        (one: Recorded) =>
          one.cpuCapability === capability &&
          one.classes === Number(classes) &&
          one.labelSmoothing === Number(epsilon),
      );
    expect(table).toHaveLength(4);
    for (const row of table) {
      const [avx2, avx512] = ['AVX2', 'AVX512'].map((capability) => of(capability, row));
      expect([row[3], row[4]]).toEqual([avx2, avx512].map((one) => digits(one.gradientAbsolute)));
      expect([row[6], row[7]]).toEqual([avx2, avx512].map((one) => digits(one.lossRelative)));
    }
  });

  it('of the chart is named as another experiment, with its figures', () => {
    const charted = results.accuracy
      .filter(({ peer }: { peer: string }) => peer === 'torch')
      .map(({ gradient }: { gradient: number }) => digits(gradient));
    expect(section).toContain(`it has ${charted.join(' and ')} for PyTorch where the table has`);
    expect(section).toContain('(../bench/report/accuracy.svg)');
  });
});

describe('colours', () => {
  // What red, green and blue light becomes without one kind of cones: Machado, Oliveira and Fernandes, 2009.
  // biome-ignore format: matrices
  const sights: [string, number[][]][] = [
    ['all cones', [[1, 0, 0], [0, 1, 0], [0, 0, 1]]],
    ['no long', [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]],
    ['no middle', [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]],
    ['no short', [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]],
  ];
  /** CIELAB, where a distance of 2.3 can just be noticed. */
  const lab = ([r, g, b]: number[]) => {
    const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);
    const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
    const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  };

  it.each(sights)('stay apart for eyes with %s', async (_, matrix) => {
    const { COLORS } = await load('bench/vega.mjs');
    const seen = Object.entries<string>(COLORS).map(([name, color]) => {
      const light = linear(color);
      const left = matrix.map((row) => row.reduce((sum, weight, i) => sum + weight * light[i], 0));
      return { name, lab: lab(left.map((value) => Math.min(1, Math.max(0, value)))) };
    });
    for (const [i, a] of seen.entries()) {
      for (const b of seen.slice(i + 1)) {
        const distance = Math.hypot(...a.lab.map((value, k) => value - b.lab[k]));
        expect(distance, `${a.name} and ${b.name}`).toBeGreaterThan(12);
      }
    }
  });
});
