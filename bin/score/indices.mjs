// @ts-check

/**
 * Where an element is in an array of that shape: a number if there is one axis, one for each axis if there are more.
 * @param {number} element counted in C order
 * @param {readonly number[]} shape
 */
export function indexOf(element, shape) {
  if (shape.length === 1) return element;
  let rest = element;
  return shape
    .toReversed()
    .map((size) => {
      const index = rest % size;
      rest = Math.floor(rest / size);
      return index;
    })
    .reverse();
}

/**
 * The same in words, as NumPy has them between brackets.
 * @param {number} element
 * @param {readonly number[]} shape
 */
export const inWords = (element, shape) => [indexOf(element, shape)].flat().join(', ');
