// Number types and layouts: halves are float32 rounded once, NaN is one pattern of bits, and where a number lies in memory
// changes nothing.

import { type Call, decoded, everything, make, oracleOf } from '../support/calls.js';
import { decode, decodeHalf, encode, encodeHalf, HALVES, isHalf, NUMBER_TYPES } from '../support/numbers.js';
import type { OracleTargets } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { KINDS, laidOut, ordinaryCall } from './ordinary.js';
import { Random } from './random.js';
import { everyKind, plainCall, withRow } from './semantics-family.js';
import { type Case, errorOf, fail, same, sameElements, type Table } from './table.js';

/** The tests' own conversion: all halves there and back, and what is between two of them. */
function conversions(): Case[] {
  return Object.entries(HALVES).map(([name, half]) => ({
    name: `every ${name} and every midpoint`,
    run: () => {
      const { fraction, least, most } = half;
      const infinity = (most - least + 2) << fraction;
      for (let bits = 0; bits < infinity; bits++) {
        for (const sign of [0, 0x8000])
          same(encodeHalf(decodeHalf(bits | sign, half), half), bits | sign, 'a half');
        const x = decodeHalf(bits, half);
        const next = bits + 1 === infinity ? 2 ** (most + 1) : decodeHalf(bits + 1, half);
        const even = bits % 2 === 0 ? bits : bits + 1;
        const middle = (x + next) / 2;
        same(encodeHalf(middle, half), even, `the half nearest to ${middle}`);
        same(encodeHalf(middle * (1 + 2 ** -40), half), bits + 1, `the half nearest to more than ${middle}`);
        same(encodeHalf(middle * (1 - 2 ** -40), half), bits, `the half nearest to less than ${middle}`);
      }
      same(Number.isNaN(decodeHalf(infinity + 1, half)), true, 'NaN');
      same(decodeHalf(0x3c00, HALVES.float16), 1, 'float16 0x3c00');
      same(decodeHalf(0x3f80, HALVES.bfloat16), 1, 'bfloat16 0x3f80');
    },
  }));
}

function halves(): Case[] {
  const types = NUMBER_TYPES.filter(isHalf);
  return KINDS.flatMap((kind) =>
    types.flatMap((type) =>
      onEveryBackend(
        `the gradient is that of float32, rounded once: ${kind[0]} of ${type}, ${kind[1]}`,
        (functions) => {
          for (let seed = 0; seed < 40; seed++) {
            const random = new Random(seed);
            const half = ordinaryCall(random, kind, type, 4, random.pick(1, 5, 33, 70));
            const single: Call = { ...half, type: 'float32', logits: decode(half.logits, type) };
            // Of ordinary size, tiny and beyond the largest half.
            const { gradientScale = 1 } = half.options;
            const times = random.pick(1, 1, 2 ** -18, 2 ** 15, 2 ** -130, 2 ** 126);
            const scaled = typeof gradientScale === 'number' ? { gradientScale: gradientScale * times } : {};
            const expected = make(functions, single, { ...everything(single), ...scaled });
            const actual = make(functions, half, { ...everything(half), ...scaled });
            same(actual.numerator, expected.numerator, 'numerator');
            same(actual.loss, expected.loss, 'loss');
            sameElements(actual.losses ?? [], expected.losses ?? [], 'losses');
            for (const [part, array] of Object.entries(expected.perRow ?? {})) {
              sameElements(Reflect.get(actual.perRow ?? {}, part), array, `perRow.${part}`);
            }
            const rounded = encode(expected.gradient ?? fail('no gradient'), type);
            sameElements(actual.gradient ?? [], rounded, `gradient of call ${seed}`);
          }
        },
      ),
    ),
  );
}

// The built-in, where there is one.
const { Float16Array } = globalThis as unknown as {
  Float16Array?: { new (buffer: ArrayBufferLike): Float32Array; name: string };
};

