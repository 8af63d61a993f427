// linearCrossEntropy against the float64 oracle: a dumb product makes its logits, the oracle their loss and gradient, and the
// chain rule the gradients of the layer. All products are exact in float32, so that losses are as near as crossEntropy's.

import type { Functions } from 'smoothloss';
import { type Call, type CallOptions, type LayerGradients, make, REPORTS } from '../support/calls.js';
import { decode, type Elements, encode, isHalf, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { oracle } from '../support/oracle.js';
import { type Answer, check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { type Kind, type LayerCall, layerCall } from './ordinary.js';
import { Random } from './random.js';
import { type Case, errorOf, fail, near, same, sameElements, show, type Table } from './table.js';

type Gradients = LayerGradients;
type Name = keyof Gradients;

const NAMES: readonly Name[] = ['input', 'linearWeight', 'linearBias'];
const KINDS = ['indices', 'soft targets', 'mixed targets'] as const;
/** R, D, C: one of everything, around vectors, and around blocks of sums and chunks of rows. */
const SHAPES = [
  [1, 1, 1],
  [3, 1, 2],
  [2, 3, 1],
  [5, 7, 6],
  [33, 31, 17],
  [4, 257, 65],
  [7, 16, 513],
  [600, 5, 9],
] as const;

/** Multiples of 1/8 in [−1, 1]: exact in every type, and so are the sums of some hundred products. */
const eighths = (random: Random, length: number, type: NumberType) =>
  encode(
    Array.from({ length }, () => (random.below(17) - 8) / 8),
    type,
  );

const exactCall = (
  random: Random,
  kind: Kind[1],
  type: NumberType,
  shape: readonly [number, number, number],
): LayerCall => layerCall(random, kind, type, shape, (length) => eighths(random, length, type));

export function run(functions: Functions, call: Call, more: Partial<CallOptions> = {}) {
  const result = make(functions, call, more);
  return { ...result, gradient: (result.gradient ?? {}) as Gradients };
}

/** Everything that there is to ask for, the gradients of all that the call has. */
const everything = { gradient: true, metrics: true, perRow: REPORTS.crossEntropy.perRow };

export const namesOf = ({ options }: LayerCall) =>
  NAMES.filter((name) => name !== 'linearBias' || options.linearBias);

/** The oracle's answer, and each gradient with its tolerance. */
export function expectedOf({ type, features, targets, options, logits: x, linearWeight: w }: LayerCall) {
  const { classes, linearBias } = options;
  const input = decode(x, type);
  const weight = decode(w, type);
  const bias = linearBias === undefined ? undefined : decode(linearBias, type);
  const rows = input.length / features;
  const logits = new (type === 'float64' ? Float64Array : Float32Array)(rows * classes);
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < classes; k++) {
      let sum = bias?.[k] ?? 0;
      for (let d = 0; d < features; d++) sum += input[r * features + d] * weight[k * features + d];
      logits[r * classes + k] = sum;
    }
  }
  const { gradient: _, ...others } = options;
  const result = oracle(logits, targets, others);

  // Each of a sum's products and additions rounds, and each gradient of a logit is off by its own tolerance.
  const [rounding, unit] = type === 'float64' ? [2 ** -53, 4e-15] : [2 ** -24, 5e-7];
  const tiny = type === 'float64' ? 2 ** -1000 : 2 ** -126;
  const tanh = type === 'float64' ? 2 ** -50 : 2 ** -22;
  const sums = (length: number) => ({ exact: new Float64Array(length), tolerance: new Float64Array(length) });
  const gradients = {
    input: sums(input.length),
    linearWeight: sums(weight.length),
    linearBias: sums(classes),
  };
  const add = (
    { exact, tolerance }: ReturnType<typeof sums>,
    i: number,
    at: number,
    by: number,
    n: number,
  ) => {
    const g = result.gradient[at];
    const { relative, z, tiny: small } = result.units.gradient[at];
    exact[i] += g * by;
    tolerance[i] += (unit * relative + tanh * z + tiny * Math.max(1, small)) * Math.abs(by);
    tolerance[i] += (n + 2) * rounding * Math.abs(g * by);
  };
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < classes; k++) {
      const at = r * classes + k;
      if (result.gradient[at] === 0) continue; // whatever the row holds
      add(gradients.linearBias, k, at, 1, rows);
      for (let d = 0; d < features; d++) {
        add(gradients.input, r * features + d, at, weight[k * features + d], classes);
        add(gradients.linearWeight, k * features + d, at, input[r * features + d], rows);
      }
    }
  }
  return { result, gradients };
}

