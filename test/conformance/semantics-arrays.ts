// Of what types arrays may be: weights of float64 logits in double, masks of any integers, and a dtype that says what is
// true anyway.

import { type Call, type CallOptions, decoded, everything, make, oracleOf } from '../support/calls.js';
import { NUMBER_TYPES } from '../support/numbers.js';
import { type Mixed, oracleLabels } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { backends, onEveryBackend } from './backends.js';
import { KINDS, type Kind, labelsCall, ordinaryCall } from './ordinary.js';
import { everywhere, resultBytes, sameBytes } from './pinned.js';
import { Random } from './random.js';
import { randomCall } from './random-calls.js';
import { type Case, errorOf, fail, near, same, type Table } from './table.js';

const FACTORS = ['weight', 'posWeight', 'rowWeight', 'gradientScale'] as const;

/** The call with each Float32Array among its weights, priors, ε and λ turned into another array. */
function withFactors(call: Call, turn: (array: Float32Array) => Float32Array | Float64Array): Call {
  const turned = <T>(value: T): T => (value instanceof Float32Array ? (turn(value) as T) : value);
  const options: CallOptions = { ...call.options };
  for (const name of FACTORS) {
    if (options[name] !== undefined) Object.assign(options, { [name]: turned(options[name]) });
  }
  const { labelSmoothing } = options;
  if (typeof labelSmoothing === 'object') {
    const { epsilon, prior } = labelSmoothing;
    options.labelSmoothing = { ...labelSmoothing, epsilon: turned(epsilon) };
    if (prior !== undefined) options.labelSmoothing.prior = turned(prior);
  }
  const mixed = 'a' in call.targets ? (call.targets as Mixed) : undefined;
  const targets = mixed === undefined ? call.targets : { ...mixed, lambda: turned(mixed.lambda) };
  return { ...call, options, targets };
}

const doubles = (array: Float32Array) => Float64Array.from(array);
/** Numbers that no Float32Array holds, in the same ranges. */
const precise = (array: Float32Array) => Float64Array.from(array, (x) => x * (1 - 2 ** -30));

const SIZES = [1, 5, 31, 33, 65, 513];

function float64Call(kind: Kind, seed: number): Call {
  const random = new Random(seed);
  const classes = random.pick(...SIZES);
  return ordinaryCall(random, kind, 'float64', classes > 300 ? 2 : random.pick(3, 4, 7), classes);
}

function factorCases(): Case[] {
  const calls = (kind: Kind) => Array.from({ length: 60 }, (_, seed) => float64Call(kind, 31_000 + seed));
  return KINDS.flatMap((kind) => [
    ...onEveryBackend(`in double, against the oracle: ${kind.join(', ')}`, (functions) => {
      for (const call of calls(kind)) {
        const more = withFactors(call, precise);
        check(decoded(make(functions, more, everything(more)), 'float64'), oracleOf(more), 'float64');
      }
    }),
    {
      name: `Float32Arrays and the same numbers in double have the same bits: ${kind.join(', ')}`,
      run: () => {
        for (const call of calls(kind)) {
          sameBytes(everywhere(withFactors(call, doubles)), everywhere(call), kind.join(', '));
          everywhere(withFactors(call, precise));
        }
      },
    },
  ]);
}

function extremeCases(): Case[] {
  const logits = Float64Array.of(1, -2, 0.5, 3, 0, 4);
  const call = (labelSmoothing: CallOptions['labelSmoothing'], more: Partial<CallOptions> = {}): Call => ({
    type: 'float64',
    logits,
    targets: Int32Array.of(1, 0),
    options: { classes: 3, labelSmoothing, ...more },
  });
  // A prior is normalised, so its size does not matter, nor that of numbers that vanish beside it.
  const large = Float64Array.of(1, 2, 4);
  const priors: [string, Float64Array][] = [
    ['tiny', large.map((x) => x * 2 ** -1070)],
    ['small', large.map((x) => x * 2 ** -1000)],
    ['large', large.map((x) => x * 2 ** 120)],
  ];
  return [
    ...priors.flatMap(([name, prior]) =>
      (['all', 'others'] as const).flatMap((over) =>
        onEveryBackend(`a ${name} prior over ${over}`, (functions) => {
          for (const form of ['crossEntropy', 'kl'] as const) {
            const expected = oracleOf(call({ epsilon: 0.25, over, prior: large }, { form }));
            const actual = call({ epsilon: 0.25, over, prior }, { form });
            check(decoded(make(functions, actual, everything(actual)), 'float64'), expected, 'float64');
            everywhere(actual);
          }
        }),
      ),
    ),
    {
      name: 'numbers of a prior that are no normal ones count as nothing',
      run: () => {
        const prior = Float64Array.of(1, 2 ** -1060, 2);
        for (const form of ['crossEntropy', 'kl'] as const) {
          const parts = everywhere(call({ epsilon: 0.25, prior }, { form, reduction: 'none' }));
          const [, losses] = parts.find(([name]) => name === 'losses') ?? fail('no losses');
          const without = call({ epsilon: 0.25, prior: Float64Array.of(1, 0, 2) }, { form });
          oracleOf(without).losses.forEach((loss, i) => {
            near(losses[i], loss, 1e-14 * loss, `losses[${i}], ${form}`);
          });
        }
        for (const functions of backends) {
          const left = call({ epsilon: 0.25, over: 'others', prior: Float64Array.of(1, 2 ** -1060, 0) });
          const error = errorOf(() => make(functions, { ...left, targets: Int32Array.of(0, 0) }));
          same(error.code, 'ERR_OUT_OF_RANGE', 'the code where nothing else is left');
        }
      },
    },
  ];
}

