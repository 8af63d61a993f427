// The promise: bench:peers and bench:linear compare who is there, names who is not and how to get it, notices who computes something
// else, and draws its report. No times are tested.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from './support/root.js';

interface One {
  peer: string;
  rows: number;
  classes: number;
  threads: number;
  outcome: string;
  reason: string;
  nsPerCall: { low: number; median: number; high: number };
  cpuNsPerCall: { median: number };
  samples: number;
  gradient?: number;
  loss: number;
  input: number;
  linearWeight: number;
  bytes: number;
}
type Results = Record<'timings' | 'accuracy' | 'memory' | 'notes', One[]>;

const CHARTS = ['time-by-classes', 'time-by-rows', 'bandwidth', 'growth', 'threads', 'accuracy'];
const LINEAR_CHARTS = ['linear-time', 'linear-memory', 'linear-accuracy'];
const OWN = [
  'memcpy',
  'smoothloss',
  'smoothloss-in-place',
  'smoothloss-new',
  'smoothloss-loss',
  'js',
  'plain',
];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-bench-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

const compare = (...options: string[]) => compareBy('peers', ...options);

function compareBy(program: 'peers' | 'linear', ...options: string[]) {
  const json = path.join(directory, 'results.json');
  const nothing = ['--python', path.join(directory, 'no-python'), '--modules', directory];
  const args = ['--rounds', '2', '--seconds', '2', ...nothing, '--json', json, ...options];
  const run = spawnSync(process.execPath, [path.join(root, `bench/${program}.mjs`), ...args], {
    encoding: 'utf8',
  });
  return { ...run, results: (): Results => JSON.parse(readFileSync(json, 'utf8')) };
}

