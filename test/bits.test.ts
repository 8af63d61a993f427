// The promise: the same bits on every backend, aligned or not, in place or not, by however many threads, today and tomorrow.

import { expect, it } from 'vitest';
import { CALLS, tables } from './conformance/bits.js';
import { tables as edges } from './conformance/bits-edges.js';
import { tables as family } from './conformance/bits-family.js';
import { tables as linear } from './conformance/bits-linear.js';
import { tables as packed } from './conformance/bits-packed.js';
import { tables as streamed } from './conformance/bits-streamed.js';
import { tables as threads } from './conformance/bits-threads.js';
import { strayHashes } from './conformance/pinned.js';
import { suite } from './support/suite.js';

suite(tables);
suite(family);
suite(threads);
suite(streamed);
suite(packed);
suite(linear);
suite(edges);

it('there are 10,000 random calls and no stray hashes', () => {
  expect(CALLS).toBe(10_000);
  expect(strayHashes()).toEqual([]);
});
