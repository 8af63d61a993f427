// The values of crossEntropy of float32 logits and class indices, against the float64 oracle where float32 is hardest.

import { createHash } from 'node:crypto';
import { type CallOptions, make, oracleOf } from '../support/calls.js';
import { classIndices, mulberry32, normals } from '../support/data.js';
import { exactRatio, exactSoftmaxLoss, type Real, ulpsOff } from '../support/exact.js';
import type { OracleResult } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { backends, onEveryBackend } from './backends.js';
import { agree } from './semantics-softmax.js';
import { type Case, fail, same, sameElements, type Table } from './table.js';
import { data } from './vectors.js';

interface Call {
  logits: Float32Array;
  targets: Int32Array;
  options: CallOptions;
}

/** Calls with every reduction and compares with the oracle, which is asked once for all backends. */
function accurate(name: string, draw: () => Call): Case[] {
  let last: { call: Call; expected: OracleResult } | undefined;
  const prepare = () => {
    const call = draw();
    return { call, expected: oracleOf(call, { reduction: 'none' }) };
  };
  return onEveryBackend(name, (functions) => {
    last ??= prepare();
    const { call, expected } = last;
    if (functions === backends.at(-1)) last = undefined; // 100 MB, some of them
    const none = make(functions, call, { reduction: 'none', gradient: true });
    check(none, expected);
    const sum = make(functions, call, { reduction: 'sum', gradient: true });
    same(sum.loss, none.numerator, 'the sum');
    sameElements(sum.gradient ?? [], none.gradient ?? [], 'the gradient of the sum');
    const mean = make(functions, call);
    same(mean.loss, none.numerator / none.denominator, 'the mean');
  });
}

const scaled = (logits: Float32Array, factor: number, offset = 0) => logits.map((x) => x * factor + offset);

