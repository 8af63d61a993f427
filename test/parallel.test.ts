// The promise: examples/parallel.mjs trains the same model in workers and in one process, to the bit; a worker that fails
// ends the whole.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { QUIET } from './support/native.js';
import { root } from './support/root.js';

interface Problem {
  batch: number;
  features: number;
  classes: number;
  input: Float32Array;
  targets: Int32Array;
}
interface Trained {
  parameters: Float32Array;
  losses: number[];
  seconds: number;
}
interface Training {
  makeProblem(options: { batch: number; features: number; classes: number; seed: number }): Problem;
  trainAlone(problem: Problem, options: { steps: number; shares: number; threads: number }): Trained;
  trainInWorkers(problem: Problem, options: { steps: number; shares: number }): Promise<Trained>;
  differentBits(a: Float32Array, b: Float32Array): number;
}
let training: Training;
beforeAll(async () => {
  const load = (file: string) => import(pathToFileURL(path.join(root, 'examples', 'parallel', file)).href);
  training = { ...(await load('problem.mjs')), ...(await load('train.mjs')) };
});

const env: NodeJS.ProcessEnv = { ...process.env };
for (const name of Object.keys(env))
  if (/^(SMOOTHLOSS_(?!PREBUILD$)|NODE_OPTIONS|VITEST)/.test(name)) delete env[name];
Object.assign(env, QUIET);

const program = path.join(root, 'examples', 'parallel.mjs');
const SMALL = ['--steps', '5', '--batch', '31', '--features', '7', '--classes', '11'];
const parallel = (args: string[], more: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [program, ...args], {
    env: { ...env, ...more },
    encoding: 'utf8',
    timeout: 60_000,
  });

/** Softmax regression by hand: float64, whole batches, the labels smoothed by 0.1, as the example has it. */
function byHand({ batch, features, classes, input, targets }: Problem, steps: number) {
  const weight = new Float64Array(classes * features);
  const bias = new Float64Array(classes);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const rows = Array.from({ length: batch }, (_, row) => ((step * batch) % targets.length) + row);
    const taking = rows.filter((row) => targets[row] !== -100);
    const gradient = new Float64Array(weight.length + classes);
    let loss = 0;
    for (const row of taking) {
      const x = input.subarray(row * features, (row + 1) * features);
      const logits = Array.from(bias, (b, k) =>
        x.reduce((sum, each, d) => sum + each * weight[k * features + d], b),
      );
      const total = logits.reduce((sum, z) => sum + Math.exp(z), 0);
      logits.forEach((z, k) => {
        const target = (k === targets[row] ? 0.9 : 0) + 0.1 / classes;
        loss += (target * (Math.log(total) - z)) / taking.length;
        const slope = (Math.exp(z) / total - target) / taking.length;
        x.forEach((each, d) => {
          gradient[k * features + d] += slope * each;
        });
        gradient[weight.length + k] += slope;
      });
    }
    gradient.forEach((slope, i) => {
      if (i < weight.length) weight[i] -= 2 * slope;
      else bias[i - weight.length] -= 2 * slope;
    });
    losses.push(loss);
  }
  return { parameters: [...weight, ...bias], losses };
}

describe('workers train the model of one process', () => {
  it.each([
    [1, 30],
    [2, 30],
    [3, 31],
    [5, 5],
    [2, 1100], // shares of more rows than linearCrossEntropy takes at a time
  ])(
    '%i workers, batches of %i rows: the same bits, and those of float64 but for rounding',
    async (shares, batch) => {
      const problem = training.makeProblem({ batch, features: 7, classes: 11, seed: 3 });
      const steps = 10; // more than there are batches
      const alone = training.trainAlone(problem, { steps, shares, threads: 2 });
      const workers = await training.trainInWorkers(problem, { steps, shares });
      expect(training.differentBits(workers.parameters, alone.parameters)).toBe(0);
      expect(workers.losses).toEqual(alone.losses);
      expect(workers.parameters.every((x) => Number.isFinite(x) && x !== 0)).toBe(true);
      const expected = byHand(problem, steps);
      expected.losses.forEach((loss, step) => {
        expect(workers.losses[step]).toBeCloseTo(loss, 4);
      });
      expected.parameters.forEach((value, i) => {
        expect(workers.parameters[i]).toBeCloseTo(value, 4);
      });
    },
  );

  it('the same bits every time', async () => {
    const problem = training.makeProblem({ batch: 64, features: 5, classes: 9, seed: 1 });
    const { parameters } = await training.trainInWorkers(problem, { steps: 20, shares: 3 });
    for (let run = 0; run < 5; run++) {
      const again = await training.trainInWorkers(problem, { steps: 20, shares: 3 });
      expect(training.differentBits(again.parameters, parameters)).toBe(0);
    }
  });
});

