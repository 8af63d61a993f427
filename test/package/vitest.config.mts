// npm run test:package, apart from the suite: it needs the prebuilt binary of this platform (npm run build:prebuilt).

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/package/*.ts'],
    globalSetup: 'test/package/support/pack.ts',
    testTimeout: 900_000,
    hookTimeout: 120_000,
    allowOnly: false,
  },
});
