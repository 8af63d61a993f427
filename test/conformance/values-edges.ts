// Where a formula written down as it stands would cancel or overflow: smoothed targets near 0 and 1 in bceWithLogits, form
// 'kl' near its minimum, and factors of the gradient that float32 has no number for.

import type { Call, CallOptions } from '../support/calls.js';
import { normals } from '../support/data.js';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { onEveryBackend } from './backends.js';
import { KINDS, type Kind } from './ordinary.js';
import { everywhere } from './pinned.js';
import { plainCall } from './semantics-family.js';
import { agree } from './semantics-softmax.js';
import { type Case, fail, type Table } from './table.js';

const NONE = { reduction: 'none' } as const;
type Options = Partial<CallOptions>;

/**
 * The oracle takes 1 − t' as (1 − ε)(1 − t) + ε(1 − toward), whose parts are not negative, and allows an error of the loss
 * itself: t' carries 2 roundings and 1 − t' 3, however small they are.
 */
function binaryTargets(): Case[] {
  const targets = [0, 1, 1 - 2 ** -24, 2 ** -24, 0.5, 0.999, 0.3, 2 ** -100];
  const logits = [0, 1e-3, 1, -1, 9, -9, 20, -20, 60, -60];
  const cases: Case[] = [];
  for (const type of ['float32', 'float64'] as const) {
    for (const toward of [0, 2 ** -10, 0.5, 0.9, 1]) {
      cases.push(
        ...onEveryBackend(
          `bceWithLogits of targets near 0 and 1, towards ${toward}: ${type}`,
          (functions) => {
            const classes = targets.length * logits.length;
            for (const epsilon of [0, 1e-7, 1e-3, 0.1, 1 - 2 ** -20, 1]) {
              for (const more of [
                {},
                { posWeight: new Float32Array(classes).fill(2.5) },
                { softcap: 30 },
              ] as Options[]) {
                agree(functions, {
                  name: 'bceWithLogits',
                  type,
                  logits: encode(
                    targets.flatMap(() => logits),
                    type,
                  ),
                  targets: Float32Array.from(targets.flatMap((t) => logits.map(() => t))),
                  options: { classes, labelSmoothing: { epsilon, toward }, ...NONE, ...more },
                });
              }
            }
          },
        ),
      );
    }
  }
  return cases;
}

/**
 * Log-probabilities `apart` from ln t' of every class. nllLoss adds up t'·|ln t' − x|: near the minimum that is `apart`, and
 * the loss about half its square, where t'·|ln t'| is 1 and more.
 */
function minima(): Case[] {
  const rows = 3;
  const cases: Case[] = [];
  for (const classes of [10, 1000]) {
    for (const apart of [0, 1e-5, 1e-3, 0.1]) {
      for (const [name, over, exclude] of [
        ['over all', 'all', []],
        ['over others', 'others', []],
        ['with two classes excluded', 'others', [1, classes - 1]],
      ] as [string, 'all' | 'others', number[]][]) {
        for (const type of ['float32', 'float64'] as const) {
          for (const kind of ['nllLoss', 'crossEntropy'] as const) {
            const what = `${kind} of form 'kl', ${classes} classes, ${apart} from the minimum, ${name}: ${type}`;
            cases.push(
              ...onEveryBackend(what, (functions) => {
                const noise = normals(rows * classes, 81, apart);
                const targets = Int32Array.from({ length: rows }, (_, r) => 2 + r);
                const share = (r: number, k: number) => {
                  const others = over === 'others';
                  const own = k === targets[r];
                  if (exclude.includes(k)) return -30;
                  const spread = 0.1 / (classes - exclude.length - (others ? 1 : 0));
                  return Math.log(own ? 0.9 + (others ? 0 : spread) : spread);
                };
                const logits = Array.from(noise, (x, i) => share(Math.floor(i / classes), i % classes) + x);
                agree(functions, {
                  name: kind,
                  type,
                  logits: encode(logits, type),
                  targets,
                  options: { classes, form: 'kl', labelSmoothing: { epsilon: 0.1, over, exclude }, ...NONE },
                });
              }),
            );
          }
        }
      }
    }
  }
  return cases;
}

