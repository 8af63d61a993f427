// @ts-check
// Whether a peer computes what we do, and how far it is from float64.

/** @typedef {{ loss: number, gradient?: ArrayLike<number> }} Answer of the mean */

/**
 * The largest absolute difference of the gradients of the sum, and where; the relative one of the losses.
 * @param {Answer} expected @param {Answer} actual @param {number} rows
 */
export function differences(expected, actual, rows) {
  const loss = actual.loss === expected.loss ? 0 : Math.abs(actual.loss / expected.loss - 1);
  let gradient = 0;
  let at = -1;
  if (expected.gradient && actual.gradient) {
    const { length } = expected.gradient;
    if (actual.gradient.length !== length)
      throw new Error(`${actual.gradient.length} elements, not ${length}`);
    for (let i = 0; i < length; i++) {
      const difference = Math.abs(actual.gradient[i] - expected.gradient[i]) * rows;
      // So that a NaN counts, and stays.
      if (difference <= gradient) continue;
      gradient = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  return { loss, gradient, at };
}

/**
 * What is wrong with a peer's answer, if anything.
 * @param {Answer} expected @param {Answer} actual @param {number} rows
 * @param {{ loss: number, gradient: number }} tolerance
 */
export function disagreement(expected, actual, rows, tolerance) {
  const { loss, gradient, at } = differences(expected, actual, rows);
  if (!(loss <= tolerance.loss))
    return `loss ${actual.loss}, not ${expected.loss} ± ${tolerance.loss} relative`;
  if (gradient <= tolerance.gradient) return undefined;
  const [is, not] = [actual, expected].map((answer) => Number(answer.gradient?.[at]) * rows);
  return `gradient of the sum [${at}] is ${is}, not ${not} ± ${tolerance.gradient}`;
}
