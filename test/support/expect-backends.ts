// SMOOTHLOSS_EXPECT_BACKENDS=avx2,scalar,js: the backends that must run here; `native` is any native one. A backend that has gone missing would
// otherwise take its tests with it, and everything left would pass.

import { availableBackends } from 'smoothloss';

const expected = process.env.SMOOTHLOSS_EXPECT_BACKENDS;
if (expected !== undefined && expected !== '') {
  const found = availableBackends().join(',');
  const asExpected = expected === 'native' ? found !== 'js' : found === expected.split(/[\s,]+/).join(',');
  if (!asExpected) {
    throw new Error(`SMOOTHLOSS_EXPECT_BACKENDS is ${expected}, but the backends here are ${found}`);
  }
}