/** Gradients within float32 whose upstream gradient, divided by the denominator, is beyond it. */
function largeFactors(): Case[] {
  const cases: Case[] = [];
  const factors: [string, Options][] = [
    ['normalizer 1e-40', { normalizer: 1e-40 }],
    ['normalizer 1e-42, gradientScale -3', { normalizer: 1e-42, gradientScale: -3 }],
    ['normalizer 1e-290', { normalizer: 1e-290 }],
    [
      'normalizer 1e-3, row weights to 1e38',
      { normalizer: 1e-3, rowWeight: Float32Array.of(1e38, 1, 1e37, 0, 3e38) },
    ],
    [
      'row weights of 1e38, gradientScale 1e6',
      { reduction: 'sum', rowWeight: new Float32Array(5).fill(1e38), gradientScale: 1e6 },
    ],
  ];
  const options: [string, Options, (kind: Kind) => boolean][] = [
    ['', {}, () => true],
    [', smoothed', { labelSmoothing: 0.1 }, ([name]) => name !== 'klDiv'],
    [', weights of 1e-3', { weight: new Float32Array(6).fill(1e-3) }, () => true],
    [', inner 5', { inner: 5 }, () => true],
    [', softcap', { softcap: 5 }, ([name]) => name === 'crossEntropy' || name === 'bceWithLogits'],
    [', logitScale 3', { logitScale: 3 }, ([name]) => name === 'crossEntropy' || name === 'bceWithLogits'],
    [', zLoss', { zLoss: 1e-3 }, ([name]) => name === 'crossEntropy'],
  ];
  for (const kind of KINDS) {
    for (const type of NUMBER_TYPES) {
      for (const [what, more, fits] of options) {
        if (!fits(kind)) continue;
        cases.push(
          ...onEveryBackend(`${kind.join(' of ')}${what}: ${type}`, (functions) => {
            for (const [, factor] of factors) {
              agree(functions, small(kind, type, { ...more, ...factor }));
            }
          }),
          {
            name: `the same bits everywhere: ${kind.join(' of ')}${what}: ${type}`,
            run: () => {
              for (const [, factor] of factors) everywhere(small(kind, type, { ...more, ...factor }));
            },
          },
        );
      }
    }
  }
  cases.push(
    ...onEveryBackend('klDiv of two classes, normalizer 1e-40', ({ klDiv }) => {
      const options = { classes: 2, normalizer: 1e-40, gradient: true } as const;
      const { gradient } = klDiv(Float32Array.of(-1, -1), Float32Array.of(0.02, 0.98), options);
      const expected = [-Math.fround(0.02) * 1e40, -(2 ** 128 - 2 ** 104)];
      gradient.forEach((g, i) => {
        if (!(Math.abs(g / expected[i] - 1) < 1e-7)) fail(`gradient[${i}] is ${g}, expected ${expected[i]}`);
      });
    }),
    {
      name: 'streamed gradients, and rows too long for them',
      run: () => {
        for (const [rows, classes, part] of [
          [4100, 1000, {}],
          [480, 8700, {}],
          [3, 140_000, {}],
          [3, 140_000, { softcap: 30 }],
        ] as [number, number, Options][]) {
          const rowWeight = Float32Array.from({ length: rows }, (_, r) => (r % 3 === 1 ? 1e38 : 1));
          const options: CallOptions = { classes, normalizer: 1e-3, rowWeight, labelSmoothing: 0.1, ...part };
          const logits = normals(rows * classes, 91, 5);
          const targets = Int32Array.from({ length: rows }, (_, r) => (7 * r) % classes);
          const parts = everywhere({ logits, targets, options });
          // A row is wrong throughout if it is: p·1e41 of p = 1e-5 is far from what 3.4e38 gives.
          const [, gradient] = parts[parts.length - 1];
          for (let r = 1; r < rows; r += Math.max(3, Math.floor(rows / 30) * 3)) {
            const row = { ...options, rowWeight: rowWeight.subarray(r, r + 1) };
            compareRow(
              logits.subarray(r * classes, (r + 1) * classes),
              targets[r],
              row,
              gradient,
              r * classes,
            );
          }
        }
      },
    },
  );
  return cases;
}

/** Five rows whose gradients are about 1e-2 and less of their factor. */
function small(kind: Kind, type: NumberType, options: Options): Call {
  const call = plainCall(kind, type, options);
  const [name, of] = kind;
  const classes = call.options.classes;
  if (of === 'soft targets' && call.targets instanceof Float32Array && name === 'klDiv') {
    return { ...call, targets: call.targets.map((t) => t * 0.03) };
  }
  if (name !== 'bceWithLogits' && name !== 'crossEntropy') return call;
  // Sure of every second class.
  const logits = Array.from({ length: 5 * classes }, (_, i) => (i % 2 === 0 ? 6 : -6) + (i % 7) / 7);
  return { ...call, logits: encode(logits, type) };
}

function compareRow(
  logits: ArrayLike<number>,
  target: number,
  { classes, rowWeight, normalizer, softcap }: CallOptions,
  gradient: ArrayLike<number>,
  at: number,
): void {
  const z = Array.from(logits, (x) => (softcap === undefined ? x : softcap * Math.tanh(x / softcap)));
  const factor = (rowWeight?.[0] ?? 1) / (normalizer as number);
  const most = z.reduce((a, b) => Math.max(a, b));
  const total = z.reduce((sum, zk) => sum + Math.exp(zk - most), 0);
  const blur = softcap === undefined ? 0 : 2 ** -22 * 2 * softcap; // the rounding of tanh
  for (let k = 0; k < classes; k++) {
    const slope = softcap === undefined ? 1 : 1 - (z[k] / softcap) ** 2;
    const p = Math.exp(z[k] - most) / total;
    const exact = (p - (k === target ? 0.9 : 0) - 0.1 / classes) * slope * factor;
    const largest = 2 ** 128 - 2 ** 104;
    const expected = Math.max(-largest, Math.min(exact, largest));
    if (!(Math.abs(gradient[at + k] - expected) <= (5e-7 + blur) * factor * p + 1e-6 * Math.abs(expected))) {
      fail(`gradient[${k}] of the row at ${at} is ${gradient[at + k]}, expected ${expected}`);
    }
  }
}

export const tables: Table[] = [
  { name: 'accuracy of binary targets near 0 and 1', cases: binaryTargets() },
  { name: "accuracy of form 'kl' near its minimum", cases: minima() },
  { name: 'gradients whose factor float32 does not hold', cases: largeFactors() },
];
