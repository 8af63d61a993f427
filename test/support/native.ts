// Tests that need the native addon, where there is none: skipped, and test/support/say-backends.ts says so and why.

import { availableBackends } from 'smoothloss';
import { it } from 'vitest';

export const hasAddon: boolean = availableBackends().length > 1;

/** A test of the native addon. Where it must be there, SMOOTHLOSS_EXPECT_BACKENDS says so and fails without it. */
export const itNative: typeof it.skip = it.skipIf(!hasAddon);

/** For programs that a test starts and that are to print nothing else: no warning of what is known. */
export const QUIET: NodeJS.ProcessEnv = hasAddon
  ? {}
  : { NODE_OPTIONS: '--disable-warning=SMOOTHLOSS_NATIVE_MISSING' };
