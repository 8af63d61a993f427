// npm run test:libraries, apart from the suite: the libraries that the examples use take 900 MB.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/libraries/*.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    allowOnly: false,
  },
});