export function agree(
  actual: Gradients,
  { gradients }: ReturnType<typeof expectedOf>,
  names: readonly Name[],
  times = 1,
) {
  same(Object.keys(actual).join(), names.join(), 'the names of the gradients');
  for (const name of names) {
    const { exact, tolerance } = gradients[name];
    const array = actual[name] ?? fail(`no gradient of ${name}`);
    same(array.length, exact.length, `the length of gradient.${name}`);
    for (let i = 0; i < exact.length; i++) {
      near(array[i], times * exact[i], 2 * times * tolerance[i] + 2 ** -126, `gradient.${name}[${i}]`);
    }
  }
}

export const typeOf = ({ type }: LayerCall): NumberType => (type === 'float64' ? type : 'float32');
export const without = ({ gradient: _, ...answer }: ReturnType<typeof run>): Answer => answer;

/** The very same bits, of NaN too. */
function sameAnswers(actual: ReturnType<typeof run>, expected: ReturnType<typeof run>, what: string): void {
  for (const part of ['loss', 'numerator', 'denominator', 'rows'] as const) {
    same(actual[part], expected[part], `${what}: ${part}`);
  }
  sameElements(actual.losses ?? [], expected.losses ?? [], `${what}: losses`);
  for (const name of NAMES) {
    sameElements(actual.gradient[name] ?? [], expected.gradient[name] ?? [], `${what}: gradient.${name}`);
  }
}

/** Cases over every kind of targets and every number type. */
const everyKind = (cases: (kind: Kind[1], type: NumberType, name: string) => Case[]): Case[] =>
  KINDS.flatMap((kind) => NUMBER_TYPES.flatMap((type) => cases(kind, type, `${type}, ${kind}`)));

function values(): Case[] {
  return everyKind((kind, type, name) =>
    SHAPES.flatMap((shape, s) =>
      [0, 1].flatMap((n) => {
        let drawn: { call: LayerCall; expected: ReturnType<typeof expectedOf> } | undefined;
        return onEveryBackend(`${name}, ${shape.join(' × ')}, ${n}`, (functions) => {
          if (drawn === undefined) {
            const call = exactCall(new Random(100 * s + n), kind, type, shape);
            drawn = { call, expected: expectedOf(call) };
          }
          const { call, expected } = drawn;
          const names = namesOf(call);
          const whole = run(functions, call, everything);
          check(without(whole), expected.result, typeOf(call));
          agree(whole.gradient, expected, names);
          // What else is asked for changes nothing.
          const bare = run(functions, call);
          same(bare.numerator, whole.numerator, 'the numerator alone');
          same(bare.loss, whole.loss, 'the loss alone');
          sameElements(bare.losses ?? [], whole.losses ?? [], 'the losses alone');
          for (const one of names) {
            const { gradient } = run(functions, call, { gradient: { [one]: true } });
            same(Object.keys(gradient).join(), one, 'the gradients');
            sameElements(gradient[one] ?? [], whole.gradient[one] ?? [], `gradient.${one} alone`);
          }
        });
      }),
    ),
  );
}

/** Arrays for the gradients of a call, which hold what they should not. */
function filled(call: LayerCall, value: number): Gradients {
  const Type = call.type === 'float64' ? Float64Array : Float32Array;
  const { logits: input, linearWeight, options } = call;
  const gradients: Gradients = {
    input: new Type(input.length).fill(value),
    linearWeight: new Type(linearWeight.length).fill(value),
  };
  if (options.linearBias) gradients.linearBias = new Type(options.classes).fill(value);
  return gradients;
}

function givenArrays(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`given arrays are overwritten: ${name}`, (functions) => {
      const call = exactCall(new Random(1), kind, type, [9, 6, 7]);
      const given = filled(call, NaN);
      const result = run(functions, call, { gradient: given });
      for (const part of namesOf(call)) same(result.gradient[part], given[part], `gradient.${part}`);
      sameAnswers(result, run(functions, call, { gradient: true }), 'a given gradient');
    }),
  );
}

