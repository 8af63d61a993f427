// The promise: what is in use is known, however much there is: ranges overlap exactly where a list of them says so.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requireFromRoot } from './support/root.js';

const { Ranges } = requireFromRoot('./dist/ranges.js') as typeof import('../dist/ranges.js');

const range = fc
  .tuple(
    fc.oneof(fc.nat(40), fc.nat(5000), fc.constantFrom(2 ** 31, 2 ** 40)),
    fc.oneof(fc.nat(9), fc.nat(3000)),
  )
  .map(([start, length]) => [start, start + length] as const);
type Range = readonly [number, number];
const overlaps = ([a, b]: Range, [c, d]: Range) => Math.max(a, c) < Math.min(b, d);

describe('ranges', () => {
  it('overlap where a list says so, through additions and removals', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(range, fc.nat(3)), { maxLength: 60 }),
        fc.array(range, { maxLength: 20 }),
        (steps, asked) => {
          const ranges = new Ranges();
          const list: Range[] = [];
          steps.forEach(([[start, end], what], i) => {
            if (what === 0 && list.length > 0) {
              const [gone] = list.splice(i % list.length, 1);
              ranges.remove(...gone);
            } else {
              ranges.add(start, end);
              list.push([start, end]);
            }
            for (const [from, to] of [...asked, [start, end] as const]) {
              expect(ranges.overlap(from, to)).toBe(list.some((each) => overlaps(each, [from, to])));
            }
          });
          for (const each of list) ranges.remove(...each);
          expect(ranges.isEmpty).toBe(true);
        },
      ),
    );
  });

  it('look at few, however many there are', () => {
    const ranges = new Ranges();
    for (let i = 0; i < 2000; i++) ranges.add(100 * i, 100 * i + 60);
    for (let i = 0; i < 2000; i++) ranges.add(10, 50);
    let looked = 0;
    const { forEach } = Map.prototype;
    Map.prototype.forEach = function counting(this: Map<unknown, unknown>, action, self) {
      forEach.call(this, (value, key, map) => {
        looked++;
        action.call(self, value, key, map);
      });
    };
    try {
      expect(ranges.overlap(100_060, 100_100)).toBe(false);
      expect(ranges.overlap(50, 60)).toBe(true);
    } finally {
      Map.prototype.forEach = forEach;
    }
    expect(looked).toBeLessThan(30);
  });
});
