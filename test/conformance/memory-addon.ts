// The addon without its argument checks: what memory safety needs is checked once more, and no byte is touched that is not
// the call's own.

import { detach, resizable } from '../support/memory.js';
import { backends } from './backends.js';
import { Random } from './random.js';
import {
  type Allocate,
  ARGUMENTS,
  type Argument,
  CLASSES,
  each,
  FEATURES,
  garbage,
  LONG,
  layoutsOf,
  loadAddon,
  OPERATIONS,
  RawCall,
  REPORTED,
  ROWS,
  SLOT,
  SUMS,
  sound,
  spoil,
  TARGETS_OFFSET,
  TYPES,
} from './raw-call.js';
import { type Case, fail, near, same, sameElements, type Table } from './table.js';

const show = (value: unknown) =>
  `${Object.prototype.toString.call(value)}${ArrayBuffer.isView(value) ? ` of ${value.byteLength} bytes` : ''}`;

function cases(): Case[] {
  const addon = backends.some(({ backend }) => backend.name !== 'js') ? loadAddon() : undefined;
  if (addon === undefined) return [];
  return [
    {
      name: 'good calls of every operation, on every native backend',
      run: () => {
        for (const call of sound(addon)) {
          const { arrays, slots, operation } = call;
          const inputs = (['logits', 'input', 'linearWeight'] as const).map(
            (name) => arrays[ARGUMENTS.indexOf(name)],
          );
          const before = inputs.map((array) => array?.slice());
          call.on(addon);
          const written = (name: Argument) => arrays[ARGUMENTS.indexOf(name)];
          const gradient = written('gradient') ?? written('inputGradient');
          const rowLoss = written('rowLoss');
          // The third row takes no part, if there is a class for each.
          if (gradient?.every((x) => x === gradient[0])) fail(`no gradient: ${call.what}`);
          if (rowLoss) {
            const sum =
              rowLoss[0] + rowLoss[1] + (operation.targets === 'dense' ? rowLoss[2] : 0) + rowLoss[3];
            near(slots[SUMS], sum, 1e-5 * Math.abs(sum), `the numerator, ${call.what}`);
          }
          if ((inputs[0] || inputs[1]) && !(slots[SUMS] !== 0)) fail(`no numerator: ${call.what}`);
          inputs.forEach((array, n) => {
            if (array?.some((x, i) => x !== before[n]?.[i])) fail(`an input was written: ${call.what}`);
          });
        }
      },
    },
    {
      name: 'a good call with new, without this and with more arguments',
      run: () => {
        const [first] = each();
        same(
          typeof Reflect.construct(addon.compute, [first.buffer, ...first.arrays]),
          'object',
          'what new makes',
        );
        const { compute } = addon;
        same(compute(first.buffer, ...first.arrays, 1, {}, null), undefined, 'what it returns');
        same(compute.call(null, first.buffer, ...first.arrays), undefined, 'what it returns');
        first.marginsStay();
      },
    },
    {
      name: 'jobs, where arrays can be held or all are shared',
      run: () => {
        for (const operation of OPERATIONS) {
          const starts = (allocate: Allocate) => {
            const { buffer, arrays } = new RawCall(operation, 0, 1, 0, ROWS, CLASSES, allocate);
            return (addon.start(() => {}, buffer, ...arrays) as number) > 0;
          };
          same(
            starts((bytes) => new ArrayBuffer(bytes)),
            addon.holds,
            `it starts, ${operation.name}`,
          );
          same(
            starts((bytes) => new SharedArrayBuffer(bytes)),
            true,
            `it starts, shared, ${operation.name}`,
          );
        }
      },
    },
    {
      name: 'an arena that is none',
      run: () => {
        const [first] = each();
        first.refused(addon, 'no arguments', []);
        const shrunk = resizable(400);
        shrunk.resize(64);
        const gone = new ArrayBuffer(400);
        detach(gone);
        const views = [new Float64Array(100), new Uint8Array(800), new DataView(new ArrayBuffer(800))];
        const nothing = [
          undefined,
          null,
          0,
          'x',
          {},
          [],
          Symbol('x'),
          () => 0,
          1n,
          new SharedArrayBuffer(800),
        ];
        const small = [0, 1, TARGETS_OFFSET - 8, TARGETS_OFFSET - 1].map((bytes) => new ArrayBuffer(bytes));
        for (const value of [...nothing, ...views, ...small, shrunk, gone, new Proxy(first.buffer, {})]) {
          first.refused(addon, `arena ${show(value)}`, [value, ...first.arrays]);
        }
      },
    },
    {
      name: 'an arena with fewer targets than rows',
      run: () => {
        for (const call of each()) {
          const { byteLength } = call.buffer;
          for (const short of [1, 4, byteLength - TARGETS_OFFSET]) {
            call.refused(addon, `${short} bytes too few`, [
              call.buffer.slice(0, byteLength - short),
              ...call.arrays,
            ]);
          }
        }
      },
    },
    {
      name: 'too few arguments',
      run: () => {
        for (const call of each()) {
          const last = call.arrays.findLastIndex((array) => array !== null);
          for (let n = 0; n <= last; n++)
            call.refused(addon, `${n} arrays`, [call.buffer, ...call.arrays.slice(0, n)]);
          addon.compute(call.buffer, ...call.arrays.slice(0, last + 1));
          call.marginsStay();
        }
      },
    },
    {
      name: 'garbage for an array',
      run: () => {
        for (const call of each()) {
          call.wanted.forEach((wanted, place) => {
            if (wanted === null) return;
            for (const value of garbage(wanted))
              call.refused(addon, `${ARGUMENTS[place]} is ${show(value)}`, call.with(place, value));
          });
        }
      },
    },
    {
      name: 'garbage in the place of an array that there is not',
      run: () => {
        for (const call of each()) {
          call.wanted.forEach((wanted, place) => {
            if (wanted !== null || (!call.operation.layer && place >= ARGUMENTS.indexOf('input'))) return;
            call.slots[SLOT.arrays] += 1 << place;
            call.refused(addon, `no ${ARGUMENTS[place]}`);
            call.slots[SLOT.arrays] -= 1 << place;
          });
          const args: unknown[] = call.arrays.map((array) => array ?? Symbol('unused'));
          same(addon.compute(call.buffer, ...args), undefined, `what ${call.what} returns`);
          call.marginsStay();
        }
      },
    },
    {
      name: 'arrays that contradict each other, or none to read from',
      run: () => {
        const without = (operation: number, ...names: Argument[]) => {
          const call = new RawCall(OPERATIONS[operation], 0, 1);
          for (const name of names) call.slots[SLOT.arrays] -= 1 << ARGUMENTS.indexOf(name);
          call.refused(addon, `without ${names}`);
        };
        OPERATIONS.forEach(({ arrays }, i) => {
          if (arrays.includes('logits')) without(i, 'logits');
          if (arrays.includes('input'))
            for (const name of ['input', 'linearWeight'] as const) without(i, name);
          if (arrays.includes('smoothing')) without(i, 'smoothing');
          if (arrays.includes('logits') && arrays.includes('smoothing')) without(i, 'logits', 'smoothing');
        });
        // Labels have no logits, so nothing can be said of those.
        const flagged = new RawCall(OPERATIONS[10], 0, 1);
        flagged.slots[SLOT.metrics] = 1;
        flagged.refused(addon, 'metrics of labels');
        for (const name of ['losses', ...REPORTED] as const) {
          const call = new RawCall(OPERATIONS[10], 0, 1);
          const place = ARGUMENTS.indexOf(name);
          call.slots[SLOT.arrays] += 1 << place;
          const Type = name === 'prediction' ? Int32Array : Float32Array;
          call.refused(addon, `${name} of labels`, call.with(place, new Type(LONG)));
        }
        // Nor has a layer, whose numbers make them.
        for (const operation of OPERATIONS.filter(({ layer }) => layer)) {
          for (const name of ['logits', 'gradient'] as const) {
            const call = new RawCall(operation, 0, 1);
            const place = ARGUMENTS.indexOf(name);
            call.slots[SLOT.arrays] += 1 << place;
            call.refused(addon, `${name} beside a layer`, call.with(place, new Float32Array(LONG)));
          }
        }
        const mixed = new RawCall(OPERATIONS[1], 0, 1);
        mixed.slots[SLOT.arrays] += 1 << ARGUMENTS.indexOf('dense');
        mixed.refused(
          addon,
          'mixed and dense',
          mixed.with(ARGUMENTS.indexOf('dense'), new Float32Array(LONG)),
        );
      },
    },
    {
      name: 'garbage for a number',
      run: () => {
        const integers = [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 63, 2 ** 64, 1e300];
        const many = [2 ** 31, 2 ** 32 + 4, 2 ** 53 - 1, 2 ** 62 + 4];
        for (const call of each()) {
          const { slots, inner, operation } = call;
          const has = (name: Argument) => operation.arrays.includes(name);
          const wrong: Partial<Record<keyof typeof SLOT, number[]>> = {
            backend: [...integers, ...many, addon.backends.length],
            operation: [...integers, ...many, 4],
            type: [...integers, ...many, 4, call.type ^ 2], // the last is not that of the arrays
            arrays: [...integers, 2 ** 32 - 1],
            rows: [...integers, ...many, ROWS + 1, ROWS + inner],
            classes: [...integers, ...many, 0, CLASSES + 1],
            rowStride: [...integers, ...many, 0, CLASSES - 1, slots[SLOT.rowStride] + 1],
            inner: [...integers, 0, 3, 8, ...(inner === 1 ? [2] : [])],
            threads: [...integers, ...many, 0, 1025],
            begin: [...integers, ...many, 1, ROWS + 1],
            end: [...integers, ...many, 2, ROWS + 1],
          };
          if (operation.layer) {
            wrong.features = [...integers, ...many, 0, FEATURES + 1];
            // Logits and gradients of a layer have no strides.
            wrong.rowStride = [...integers, 0, CLASSES - 1];
          }
          if (inner === 1) {
            for (const [name, slot] of [
              ['dense', 'denseStride'],
              ['mask', 'maskStride'],
            ] as const) {
              if (has(name)) wrong[slot] = [...integers, ...many, 0, CLASSES - 1, slots[SLOT[slot]] + 1];
            }
            if (operation.perElement)
              wrong.weightStride = [...integers, ...many, CLASSES - 1, slots[SLOT.weightStride] + 1];
          }
          // Weights per element are for one operation alone.
          if (operation.operation !== 1) wrong.weightStride = [...integers, ...many, CLASSES, CLASSES + 1];
          for (const [name, values] of Object.entries(wrong)) {
            const slot = SLOT[name as keyof typeof SLOT];
            const right = slots[slot];
            for (const value of values) {
              slots[slot] = value;
              call.refused(addon, `${name} is ${value}`);
            }
            slots[slot] = right;
          }
          call.on(addon);
        }
      },
    },
    {
      name: 'no rows: nothing is read or written, whatever the strides',
      run: () => {
        for (const call of each()) {
          call.slots[SLOT.rows] = call.slots[SLOT.end] = 0;
          for (const stride of [SLOT.denseStride, SLOT.maskStride]) call.slots[stride] = 2 ** 53 - 1;
          if (call.inner === 1) call.slots[SLOT.rowStride] = 2 ** 53 - 1;
          const empty = call.wanted.map((wanted, i) => {
            const perClass = wanted?.length === CLASSES || /^linear/.test(ARGUMENTS[i]);
            const perRow = wanted !== null && !perClass;
            return perRow ? new TYPES[wanted.types[0]](0) : call.arrays[i];
          });
          addon.compute(call.buffer, ...empty);
          sameElements(call.slots.subarray(SUMS, SUMS + 5), new Float64Array(5), 'the sums');
          call.marginsStay();
        }
      },
    },
    {
      name: 'no rows of more classes than a segment',
      run: () => {
        for (const operation of OPERATIONS) {
          for (const [type, inner] of operation.layer
            ? [
                [0, 1],
                [1, 1],
              ]
            : [
                [0, 2],
                [1, 1],
                [2, 7],
              ]) {
            for (let backend = 0; backend < addon.backends.length; backend++) {
              const call = new RawCall(operation, type, inner, backend, 0, 32_769);
              call.on(addon);
              sameElements(
                call.slots.subarray(SUMS, SUMS + 5),
                new Float64Array(5),
                `the sums, ${call.what}`,
              );
            }
          }
        }
      },
    },
    {
      name: 'targets out of range take no part',
      run: () => {
        for (const call of sound(addon)) {
          const { arrays, inner, operation, slots } = call;
          call.targets.set([CLASSES, -1, -(2 ** 31), 2 ** 31 - 1]);
          if (operation.layer) slots[SLOT.end] = 0;
          call.on(addon);
          for (const name of ['gradient', 'inputGradient'] as const) {
            arrays[ARGUMENTS.indexOf(name)]?.forEach((x, i) => {
              const column = inner === 1 && name === 'gradient' ? i % slots[SLOT.rowStride] : 0;
              if (column < CLASSES) same(x, 0, `${name}[${i}], ${call.what}`);
            });
          }
          sameElements(slots.subarray(SUMS, SUMS + 5), new Float64Array(5), `the sums, ${call.what}`);
        }
      },
    },
    {
      name: 'second classes out of range are refused',
      run: () => {
        for (const call of each()) {
          const { seconds } = call;
          for (let row = 0; row < seconds.length; row++) {
            const right = seconds[row];
            for (const wrong of [CLASSES, -1, -(2 ** 31), 2 ** 31 - 1]) {
              seconds[row] = wrong;
              call.refused(addon, `second class ${wrong}`);
            }
            seconds[row] = right;
          }
        }
      },
    },
    {
      name: 'numbers of any kind, in slots and arrays',
      run: () => {
        const random = new Random(6);
        const numbers = [0, -0, 1, -1, 0.5, 7, NaN, Infinity, -Infinity, 2 ** 31, 1e300, -1e300, 2 ** -1074];
        for (let n = 0; n < 20; n++) {
          for (const call of sound(addon)) {
            for (let slot = SLOT.priorSum; slot < TARGETS_OFFSET / 8; slot++)
              if (random.once(4)) call.slots[slot] = random.pick(...numbers);
            for (const array of call.arrays) {
              if (array === null || random.once(2)) continue;
              for (let i = 0; i < array.length; i++)
                array[i] = array instanceof Uint16Array ? random.below(2 ** 16) : random.pick(...numbers);
            }
            call.on(addon);
          }
        }
      },
    },
    {
      name: 'arguments that share memory, with each other and with the arena',
      run: () => {
        const random = new Random(7);
        for (let n = 0; n < 10; n++) {
          for (const call of sound(addon)) {
            // The arena with all arrays on its targets and on each other.
            const big = new ArrayBuffer(4096);
            new Uint8Array(big).set(new Uint8Array(call.buffer));
            const shared = call.wanted.map((wanted) => {
              if (wanted === null) return null;
              const at = n === 0 ? TARGETS_OFFSET : 8 * random.below(60);
              return new TYPES[wanted.types[0]](big, at, wanted.length);
            });
            addon.compute(big, ...shared);
          }
        }
      },
    },
    {
      name: 'targets that a layer writes its results to: fewer rows take part than there were',
      run: () => {
        const place = ARGUMENTS.indexOf('prediction');
        for (const call of sound(addon)) {
          if (!call.operation.layer || call.wanted[place] === null) continue;
          for (const offset of [-8, -4, 4]) {
            const arena = new ArrayBuffer(call.buffer.byteLength + 16);
            new Uint8Array(arena).set(new Uint8Array(call.buffer));
            const args = call.with(place, new Int32Array(arena, TARGETS_OFFSET + offset, ROWS));
            args[0] = arena;
            addon.compute(...args);
            call.marginsStay();
          }
        }
      },
    },
    {
      name: 'random garbage',
      run: () => {
        const random = new Random(5);
        let returned = 0;
        for (let n = 0; n < 6000; n++) {
          const backend = random.below(addon.backends.length);
          const operation = random.pick(...OPERATIONS);
          const layout = random.pick(...layoutsOf(operation));
          const call = new RawCall(operation, random.below(4), layout, backend);
          const args: unknown[] = [call.buffer, ...call.arrays];
          spoil(random, call, args);
          try {
            addon.compute(...args);
            returned++;
          } catch (error) {
            same((error as { code: unknown }).code, 'ERR_INTERNAL_ASSERTION', `the code of ${error}`);
          }
          call.marginsStay();
        }
        if (returned < 600) fail(`only ${returned} of the calls got through: the garbage is too plain`);
      },
    },
  ];
}

export const tables: Table[] = [{ name: 'the addon without argument checks', cases: cases() }];