function accumulating(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`accumulate adds to the parameters' gradients: ${name}`, (functions) => {
      for (const shape of [
        [9, 6, 7],
        [600, 3, 5],
      ] as const) {
        const call = exactCall(new Random(2), kind, type, shape);
        const given = filled(call, 0);
        given.input?.fill(NaN);
        const once = run(functions, call, { gradient: true });
        for (const times of [1, 2, 3]) {
          const result = run(functions, call, { gradient: given, accumulate: true });
          same(result.loss, once.loss, 'the loss');
          sameElements(given.input ?? [], once.gradient.input ?? [], 'gradient.input, which is written');
          const { input: _, ...parameters } = result.gradient;
          agree(parameters, expectedOf(call), Object.keys(parameters) as Name[], times);
        }
        // Of one parameter alone, without the input.
        const linearWeight = filled(call, 1).linearWeight ?? fail('none');
        run(functions, call, { gradient: { linearWeight }, accumulate: true });
        const { exact, tolerance } = expectedOf(call).gradients.linearWeight;
        linearWeight.forEach((value, i) => {
          near(value, 1 + exact[i], 2 * tolerance[i] + (type === 'float64' ? 1e-15 : 1e-6), `weight[${i}]`);
        });
      }
    }),
  );
}

function withoutRows(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`rows that take no part: ${name}`, (functions) => {
      const rows = 7;
      const mask = Uint8Array.of(1, 0, 0, 255, 1, 0, 1);
      for (const reduction of ['mean', 'sum', 'none'] as const) {
        const plain = exactCall(new Random(3), kind, type, [rows, 4, 5]);
        const call = { ...plain, options: { ...plain.options, mask, reduction } };
        delete call.options.gradientScale;
        const expected = run(functions, call, everything);
        check(without(expected), expectedOf(call).result, typeOf(call));
        const spoiled = { ...call, logits: call.logits.slice() };
        for (const [r, takesPart] of mask.entries()) {
          if (takesPart === 0) spoiled.logits.set(encode(new Array(4).fill(NaN), type), 4 * r);
        }
        const given = filled(call, NaN);
        const actual = run(functions, spoiled, { ...everything, gradient: given });
        sameAnswers(actual, expected, reduction);
        for (const [r, takesPart] of mask.entries()) {
          if (takesPart !== 0) continue;
          given.input?.subarray(4 * r, 4 * r + 4).forEach((g) => {
            if (!Object.is(g, 0)) fail(`the gradient of row ${r} is ${show(g)}, expected +0`);
          });
          same(actual.perRow?.prediction?.[r], -1, `prediction[${r}]`);
          same(actual.perRow?.loss?.[r], 0, `perRow.loss[${r}]`);
        }
      }
    }),
  );
}

/** Sums over rows go on from one that takes part to the next, whatever lies between. */
function leftOut(): Case[] {
  return NUMBER_TYPES.flatMap((type) =>
    onEveryBackend(`rows that take no part are as if they were not there: ${type}`, (functions) => {
      const [rows, features, classes] = [1200, 5, 9];
      const random = new Random(7);
      const ignored = Array.from({ length: rows }, () => random.once(2));
      const targets = Int32Array.from(ignored, (each) => (each ? -100 : random.below(classes)));
      const draw = (length: number) => encode(random.floats(length, random.normal.bind(random)), type);
      const [logits, linearWeight, linearBias] = [
        draw(rows * features),
        draw(classes * features),
        draw(classes),
      ];
      const call = {
        name: 'linearCrossEntropy',
        type,
        linearWeight,
        options: { classes, linearBias },
      } as const;
      const all = run(functions, { ...call, logits, targets }, everything);
      const few = {
        logits: logits.filter((_, i) => !ignored[Math.floor(i / features)]),
        targets: targets.filter((y) => y !== -100),
      };
      const some = run(functions, { ...call, ...few }, everything);
      const gradient = all.gradient.input?.filter((_, i) => !ignored[Math.floor(i / features)]);
      sameAnswers(
        { ...all, gradient: { ...all.gradient, input: gradient ?? fail('none') } },
        some,
        'all rows',
      );
    }),
  );
}

