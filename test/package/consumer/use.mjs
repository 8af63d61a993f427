// ESM; and `require` gives the same instance.

import { createRequire } from 'node:module';
import * as smoothloss from 'smoothloss';
import { backend, bceWithLogits, crossEntropy, klDiv, nllLoss, smoothLabels } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { report } from './report.cjs';

const imported = { ...smoothloss };
const required = createRequire(import.meta.url)('smoothloss');
const names = Object.keys(required);
if (names.length === 0) throw new Error('require gives nothing');
for (const name of names) {
  if (imported[name] !== required[name]) throw new Error(`import and require differ in ${name}`);
}
const marks = ['default', 'module.exports', '__esModule']; // what Node adds for CommonJS
const more = Object.keys(imported).filter((name) => !names.includes(name) && !marks.includes(name));
if (more.length > 0) throw new Error(`require has no ${more}`);

await report({ backend, bceWithLogits, crossEntropy, klDiv, nllLoss, smoothLabels }, promises);