function accuracyCases(): Case[] {
  const cases: Case[] = [];
  const add = (name: string, draw: () => Call) => cases.push(...accurate(name, draw));

  // The data of test/vectors/generate.py, and PyTorch's own float32 error on it to beat.
  for (const { rows, classes, logitsSeed, targetsSeed, logitsSha256, targetsSha256 } of data) {
    if (classes !== 32_000) continue; // 128,256 classes: fewer rows, below
    for (const labelSmoothing of [0.1, 0]) {
      add(`${rows} × ${classes}, logits 10·N(0, 1), smoothing ${labelSmoothing}`, () => {
        const logits = normals(rows * classes, logitsSeed, 10);
        const targets = classIndices(rows, classes, targetsSeed);
        const sha256 = (array: Float32Array | Int32Array) => createHash('sha256').update(array).digest('hex');
        same(sha256(logits), logitsSha256, 'the hash of the logits');
        same(sha256(targets), targetsSha256, 'the hash of the targets');
        return { logits, targets, options: { classes, labelSmoothing } };
      });
    }
  }
  add('2 × 128256, logits 10·N(0, 1), smoothing 0.1', () => ({
    logits: normals(2 * 128_256, 21, 10),
    targets: classIndices(2, 128_256, 22),
    options: { classes: 128_256, labelSmoothing: 0.1 },
  }));

  for (const labelSmoothing of [0, 0.1, 1]) {
    const smoothing = `smoothing ${labelSmoothing}`;
    const rows = 16;
    const classes = 300;
    const targets = classIndices(rows, classes, 31);
    const normal = normals(rows * classes, 32, 3);
    const with_ = (logits: Float32Array) => ({ logits, targets, options: { classes, labelSmoothing } });
    add(`logits N(0, 1)/1000, ${smoothing}`, () => with_(scaled(normal, 1 / 3000)));
    add(`logits 100·N(0, 1), ${smoothing}`, () => with_(scaled(normal, 33)));
    add(`offset 1e8, ${smoothing}`, () => with_(scaled(normal, 10, 1e8)));
    add(`offset -1e8, ${smoothing}`, () => with_(scaled(normal, 10, -1e8)));
    // The shift by the maximum sets in at 2^20.
    for (const offset of [2 ** 20 - 8, 2 ** 20, 2 ** 20 + 8, -(2 ** 20), 1e6, -1e6, 1234.5]) {
      add(`offset ${offset}, ${smoothing}`, () => with_(scaled(normal, 1, offset)));
    }
    add(`±1e38, ${smoothing}`, () => with_(normal.map((x) => (x > 3 ? 1e38 : x < -3 ? -1e38 : x))));
    add(`the largest floats, ${smoothing}`, () => with_(normal.map((x) => x * 2 ** 124)));
    add(`subnormal logits, ${smoothing}`, () => with_(normal.map((x) => x * 2 ** -140)));
    add(`subnormal logits beside ordinary ones, ${smoothing}`, () =>
      with_(normal.map((x, i) => (i % 3 === 0 ? x * 2 ** -140 : x))),
    );
    add(`equal logits, ${smoothing}`, () => with_(new Float32Array(rows * classes).fill(-0.7)));
    add(`zeros of both signs, ${smoothing}`, () => with_(normal.map((x) => x * 0)));
    // Row r is sure of its target by about 6 r, then of another class.
    add(`confident rows, ${smoothing}`, () => {
      const logits = normal.slice();
      for (let r = 0; r < rows; r++) logits[r * classes + targets[r]] = 6 * r;
      return with_(logits);
    });
    add(`confident and wrong, ${smoothing}`, () => {
      const logits = normal.slice();
      for (let r = 0; r < rows; r++) logits[r * classes + ((targets[r] + 1) % classes)] = 6 * r;
      return with_(logits);
    });
    // Two classes, gaps d: the loss is log1p(e^−d) and goes down to the smallest float.
    add(`two classes, gaps 0 to 120, ${smoothing}`, () => ({
      logits: Float32Array.from({ length: 2 * 121 }, (_, i) => (i % 2 === 0 ? 0 : i >> 1)),
      targets: new Int32Array(121).fill(1),
      options: { classes: 2, labelSmoothing },
    }));
    add(`two classes, gaps 0 to -120, ${smoothing}`, () => ({
      logits: Float32Array.from({ length: 2 * 121 }, (_, i) => (i % 2 === 0 ? 0 : -(i >> 1))),
      targets: new Int32Array(121).fill(1),
      options: { classes: 2, labelSmoothing },
    }));
  }

  // The largest logit anywhere up to ±2^21, one other logit near where exponentials become 0 and the rest far below.
  for (const labelSmoothing of [0, 0.1]) {
    const rows = 4096;
    const random = mulberry32(61);
    add(`one large logit and others just above or below 2^-126 of it, smoothing ${labelSmoothing}`, () => {
      const logits = new Float32Array(rows * 4);
      for (let r = 0; r < rows; r++) {
        const most = (random() < 0.5 ? 1 : -1) * 2 ** Math.floor(22 * random()) * (0.5 + random() / 2);
        logits.set([most, most - 80 - 20 * random(), most - 1e4, most - 1e6 * random()], r * 4);
      }
      return { logits, targets: classIndices(rows, 4, 62), options: { classes: 4, labelSmoothing } };
    });
  }

  // The same for the largest logits that are not shifted, where the reduction of exp's argument has least room.
  add('one logit near ±2^20, the others far below', () => {
    const rows = 16_384;
    const random = mulberry32(63);
    const logits = new Float32Array(rows * 3);
    for (let r = 0; r < rows; r++) {
      const most = (r % 2 === 0 ? 1 : -1) * 2 ** 20 * (0.5 + random() / 2);
      logits.set([most, most - 1e5, most - 1e6], r * 3);
    }
    return { logits, targets: classIndices(rows, 3, 64), options: { classes: 3 } };
  });

  // All mass on one class that is not the target: the loss is log1p of what the others have, at most.
  add('prior on the largest class, smoothing 1', () => ({
    logits: normals(8 * 10, 41, 1).map((x, i) => (i % 10 === 3 ? 4 * Math.floor(i / 10) : x)),
    targets: Int32Array.of(0, 1, 2, 4, 5, 6, 7, 8),
    options: {
      classes: 10,
      labelSmoothing: { epsilon: 1, prior: Float32Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0, 0) },
    },
  }));

  cases.push(
    ...onEveryBackend(
      'no loss is below 0, however little the rounding of a sum leaves of it',
      ({ crossEntropy }) => {
        const rows = 1000;
        const random = mulberry32(43);
        const logits = new Float32Array(rows * 3);
        for (let r = 0; r < rows; r++) {
          const most = 100 * random() - 50;
          logits.set([most, most - 20 - 40 * random(), most - 70], r * 3);
        }
        const labelSmoothing = { epsilon: 1, prior: Float32Array.of(1, 0, 0) };
        const options = { classes: 3, labelSmoothing, reduction: 'none' } as const;
        const { losses } = crossEntropy(logits, new Int32Array(rows).fill(1), options);
        for (const [r, loss] of losses.entries()) if (!(loss >= 0)) fail(`losses[${r}] is ${loss}`);
      },
    ),
  );

  // Weights of very different sizes.
  const uniform = mulberry32(51);
  const spread = (length: number) => Float32Array.from({ length }, () => 2 ** (20 * uniform() - 10));
  const weight = spread(40);
  const rowWeight = spread(16);
  const prior = spread(40);
  for (const over of ['all', 'others'] as const) {
    add(`weights, row weights and a prior from 1/1000 to 1000, over ${over}`, () => ({
      logits: normals(16 * 40, 52, 5),
      targets: classIndices(16, 40, 53),
      options: { classes: 40, weight, rowWeight, labelSmoothing: { epsilon: 0.3, over, prior } },
    }));
  }
  // Nearly all of the prior, and of the weights, is the row's own, and over 'others' leaves it out.
  for (const own of [0, 1, 2, 38, 39]) {
    for (const weighted of [false, true]) {
      add(
        `over others, with a prior of 2^30 for class ${own}, the target${weighted ? ', and its weight' : ''}`,
        () => {
          const few = spread(40).map((x) => x * 2 ** -20);
          few[own] = 2 ** 30;
          return {
            logits: normals(40, 56, 5),
            targets: Int32Array.of(own),
            options: {
              classes: 40,
              labelSmoothing: { epsilon: 0.3, over: 'others', prior: few },
              ...(weighted ? { weight: spread(40).map((x, k) => (k === own ? 2 ** 30 : x)) } : {}),
            },
          };
        },
      );
    }
  }
  add('gradientScale 2^-16 (loss scaling), smoothing 0.1', () => ({
    logits: normals(16 * 40, 54, 5),
    targets: classIndices(16, 40, 55),
    options: { classes: 40, labelSmoothing: 0.1, gradientScale: 2 ** -16 },
  }));
  return cases;
}