function float16Arrays(): Case[] {
  if (Float16Array === undefined) return [];
  return KINDS.flatMap((kind) =>
    onEveryBackend(`a Float16Array is its bits: ${kind.join(', ')}`, (functions) => {
      for (let seed = 0; seed < 20; seed++) {
        const call = ordinaryCall(new Random(seed), kind, 'float16', 3, 37);
        const bits = make(functions, call, everything(call));
        const logits = new Float16Array(call.logits.slice().buffer);
        const built: Call = { ...call, type: 'float32', logits };
        const result = make(functions, built, everything(built));
        const gradient = result.gradient ?? fail('no gradient');
        same(gradient.constructor.name, 'Float16Array', 'the type of the gradient');
        sameElements(new Uint16Array(gradient.buffer), bits.gradient ?? [], 'gradient');
        same(result.numerator, bits.numerator, 'numerator');
        const own = new Float16Array(call.logits.slice().buffer);
        const inPlace = make(functions, { ...built, logits: own }, { gradient: own });
        same(inPlace.gradient, own, 'the gradient in place');
        sameElements(
          new Uint16Array(own.buffer).slice(0, 37),
          (bits.gradient ?? []).slice(0, 37),
          'its bits',
        );
      }
    }),
  );
}

const CANONICAL = { float32: 0x7fc00000, float64: 0x7ff80000, float16: 0x7e00, bfloat16: 0x7fc0 };
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The bits of an element, of a double the upper half. */
function bitsOf(array: Float32Array | Float64Array | Uint16Array, i: number): number {
  if (array instanceof Uint16Array) return array[i];
  const words = new Uint32Array(array.buffer, array.byteOffset, array.byteLength / 4);
  return array instanceof Float32Array ? words[i] : words[2 * i + (LITTLE ? 1 : 0)];
}

/** A NaN that is not the canonical one. */
function oddNaN(call: Call): Call {
  const logits = call.logits.slice();
  const words = logits instanceof Uint16Array ? logits : new Uint32Array(logits.buffer);
  const pattern = { float32: 0xffc12345, float64: 0xfff12345, float16: 0xfe12, bfloat16: 0xffd2 };
  const { type = 'float32' } = call;
  words[type === 'float64' && LITTLE ? 1 : 0] = pattern[type];
  return { ...call, logits };
}

function nans(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`NaN is the canonical one: ${name}`, (functions) => {
      const call = plainCall(kind, type, { reduction: 'none' });
      for (const there of [
        oddNaN(call),
        withRow(call, 0, [Infinity, -Infinity, Infinity, NaN, Infinity, NaN]),
      ]) {
        const result = make(functions, there, everything(there));
        let found = 0;
        const arrays = { gradient: result.gradient, losses: result.losses, ...result.perRow };
        for (const [part, array] of Object.entries(arrays)) {
          if (array === undefined || part === 'prediction') continue;
          const half = part === 'gradient' && isHalf(type);
          const numbers = half ? decode(array as Uint16Array, type) : (array as Float32Array);
          const kindOf = half ? type : numbers instanceof Float64Array ? 'float64' : 'float32';
          numbers.forEach((x, i) => {
            if (!Number.isNaN(x)) return;
            found++;
            same(bitsOf(array as Float32Array, i), CANONICAL[kindOf], `the bits of ${part}[${i}]`);
          });
        }
        if (kind[0] === 'crossEntropy' || kind[0] === 'bceWithLogits')
          same(found > 0, true, 'whether there are any');
      }
    }),
  );
}

/** Moves dense arrays of R × C, `by` a function of one of them. */
function moved(
  targets: OracleTargets,
  by: <T extends Float32Array | Float64Array | Uint8Array>(array: T) => T,
): OracleTargets {
  const dense =
    targets instanceof Float32Array || targets instanceof Float64Array || targets instanceof Uint8Array;
  return dense ? by(targets as Float32Array) : targets;
}