function randomFactorCases(): Case[] {
  return [
    {
      name: 'random calls, weights in double',
      run: () => {
        let some = 0;
        for (let seed = 0; seed < 4000; seed++) {
          const call = randomCall(seed);
          const labels = call.name === 'smoothLabels' && call.targets instanceof Float64Array;
          if (call.type !== 'float64' && !labels) continue;
          some++;
          sameBytes(everywhere(withFactors(call, doubles)), everywhere(call), `random call ${seed}`);
          everywhere(withFactors(call, precise));
        }
        if (some < 100) fail(`only ${some} calls were of doubles`);
      },
    },
    ...onEveryBackend('smoothLabels of doubles', (functions) => {
      for (let seed = 0; seed < 60; seed++) {
        const call = labelsCall(new Random(32_000 + seed), 'soft targets', 4, 1 + (seed % 40));
        if (!(call.targets instanceof Float64Array)) continue;
        const more = withFactors(call, precise);
        const labels = make(functions, more).labels ?? fail('no labels');
        // (1 − ε)·t + (ε / Σ prior)·prior: C − 1 additions and 5 other operations each round once, here and in the oracle.
        const tolerance = 2 * (call.options.classes + 4) * 2 ** -53;
        oracleLabels(more.targets, more.options).forEach((label, i) => {
          near(labels[i], label, tolerance * label, `labels[${i}], seed ${seed}`);
        });
      }
    }),
  ];
}

// Each is 0 where the mask is and nowhere else, though its lowest bits are.
const MASKS: readonly [string, (x: number) => number | bigint][] = [
  ['Int8Array', (x) => -x],
  ['Uint8ClampedArray', (x) => x],
  ['Int16Array', (x) => -256 * x],
  ['Uint16Array', (x) => 256 * x],
  ['Int32Array', (x) => -(2 ** 24) * x],
  ['Uint32Array', (x) => 2 ** 24 * x],
  ['BigInt64Array', (x) => -(2n ** 40n) * BigInt(x)],
  ['BigInt64Array', (x) => BigInt(x)],
  ['BigUint64Array', (x) => 2n ** 60n * BigInt(x)],
];

/** The mask in an array of another type, not at the beginning of its memory. */
function maskIn(type: string, mask: ArrayLike<number>, turn: (x: number) => number | bigint): Uint8Array {
  const Type = Reflect.get(globalThis, type) as new (length: number) => Uint8Array;
  const array = new Type(mask.length + 3).subarray(2, 2 + mask.length);
  Array.from(mask).forEach((x, i) => {
    array[i] = turn(x) as number;
  });
  return array;
}

function maskCases(): Case[] {
  const labels: Kind[] = [
    ['smoothLabels', 'indices'],
    ['smoothLabels', 'soft targets'],
  ];
  return [...KINDS, ...labels].map((kind) => ({
    name: `integers of any type: ${kind.join(', ')}`,
    run: () => {
      let some = 0;
      for (let seed = 0; seed < 60; seed++) {
        const random = new Random(33_000 + seed);
        const call =
          kind[0] === 'smoothLabels'
            ? labelsCall(random, kind[1], 4, 5)
            : ordinaryCall(random, kind, NUMBER_TYPES[seed % 4], 6, random.pick(3, 33));
        const { mask } = call.options;
        if (mask === undefined) continue;
        some++;
        const expected = everywhere(call);
        for (const [type, turn] of MASKS) {
          const options = { ...call.options, mask: maskIn(type, mask, turn) };
          for (const functions of backends) {
            const gradient = kind[0] === 'smoothLabels' ? {} : { gradient: true };
            const actual = resultBytes(functions, {
              ...call,
              options: { ...options, ...gradient } as CallOptions,
            });
            sameBytes(actual, expected, `${type}, seed ${seed}, ${functions.backend.name}`);
          }
        }
      }
      if (some < 5) fail(`only ${some} calls had a mask`);
    },
  }));
}

function dtypeCases(): Case[] {
  const Float16 = Reflect.get(globalThis, 'Float16Array') as Uint16ArrayConstructor | undefined;
  const arrays: [string, Float32Array | Float64Array | Uint16Array][] = [
    ['float32', Float32Array.of(1, 2)],
    ['float64', Float64Array.of(1, 2)],
    ['float16', Uint16Array.of(0x3c00, 0x4000)],
    ['bfloat16', Uint16Array.of(0x3f80, 0x4000)],
    ...(Float16 === undefined ? [] : [['float16', Float16.of(1, 2)] as [string, Uint16Array]]),
  ];
  return onEveryBackend('a dtype that is true changes nothing', (functions) => {
    for (const [dtype, logits] of arrays) {
      for (const name of ['crossEntropy', 'bceWithLogits', 'klDiv', 'nllLoss'] as const) {
        const targets = name === 'nllLoss' ? Int32Array.of(1) : Float64Array.of(0.25, 0.75);
        const options = { classes: 2 };
        const { loss } = make(functions, { name, logits: Float64Array.of(1, 2), targets, options });
        const said = make(functions, { name, logits, targets, options: { ...options, dtype } });
        near(said.loss ?? NaN, loss ?? NaN, 1e-6, `${name} of ${dtype}`);
      }
    }
  });
}

export const tables: readonly Table[] = [
  { name: 'weights in double', cases: [...factorCases(), ...extremeCases(), ...randomFactorCases()] },
  { name: 'masks of any integers', cases: maskCases() },
  { name: 'dtype said', cases: dtypeCases() },
];