/** A call without rows, and one whose rows are all masked. */
function nothing(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`no row takes part: ${name}`, (functions) => {
      for (const rows of [0, 4]) {
        const plain = exactCall(new Random(4), kind, type, [rows, 3, 5]);
        const nan = encode(new Array(3 * rows).fill(NaN), type);
        const { classes } = plain.options;
        const linearBias = encode(new Array(classes).fill(1), type);
        const call = { ...plain, logits: nan, options: { classes, linearBias, mask: new Uint8Array(rows) } };
        const fresh = run(functions, call, everything);
        same(fresh.loss, NaN, 'the loss');
        same(fresh.rows, 0, 'rows');
        same(fresh.denominator, 0, 'the denominator');
        const given = run(functions, call, { gradient: filled(call, 7) });
        for (const part of NAMES) {
          for (const gradient of [fresh.gradient[part], given.gradient[part]]) {
            gradient?.forEach((g) => {
              if (!Object.is(g, 0)) fail(`gradient.${part} is ${show(g)}, expected +0`);
            });
          }
        }
        const added = run(functions, call, { gradient: filled(call, 7), accumulate: true });
        added.gradient.input?.forEach((g) => {
          same(g, 0, 'gradient.input');
        });
        added.gradient.linearWeight?.forEach((g) => {
          same(g, 7, 'gradient.linearWeight');
        });
        added.gradient.linearBias?.forEach((g) => {
          same(g, 7, 'gradient.linearBias');
        });
        same(run(functions, call, { whenEmpty: 'zero' }).loss, 0, 'the loss, zero');
        same(errorOf(() => run(functions, call, { whenEmpty: 'error' })).code, 'ERR_EMPTY', 'the code');
      }
    }),
  );
}

function results(): Case[] {
  const keys = (object: object) => Object.keys(object).sort().join(' ');
  return everyKind((kind, type, name) =>
    onEveryBackend(`what a result holds: ${name}`, (functions) => {
      const { linearCrossEntropy } = functions as unknown as Record<string, (...args: unknown[]) => object>;
      const plain = exactCall(new Random(5), kind, type, [3, 2, 4]);
      const { logits: input, linearWeight, targets } = plain;
      const linearBias = encode([1, 2, 3, 4], type);
      const of = (more: object) =>
        linearCrossEntropy(input, linearWeight, targets, {
          classes: 4,
          ...(isHalf(type) ? { dtype: type } : {}),
          ...more,
        }) as { gradient?: Gradients };
      same(linearCrossEntropy.length, 4, 'the number of arguments');
      same(linearCrossEntropy.name, 'linearCrossEntropy', 'the name');
      same(keys(of({})), 'denominator loss numerator rows', 'mean');
      same(keys(of({ gradient: false })), 'denominator loss numerator rows', 'without a gradient');
      same(keys(of({ reduction: 'none' })), 'denominator losses numerator rows', 'none');
      const all = of({ gradient: true, linearBias, metrics: true, perRow: ['lse'] });
      same(keys(all), 'denominator gradient loss metrics numerator perRow rows', 'with everything');
      const Type = type === 'float64' ? 'Float64Array' : 'Float32Array';
      for (const part of NAMES) {
        const array = all.gradient?.[part] ?? fail(`no gradient of ${part}`);
        same(array.constructor.name, Type, `the type of gradient.${part}`);
      }
      same(keys(of({ gradient: true }).gradient ?? fail('none')), 'input linearWeight', 'without linearBias');
      same(keys(of({ gradient: {} }).gradient ?? fail('none')), '', 'a gradient of nothing');
      const some = { input: false, linearWeight: undefined, linearBias: true };
      same(keys(of({ linearBias, gradient: some }).gradient ?? fail('none')), 'linearBias', 'of the bias');
    }),
  );
}

function inputsStay(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`no input is written to, wherever it begins: ${name}`, (functions) => {
      const call = exactCall(new Random(6), kind, type, [5, 9, 11]);
      const expected = run(functions, call, { gradient: true });
      const moved = <A extends Elements>(array: A): A => {
        const larger = new (array.constructor as new (length: number) => A)(array.length + 3);
        larger.set(array, 1);
        return larger.subarray(1, 1 + array.length) as A;
      };
      const { linearBias } = call.options;
      const shifted: LayerCall = {
        ...call,
        logits: moved(call.logits),
        linearWeight: moved(call.linearWeight),
        options: { ...call.options, ...(linearBias === undefined ? {} : { linearBias: moved(linearBias) }) },
      };
      sameAnswers(run(functions, shifted, { gradient: true }), expected, 'shifted');
      sameElements(shifted.logits, call.logits, 'input');
      sameElements(shifted.linearWeight, call.linearWeight, 'linearWeight');
      sameElements(shifted.options.linearBias ?? [], linearBias ?? [], 'linearBias');
    }),
  );
}

export const tables: Table[] = [
  { name: 'linear: values', cases: values() },
  { name: 'linear: gradients', cases: [...givenArrays(), ...accumulating()] },
  { name: 'linear: rows', cases: [...withoutRows(), ...leftOut(), ...nothing()] },
  { name: 'linear: results', cases: [...results(), ...inputsStay()] },
];