function layouts(): Case[] {
  const rows = 6;
  return everyKind((kind, type, name) =>
    [1, 5, 33, 70].flatMap((classes) =>
      onEveryBackend(`the same bits in every layout: ${name}, ${classes} classes`, (functions) => {
        for (let seed = 0; seed < 8; seed++) {
          const drawn = ordinaryCall(new Random(seed), kind, type, rows, classes);
          // The numbers of the call, in rows of C.
          const { rowStride: _, inner: __, ...options } = drawn.options;
          const contiguous = <T extends ArrayLike<number>>(array: T): T => {
            if (array.length === rows * classes && (drawn.options.inner ?? 1) === 1) return array;
            const from = laidOut(
              Array.from({ length: rows * classes }, (_, i) => i),
              rows,
              drawn.options,
              array.length,
            );
            const values = new Array<number>(rows * classes);
            const at = laidOut(new Array(rows * classes).fill(1), rows, drawn.options, array.length);
            from.forEach((i, place) => {
              if (at[place] === 1) values[i] = array[place];
            });
            return (array.constructor as unknown as { from(values: number[]): T }).from(values);
          };
          const dense = (array: ArrayLike<number> | undefined, per: number) =>
            array === undefined || array.length === per ? array : contiguous(array);
          const plain: Call = {
            ...drawn,
            logits: contiguous(drawn.logits),
            targets: moved(drawn.targets, contiguous),
            options: {
              ...options,
              ...(options.weight === undefined ? {} : { weight: dense(options.weight, classes) }),
              ...(options.mask === undefined ? {} : { mask: dense(options.mask, rows) }),
            },
          };
          const expected = make(functions, plain, everything(plain));
          check(decoded(expected, type), oracleOf(plain), type);
          const layouts = [
            { inner: 2 },
            { inner: 3 },
            { inner: rows },
            { rowStride: classes + 1 },
            { rowStride: classes + 32 },
          ];
          for (const layout of layouts) {
            const into = { classes, ...layout };
            const put = <T extends ArrayLike<number>>(array: T): T =>
              (array.constructor as unknown as { from(values: number[]): T }).from(
                laidOut(array, rows, into),
              );
            const { weight, mask } = plain.options;
            const there: Call = {
              ...plain,
              logits: put(plain.logits),
              targets: moved(plain.targets, put),
              options: {
                ...plain.options,
                ...layout,
                ...(weight === undefined || weight.length === classes ? {} : { weight: put(weight) }),
                ...(mask === undefined || mask.length === rows ? {} : { mask: put(mask) }),
              },
            };
            const actual = make(functions, there, everything(there));
            const what = `seed ${seed}, ${JSON.stringify(layout)}`;
            same(actual.numerator, expected.numerator, `${what}: numerator`);
            same(actual.denominator, expected.denominator, `${what}: denominator`);
            same(actual.rows, expected.rows, `${what}: rows`);
            same(actual.loss, expected.loss, `${what}: loss`);
            sameElements(
              actual.gradient ?? [],
              put(expected.gradient ?? fail('no gradient')),
              `${what}: gradient`,
            );
            const { losses } = expected;
            if (losses !== undefined) {
              const there = losses.length === rows && !(kind[0] === 'bceWithLogits' || kind[0] === 'klDiv');
              sameElements(actual.losses ?? [], there ? losses : put(losses), `${what}: losses`);
            }
            for (const [part, array] of Object.entries(expected.perRow ?? {})) {
              sameElements(Reflect.get(actual.perRow ?? {}, part), array, `${what}: perRow.${part}`);
            }
            for (const [part, value] of Object.entries(expected.metrics ?? {})) {
              same(Reflect.get(actual.metrics ?? {}, part), value, `${what}: metrics.${part}`);
            }
          }
        }
      }),
    ),
  );
}

