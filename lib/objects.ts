// Objects made without iterators: Array.prototype[Symbol.iterator] may be anyone's, and destructuring, spreads of arrays and
// Object.fromEntries call it.

/** An object with a value for each name. */
export function fromNames<Name extends string, T>(
  names: readonly Name[],
  make: (name: Name, index: number) => T,
): Record<Name, T> {
  const object = {} as Record<Name, T>;
  names.forEach((name, i) => {
    object[name] = make(name, i);
  });
  return object;
}