describe('differentBits', () => {
  it('sees every bit', () => {
    const a = Float32Array.of(1, 0, Number.NaN, -5, 1e-45);
    expect(training.differentBits(a, a.slice())).toBe(0);
    for (let i = 0; i < a.length; i++) {
      for (let bit = 0; bit < 32; bit++) {
        const bits = new Uint32Array(a.slice().buffer);
        bits[i] ^= 1 << bit;
        expect(training.differentBits(a, new Float32Array(bits.buffer))).toBe(1);
      }
    }
    expect(training.differentBits(a, Float32Array.of(1, -0, Number.NaN, 5, 0))).toBe(3);
  });

  it('of windows on larger arrays', () => {
    const whole = Float32Array.of(9, 1, 2, 3, 9);
    expect(training.differentBits(whole.subarray(1, 4), Float32Array.of(1, 2, 4))).toBe(1);
  });
});

describe('examples/parallel.mjs', () => {
  it.each(['1', '2', '3'])('with %s workers', (workers) => {
    const { stdout, stderr, status } = parallel([...SMALL, '--workers', workers]);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toContain(
      `All 88 parameters of one process and of ${workers} workers are the same to the last bit.`,
    );
  });

  it.each([
    ['--workers 0', "--workers is '0': must be an integer from 1 to 64"],
    ['--workers 1.5', "--workers is '1.5': must be an integer from 1 to 64"],
    ['--steps=', "--steps is '': must be an integer from 1 to 1000000"],
    ['--classes 1', "--classes is '1': must be an integer from 2 to 65536"],
    ['--seed 0x1', "--seed is '0x1': must be an integer from 0 to 4294967295"],
    ['--workers 4 --batch 3', '--batch is 3: must be at least 1 for each of the 4 workers'],
    [
      '--classes 65536 --features 4096',
      '--classes × (--features + 1) × --workers is 537001984: must be at most 268435456',
    ],
    ['--rate 3', "Unknown option '--rate'; --help lists the options"],
    ['text.txt', "Unexpected argument 'text.txt'"],
  ])('%s is one line and exit code 1', (args, message) => {
    const { stdout, stderr, status } = parallel(args.split(' '));
    expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
    expect(stderr).toMatch(/^parallel: .*\n$/);
    expect(stderr).toContain(message);
  });

  it('--help', () => {
    expect(parallel(['--help'])).toMatchObject({
      stdout: expect.stringContaining('--workers'),
      stderr: '',
      status: 0,
    });
  });
});

describe('a worker that fails ends the whole', () => {
  it('with its error, while the others wait for it', async () => {
    const problem = training.makeProblem({ batch: 30, features: 7, classes: 11, seed: 3 });
    problem.targets[29] = 99; // of the last worker
    const message = 'targets[9] is 99: must be an integer in [0, 11) or ignoreIndex -100';
    await expect(training.trainInWorkers(problem, { steps: 5, shares: 3 })).rejects.toThrow(message);
  });

  it.each([
    ["throw new Error('planted')", 'Error: planted'],
    ['process.exit(0)', 'Error: worker 1 ended early, with exit code 0'],
    ['process.exit(7)', 'Error: worker 1 ended early, with exit code 7'],
  ])('the program too: %s', (fails, message) => {
    // Node runs this in each thread before the thread's own program: the third worker is the second of two.
    const code = `import { threadId } from 'node:worker_threads'; if (threadId === 3) ${fails};`;
    const NODE_OPTIONS = `${env.NODE_OPTIONS ?? ''} --import=data:text/javascript,${encodeURIComponent(code)}`;
    const { stderr, status, signal } = parallel([...SMALL, '--workers', '2'], { NODE_OPTIONS });
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    expect(stderr).toContain(message);
  });
});
