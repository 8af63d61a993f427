// `npm run build:faces` writes dist/index.mjs and dist/promises.mjs, by which `import` reaches the CommonJS modules, and
// their declarations. They list each name, since bundlers do not follow a star export from CommonJS.

import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// There may be no binary yet, and none is needed.
process.env.SMOOTHLOSS_BACKEND = 'js';
const require = createRequire(import.meta.url);
const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'dist');

for (const name of ['index', 'promises']) {
  const names = Object.keys(require(path.join(dist, `${name}.js`)));
  writeFileSync(path.join(dist, `${name}.mjs`), `export { ${names.join(', ')} } from './${name}.js';\n`);
  writeFileSync(path.join(dist, `${name}.d.mts`), `export * from './${name}.js';\n`);
}
