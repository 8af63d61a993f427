// A table of cases, which vitest and the plain runner (run.ts) both run.

export interface Case {
  readonly name: string;
  /** Throws if something is not as it should be. */
  readonly run: () => void;
}

export interface Table {
  readonly name: string;
  readonly cases: readonly Case[];
}

/** A value in a message, with the sign of zero and all 17 digits. */
export function show(value: unknown): string {
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  return String(value);
}

export function fail(message: string): never {
  throw new Error(message);
}

/** The very same value: NaN is NaN, and -0 is not +0. */
export function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) fail(`${what} is ${show(actual)}, expected ${show(expected)}`);
}

/** At most `tolerance` apart; NaN and the infinities must be the same. */
export function near(actual: number, expected: number, tolerance: number, what: string): void {
  if (Number.isFinite(expected) && Math.abs(actual - expected) <= tolerance) return;
  if (!Number.isFinite(expected) && Object.is(actual, expected)) return;
  fail(`${what} is ${show(actual)}, expected ${show(expected)} ± ${tolerance}`);
}

/** Every element the very same value. */
export function sameElements(actual: ArrayLike<unknown>, expected: ArrayLike<unknown>, what: string): void {
  same(actual.length, expected.length, `the length of ${what}`);
  for (let i = 0; i < expected.length; i++) same(actual[i], expected[i], `${what}[${i}]`);
}

/** The error that `call` throws; fails if it throws none. */
export function errorOf(call: () => unknown): Error & { code?: unknown } {
  try {
    call();
  } catch (error) {
    if (error instanceof Error) return error;
    return fail(`what was thrown is ${show(error)}, not an Error`);
  }
  return fail('nothing was thrown');
}