/**
 * The row losses of crossEntropy of float64 logits against exact arithmetic, in units in the last place. With u = 2^-53,
 * for up to 32 classes and targets that the rows need not be sure of:
 *
 *     e_k        2.6 u of itself (1.3 units in the last place), that of the target 3 u: its logarithm is reduced in two steps
 *     E = Σ e_k  2.6 u and 5 u of the tree; beyond 32 classes u for each further addition to a lane, in the tests 9 at most
 *     ln(1 + E/e_y) for E ≤ 0.4·e_y: E, e_y, 3 roundings, logSum 4.2 u: 17 u
 *     ln(E + e_y) − ln e_y for others: E's 7.6 u, e_y's times 2.1, logSum's times 2, 3 roundings: 26 u
 *     smoothing  adds non-negative terms, each with 3 roundings more and the sum's 9 u, of lse − max, which has no more
 *
 * That is 2^-48 with 9 u for long rows. (Measured: 3 units in the last place.) The size of the logits is not in it.
 */
const EXACT_LOSS = 32;

function exactCases(): Case[] {
  const shareOf = (epsilon: number, classes: number, own: boolean): Real => {
    // (1 − ε)·own + ε/C: both fractions are exact, and as a double the first is.
    const spread = exactRatio(epsilon, classes);
    if (!own) return spread;
    const { value, scale } = exactRatio(1 - epsilon, 1);
    const by = BigInt(Math.abs(spread.scale - scale));
    if (spread.scale > scale) return { value: (value << by) + spread.value, scale: spread.scale };
    return { value: value + (spread.value << by), scale };
  };
  const cases: Case[] = [];
  const add = (name: string, classes: number, targets: Int32Array, draw: () => Float64Array) => {
    for (const labelSmoothing of [0, 0.25]) {
      let exact: Real[] | undefined;
      cases.push(
        ...onEveryBackend(`${name}, smoothing ${labelSmoothing}`, (functions) => {
          const { crossEntropy } = functions;
          const logits = draw();
          // What is reported besides, and the gradient.
          agree(functions, { type: 'float64', logits, targets, options: { classes, labelSmoothing } });
          exact ??= Array.from(targets, (y, r) => {
            const shares = Array.from({ length: classes }, (_, k) =>
              shareOf(labelSmoothing, classes, k === y),
            );
            return exactSoftmaxLoss(logits.subarray(r * classes, (r + 1) * classes), shares);
          });
          for (const inner of [1, targets.length]) {
            const turned = inner === 1 ? logits : transposed(logits, classes);
            const options = { classes, labelSmoothing, reduction: 'none', inner, gradient: true } as const;
            const { losses } = crossEntropy(turned, targets, options);
            for (const [r, loss] of losses.entries()) {
              const off = ulpsOff(loss, exact[r], 53);
              if (!(off <= EXACT_LOSS)) {
                fail(`losses[${r}] is ${loss}, off by ${off} units in the last place, inner ${inner}`);
              }
            }
          }
        }),
      );
    }
  };
  const transposed = (x: Float64Array, classes: number) => {
    const rows = x.length / classes;
    return x.map((_, i) => x[(i % rows) * classes + Math.floor(i / rows)]);
  };

  for (const offset of [0, 300, -300, 1e4, 5e5, -5e5, 2 ** 19, 1e6, -1e6, 1e8, 2 ** 52]) {
    for (const classes of [2, 10, 300]) {
      const rows = 8;
      const targets = classIndices(rows, classes, 71);
      add(`offset ${offset}, ${classes} classes`, classes, targets, () =>
        Float64Array.from(normals(rows * classes, 72, 2), (x) => x + offset),
      );
    }
  }
  add('equal logits', 2, new Int32Array(9), () => {
    const all = [5e5, -5e5, 1, 1e-300, 123456.789, 2 ** 19, -(2 ** 19), 1e300, -0];
    return Float64Array.from(all.flatMap((x) => [x, x]));
  });
  // Sure of the target, and of the other class; further the losses are subnormal, and there 0 may stand for them.
  for (const target of [0, 1]) {
    const gaps = Float64Array.from({ length: 70 }, (_, i) => 10 * i + 0.123);
    add(`two classes, gaps to 690, target ${target}`, 2, new Int32Array(70).fill(target), () =>
      Float64Array.from(Array.from(gaps, (gap) => [gap, 0]).flat()),
    );
    add(`two classes, gaps to 690 below 1000, target ${target}`, 2, new Int32Array(70).fill(target), () =>
      Float64Array.from(Array.from(gaps, (gap) => [1000.1, 1000.1 - gap]).flat()),
    );
  }
  return cases;
}

export const tables: Table[] = [
  { name: 'accuracy', cases: accuracyCases() },
  { name: 'accuracy in double', cases: exactCases() },
];