/** Throws unless every element that opens closes, in order. */
function checkMarkup(svg: string): void {
  const open: string[] = [];
  for (const [, closing, name, empty] of svg.matchAll(
    /<(\/?)([a-zA-Z]+)(?:\s+[\w:-]+="[^"<]*")*\s*(\/?)>/g,
  )) {
    if (closing) expect(open.pop()).toBe(name);
    else if (!empty) open.push(name);
  }
  expect(open).toEqual([]);
  // Whatever is left must be text.
  expect(svg.replaceAll(/<(\/?)([a-zA-Z]+)(?:\s+[\w:-]+="[^"<]*")*\s*(\/?)>/g, '')).not.toMatch(/[<>]/);
}

/** The page, and the charts that it shows. */
function checkReport(file: string, charts: string[]): void {
  const page = readFileSync(path.join(directory, file), 'utf8');
  expect(page).not.toMatch(/undefined|NaN|null/);
  expect([...page.matchAll(/\((.+)\.svg\)/g)].map(([, name]) => name)).toEqual(charts);
  for (const name of charts) {
    const svg = readFileSync(path.join(directory, `${name}.svg`), 'utf8');
    checkMarkup(svg);
    expect(svg).toMatch(/^<svg .*xmlns=/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(svg).toContain('>smoothloss</text>');
  }
}

describe('bench:peers', () => {
  it('measures who is there, names who is missing, and draws the report', () => {
    const { status, stdout, stderr, results } = compare(
      ...['--shapes', '3x10,3x40,6x10', '--accuracy', '4x100', '--threads', '1,2'],
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { timings, accuracy, notes } = results();
    for (const shape of [3 * 10, 3 * 40, 6 * 10]) {
      const peers = (threads: number) =>
        timings
          .filter((one) => one.rows * one.classes === shape && one.threads === threads)
          .map(({ peer }) => peer);
      expect(new Set(peers(1))).toEqual(new Set(OWN));
      expect(new Set(peers(2))).toEqual(new Set(OWN.filter((id) => !['js', 'plain'].includes(id))));
    }
    for (const { nsPerCall, samples } of timings) {
      expect(samples).toBeGreaterThanOrEqual(2);
      expect(nsPerCall.low).toBeGreaterThan(0);
      expect(nsPerCall.low <= nsPerCall.median && nsPerCall.median <= nsPerCall.high).toBe(true);
    }
    expect(accuracy.map(({ peer }) => peer)).toEqual(OWN.slice(1));
    for (const { gradient, loss } of accuracy) {
      expect(loss).toBeLessThan(3e-7);
      if (gradient !== undefined) expect(gradient).toBeLessThan(5e-7);
    }

    const others = ['torch', 'torch-compile', 'jax', 'tfjs-wasm', 'tfjs-cpu', 'onnxruntime'];
    expect(notes.map(({ peer, outcome }) => [peer, outcome])).toEqual(others.map((id) => [id, 'missing']));
    expect(stdout).toMatch(/missing: PyTorch, eager: no .*no-python; to get it: pip install torch/);
    expect(stdout).toMatch(/missing: JAX.*; to get it: pip install jax/);
    expect(stdout).toMatch(
      /missing: TensorFlow\.js, wasm: Cannot find module .*npm install --no-save @tensorflow\/tfjs /,
    );
    expect(stdout).toMatch(/missing: ONNX Runtime.*npm install --no-save .*onnxruntime-node/);

    checkReport('README.md', CHARTS);
  });

  it('does not time a peer that computes something else, and fails', () => {
    const worker = (name: string, change: string) => {
      const file = path.join(directory, `${name}.mjs`);
      const plain = pathToFileURL(path.join(root, 'bench/peers/plain.mjs')).href;
      writeFileSync(
        file,
        `import * as plain from ${JSON.stringify(plain)};
        export const start = () => ({ version: '1', prepare: (batch) => {
          const call = plain.start().prepare(batch);
          return { ...call, result: () => { const r = call.result(); ${change}; return r; } };
        } });`,
      );
      return ['--add', file];
    };
    const added = [
      ...worker('right', ''),
      ...worker('gradient-off', 'r.gradient[7] += 1e-3'),
      ...worker('gradient-nan', 'r.gradient[8] = NaN'),
      ...worker('loss-off', 'r.loss *= 1.0001'),
      ...worker('short', 'r.gradient = r.gradient.slice(1)'),
      ...worker('broken', "throw new Error('out of order')"),
    ];
    const { status, stdout, results } = compare(
      ...['--shapes', '3x10', '--accuracy', '', '--threads', '1', '--peers', 'memcpy,smoothloss', ...added],
    );
    expect(status).toBe(1);
    const { timings, notes } = results();
    expect(timings.map(({ peer }) => peer)).toEqual(['memcpy', 'smoothloss', 'right']);
    expect(notes.map(({ peer, outcome }) => [peer, outcome])).toEqual([
      ['gradient-off', 'disagrees'],
      ['gradient-nan', 'disagrees'],
      ['loss-off', 'disagrees'],
      ['short', 'left out'],
      ['broken', 'left out'],
    ]);
    const reasons = notes.map(({ reason }) => reason);
    expect(reasons[0]).toMatch(/^gradient of the sum \[7\] is .*, not .* ± 0\.0002$/);
    expect(reasons[1]).toMatch(/^gradient of the sum \[8\] is NaN, not /);
    expect(reasons[2]).toMatch(/^loss .*, not .* relative$/);
    expect(reasons.slice(3)).toEqual(['29 elements, not 30', 'out of order']);
    expect(stdout).toMatch(/disagrees, and is not timed: gradient-off at 3 × 10, one thread: /);
    expect(stdout).toMatch(/left out: broken at 3 × 10, one thread: out of order/);
  });

  it('says what an option must be', () => {
    for (const [option, value, message] of [
      ['--shapes', '3x', '3x: a shape is ROWSxCLASSES'],
      ['--threads', '0', '--threads 0: must be a number above 0'],
      ['--peers', 'caffe', '--peers caffe: must be one of memcpy, smoothloss, '],
    ]) {
      const { status, stderr } = compare(option, value);
      expect(stderr).toContain(message);
      expect(status).toBe(1);
    }
  });
});

describe('bench:linear', () => {
  const tiny = ['--shapes', '3x4x5,6x40x7', '--accuracy', '5x300x9', '--memory', '600x3x400'];

  it('measures time, memory and errors of who is there, and names who is missing', () => {
    const { status, stdout, stderr, results } = compareBy('linear', ...tiny, '--threads', '1,2');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { timings, accuracy, memory, notes } = results();
    const own = ['smoothloss', 'js', 'plain'];
    for (const gradient of [true, false]) {
      for (const rows of [3, 6]) {
        const peers = (threads: number) =>
          timings
            .filter(
              (one) => one.rows === rows && one.threads === threads && Boolean(one.gradient) === gradient,
            )
            .map(({ peer }) => peer);
        expect(peers(1)).toEqual(own);
        expect(peers(2)).toEqual(['smoothloss']);
      }
    }
    for (const { nsPerCall, cpuNsPerCall } of timings) {
      expect(nsPerCall.low).toBeGreaterThan(0);
      expect(cpuNsPerCall.median).toBeGreaterThan(0);
    }
    expect(accuracy.map(({ peer }) => peer)).toEqual(own);
    for (const { loss, input, linearWeight } of accuracy) {
      for (const error of [loss, input, linearWeight]) expect(error).toBeLessThan(1e-6);
    }
    const logits = 4 * 600 * 400;
    if (process.platform === 'linux') {
      expect(memory.map(({ peer }) => peer)).toEqual(own);
      expect(memory[2].bytes).toBeGreaterThan(0.9 * logits); // plain JavaScript has them as a whole
    }
    const others = ['openblas', 'torch', 'torch-chunked', 'tfjs-wasm'];
    expect(notes.map(({ peer, outcome }) => [peer, outcome])).toEqual(others.map((id) => [id, 'missing']));
    expect(stdout).toMatch(/missing: OpenBLAS \+ crossEntropy: .*npm install --no-save koffi/);
    expect(stdout).toContain('Loss and gradients, 2 threads: 3 × 4 × 5');
    checkReport(
      'linear.md',
      process.platform === 'linux' ? LINEAR_CHARTS : ['linear-time', 'linear-accuracy'],
    );
  });

  it('does not time a peer that computes something else, and fails', () => {
    const worker = (name: string, change: string) => {
      const file = path.join(directory, `${name}.mjs`);
      const products = pathToFileURL(path.join(root, 'bench/peers/layer-products.mjs')).href;
      writeFileSync(
        file,
        `import * as products from ${JSON.stringify(products)};
        export const start = () => ({ version: '1', prepare: (batch) => {
          const call = products.start({ threads: 1, args: ['plain'] }).prepare(batch);
          return { ...call, result: () => { const r = call.result(); ${change}; return r; } };
        } });`,
      );
      return ['--add', file];
    };
    const added = [
      ...worker('right', ''),
      ...worker('input-off', 'if (r.gradient[0]) r.gradient[0][7] += 1e-2'),
      ...worker('weight-nan', 'if (r.gradient[1]) r.gradient[1][8] = NaN'),
      ...worker('loss-off', 'r.loss *= 1.0001'),
      ...worker('short', 'r.gradient.pop()'),
    ];
    const few = ['--shapes', '3x4x5', '--accuracy', '', '--memory', '', '--peers', 'smoothloss', ...added];
    const { status, results } = compareBy('linear', ...few);
    expect(status).toBe(1);
    const { timings, notes } = results();
    const timed = (gradient: boolean) =>
      timings.filter((one) => Boolean(one.gradient) === gradient).map(({ peer }) => peer);
    expect(timed(true)).toEqual(['smoothloss', 'right']);
    expect(timed(false)).toEqual(['smoothloss', 'right', 'input-off', 'weight-nan', 'short']);
    expect(notes.map(({ peer, outcome }) => [peer, outcome])).toEqual([
      ['input-off', 'disagrees'],
      ['weight-nan', 'disagrees'],
      ['loss-off', 'disagrees'],
      ['short', 'left out'],
      ['loss-off', 'disagrees'],
    ]);
    expect(notes[0].reason).toMatch(/^gradient\.input is off by .* relative, not 0\.0002 at most$/);
    expect(notes[1].reason).toMatch(/^gradient\.linearWeight is off by NaN/);
    expect(notes[3].reason).toBe('12 elements, not 32');
  });

  it('says what a shape must be', () => {
    const { status, stderr } = compareBy('linear', '--shapes', '3x4');
    expect(stderr).toContain('3x4: a shape is ROWSxFEATURESxCLASSES');
    expect(status).toBe(1);
  });
});
