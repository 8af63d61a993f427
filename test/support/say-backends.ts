// Before the tests: says what they leave out where there is no native addon, once, and not again in each process.

import { availableBackends, backend } from 'smoothloss';

export default function setup(): void {
  if (availableBackends().length > 1) return;
  console.warn(
    `Only the JavaScript backend is tested, and tests of the native addon are skipped: ${backend.reason}`,
  );
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --disable-warning=SMOOTHLOSS_NATIVE_MISSING`;
}
