// Compiles lib/ twice: to dist as CommonJS, which Node loads by `require` and by `import`, and to dist/esm as ES modules, which
// bundlers take.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

for (const project of ['tsconfig.json', 'tsconfig.esm.json']) {
  const { status } = spawnSync('tsc', ['-p', project], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}

const browser = './host/browser.js';
const scope = {
  type: 'module',
  imports: { '#host': { workerd: browser, browser, default: './host/bundle.js' } },
};
writeFileSync('dist/esm/package.json', `${JSON.stringify(scope, null, 2)}\n`);
