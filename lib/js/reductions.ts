// What several losses sum over columns, beside the loops of Arithmetic. Mirrors native/kernels/reductions-inl.h.

import { type Floats, SEGMENT } from '../batch.js';
import { type Arithmetic, BLOCK } from './arithmetic.js';

/**
 * Σ factor · (z − maximum) in double, of one block and without two columns: for blocks with −Infinity logits, or differences
 * that overflow.
 */
export function exactBelow(
  z: Floats,
  at: number,
  first: number,
  end: number,
  factors: Floats | null,
  skip: number,
  second: number,
  maximum: number,
): number {
  let sum = 0;
  for (let c = first; c < end; c++) {
    const factor = factors === null ? 1 : factors[c];
    if (c === skip || c === second || factor === 0) continue;
    const number = z[at + c];
    if (number === -Infinity) return Number.isNaN(factor) ? NaN : -Infinity;
    sum += factor * (number - maximum);
  }
  return sum;
}

/** The sum of a row in the arithmetic's type. Blocks that need it are added in double, and only those leave out `second`. */
export function belowOf<A extends Floats>(
  arithmetic: Arithmetic<A>,
  z: A,
  at: number,
  n: number,
  factors: A | null,
  skip: number,
  second: number,
  maximum: number,
): number {
  let total = 0;
  let segment = 0;
  for (let first = 0; first < n; first += BLOCK) {
    const end = first + BLOCK < n ? first + BLOCK : n;
    const sum = arithmetic.below(z, at, first, end, factors, skip, maximum);
    segment += sum > -Infinity ? sum : exactBelow(z, at, first, end, factors, skip, second, maximum);
    if (end % SEGMENT === 0 || end === n) {
      total += segment;
      segment = 0;
    }
  }
  return total;
}