function gaps(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`gaps between rows are not read and not written: ${name}`, (functions) => {
      const rows = 4;
      const classes = 7;
      const rowStride = classes + 3;
      for (let seed = 0; seed < 8; seed++) {
        const drawn = ordinaryCall(new Random(seed), kind, type, rows, classes);
        const { inner: _, ...options } = drawn.options;
        const numbers = decode(drawn.logits, type).subarray(0, rows * classes);
        const gapped = (fill: number) => {
          const values = laidOut(numbers, rows, { classes, rowStride });
          for (let i = 0; i < values.length; i++) if (i % rowStride >= classes) values[i] = fill;
          return encode(values, type);
        };
        const simple = <T extends ArrayLike<number>>(array: T): T =>
          (array as unknown as Float32Array).slice(0, rows * classes) as unknown as T;
        const { weight, mask } = options;
        const call = (fill: number): Call => ({
          ...drawn,
          logits: gapped(fill),
          targets: moved(drawn.targets, simple),
          options: {
            ...options,
            rowStride,
            ...(weight === undefined || weight.length === classes ? {} : { weight: simple(weight) }),
            ...(mask === undefined || mask.length === rows ? {} : { mask: simple(mask) }),
          },
        });
        if (numbers.length < rows * classes) continue;
        const expected = make(functions, call(0), everything(call(0)));
        for (const fill of [NaN, Infinity, 7]) {
          const there = call(fill);
          const before = there.logits.slice();
          const actual = make(functions, there, everything(there));
          same(actual.numerator, expected.numerator, 'numerator');
          sameElements(actual.gradient ?? [], expected.gradient ?? [], 'gradient');
          sameElements(actual.losses ?? [], expected.losses ?? [], 'losses');
          sameElements(there.logits, before, 'the logits afterwards');
          const own = before.slice();
          make(functions, { ...there, logits: own }, { gradient: own });
          own.forEach((g, i) => {
            const inside = i % rowStride < classes;
            same(g, inside ? expected.gradient?.[i] : before[i], `element ${i} in place`);
          });
        }
      }
    }),
  );
}

function refusals(): Case[] {
  return [
    ...onEveryBackend('dtype goes with a Uint16Array, and the other way round', (functions) => {
      for (const [name] of KINDS) {
        const options = { classes: 2 };
        const targets = name === 'klDiv' ? new Float32Array(4) : new Int32Array(2);
        const bits = new Uint16Array(4);
        const without = errorOf(() => make(functions, { name, logits: bits, targets, options }));
        same(without.code, 'ERR_INVALID_ARG_TYPE', 'the code without dtype');
        for (const logits of [new Float32Array(4), new Float64Array(4)]) {
          const error = errorOf(() =>
            make(functions, { name, logits, targets, options }, { dtype: 'float16' }),
          );
          same(error.code, 'ERR_INVALID_ARG_TYPE', 'the code with dtype');
        }
      }
    }),
    ...onEveryBackend(
      'a gradient of another type than the logits is refused, and stays as it is',
      (functions) => {
        for (const type of NUMBER_TYPES) {
          for (const Type of [Float32Array, Float64Array, Uint16Array]) {
            const call = plainCall(['crossEntropy', 'indices'], type);
            if (call.logits instanceof Type) continue;
            const gradient = new Type(call.logits.length).fill(7);
            const error = errorOf(() => make(functions, call, { gradient }));
            same(error.code, 'ERR_INVALID_ARG_TYPE', 'the code');
            same(
              gradient.every((g) => g === 7),
              true,
              'whether it is as before',
            );
          }
        }
      },
    ),
    ...onEveryBackend(
      'rows that are no multiple of inner, and inner with a rowStride, are refused',
      (functions) => {
        for (const [name, targets] of KINDS) {
          const call = plainCall([name, targets]);
          for (const [options, code] of [
            [{ inner: 2 }, undefined],
            [{ inner: 5, rowStride: 7 }, 'ERR_OUT_OF_RANGE'],
            [{ inner: 0 }, 'ERR_OUT_OF_RANGE'],
            [{ inner: 1.5 }, 'ERR_OUT_OF_RANGE'],
            [{ inner: '2' }, 'ERR_INVALID_ARG_TYPE'],
          ] as const) {
            const error = errorOf(() => make(functions, call, options));
            const right = code === undefined ? ['ERR_OUT_OF_RANGE', 'ERR_LENGTH_MISMATCH'] : [code];
            same(
              right.includes(String(error.code)),
              true,
              `whether ${error.code} is a code for ${error.message}`,
            );
          }
          same(
            make(functions, call, { inner: 5, rowStride: 6 }).rows,
            5,
            'rows with a rowStride of the classes',
          );
        }
      },
    ),
  ];
}

export const tables: Table[] = [
  { name: 'conversions of halves', cases: conversions() },
  { name: 'halves', cases: [...halves(), ...float16Arrays()] },
  { name: 'patterns of NaN', cases: nans() },
  { name: 'layouts', cases: [...layouts(), ...gaps()] },
  { name: 'types and layouts refused', cases: refusals() },
];
