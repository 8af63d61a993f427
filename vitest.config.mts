import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The tests import the built package by its own name, as its users do; Node then loads it, Vite never touches it.
  resolve: {
    alias: {
      'smoothloss/promises': fileURLToPath(new URL('./dist/promises.js', import.meta.url)),
      smoothloss: fileURLToPath(new URL('./dist/index.js', import.meta.url)),
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    globalSetup: 'test/support/say-backends.ts',
    setupFiles: ['test/support/expect-backends.ts'],
    maxWorkers: '100%',
    testTimeout: 300_000, // an emulator takes its time
    allowOnly: false,
    passWithNoTests: false,
  },
});
