// Runs the tables without a test runner, for machines where one is too slow (emulators) or in the way (sanitizers):
//
//     npm run build:test && node build/test/conformance/run.js [option ...] [name ...]
//
// With names, only the cases whose `table: case` contains one of them run. SMOOTHLOSS_CALLS is the number of random calls,
// 10,000 if not given. Options:
//
//     --except=NAME   not the cases whose `table: case` contains the name
//     --without=LIST  not on these backends: js,scalar
//     --shard=1/2     the first of every two cases, for two processes to share them
//     --update        the tables of bits alone, to write hashes.json anew: after a change of the kernels that was meant to
//                     change bits

import '../emulation/hosted-addon.js';
import { backend } from 'smoothloss';
import '../support/expect-backends.js';
import { backends } from './backends.js';
import { tables as bitsOfIndices } from './bits.js';
import { tables as bitsOfEdges } from './bits-edges.js';
import { tables as bitsOfFamily } from './bits-family.js';
import { tables as bitsOfLinear } from './bits-linear.js';
import { tables as bitsOfPacked } from './bits-packed.js';
import { tables as bitsOfStreamed } from './bits-streamed.js';
import { tables as bitsOfThreads } from './bits-threads.js';
import { tables as errors } from './errors.js';
import { tables as family } from './family.js';
import { tables as linear } from './linear.js';
import { tables as memory } from './memory.js';
import { tables as memoryOfAddon } from './memory-addon.js';
import { tables as onnx, file as onnxFile } from './onnx.js';
import { strayHashes, writeHashes } from './pinned.js';
import { tables as semantics } from './semantics.js';
import { tables as semanticsArrays } from './semantics-arrays.js';
import { tables as semanticsElements } from './semantics-elements.js';
import { tables as semanticsFamily } from './semantics-family.js';
import { tables as semanticsLayouts } from './semantics-layouts.js';
import { tables as semanticsSoftmax } from './semantics-softmax.js';
import type { Table } from './table.js';
import { tables as values } from './values.js';
import { tables as edges } from './values-edges.js';
import { tables as vectors } from './vectors.js';
import { tables as linearVectors } from './vectors-linear.js';

const update = process.argv.includes('--update');
const given = process.argv.slice(2);
const valuesOf = (option: string) =>
  given.filter((each) => each.startsWith(`--${option}=`)).map((each) => each.slice(option.length + 3));
const wanted = given.filter((argument) => !argument.startsWith('--'));
const unwanted = valuesOf('except');
const [shard, shards] = (valuesOf('shard')[0] ?? '1/1').split('/').map(Number);
const bits: Table[] = [
  ...bitsOfIndices,
  ...bitsOfFamily,
  ...bitsOfThreads,
  ...bitsOfStreamed,
  ...bitsOfPacked,
  ...bitsOfLinear,
];
const all: Table[] = update
  ? bits
  : [
      ...vectors,
      ...values,
      ...bitsOfEdges,
      ...family,
      ...onnx,
      ...semantics,
      ...semanticsFamily,
      ...semanticsSoftmax,
      ...semanticsElements,
      ...semanticsLayouts,
      ...semanticsArrays,
      ...edges,
      ...linear,
      ...linearVectors,
      ...errors,
      ...memory,
      ...memoryOfAddon,
      ...bits,
    ];
let counted = 0;
const isChosen = (name: string) =>
  (wanted.length === 0 || wanted.some((part) => name.includes(part))) &&
  !unwanted.some((part) => name.includes(part)) &&
  counted++ % shards === shard - 1;
const chosen = all
  .map(({ name, cases }) => ({ name, cases: cases.filter((each) => isChosen(`${name}: ${each.name}`)) }))
  .filter(({ cases }) => cases.length > 0);

console.log(
  `Node ${process.version}, ${process.platform}-${process.arch}, backends ${backends.map((b) => b.backend.name).join(', ')} (chosen: ${backend.name})`,
);
if (onnxFile === undefined) console.log('without the vectors of ONNX: SMOOTHLOSS_ONNX_VECTORS is not set');
let passed = 0;
let failed = 0;
for (const table of chosen) {
  const start = performance.now();
  let failures = 0;
  for (const { name, run } of table.cases) {
    try {
      run();
      passed++;
    } catch (error) {
      failures++;
      console.log(`FAILED ${table.name}: ${name}\n    ${error instanceof Error ? error.message : error}`);
    }
  }
  failed += failures;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    `${table.name}: ${table.cases.length - failures} of ${table.cases.length} passed, ${seconds} s`,
  );
}
if (update) {
  if (failed > 0 || given.length > 1 || process.env.SMOOTHLOSS_CALLS !== undefined) {
    console.log('hashes.json stays as it is: it is written only when the backends agree on all of it');
    failed++;
  } else {
    writeHashes();
    console.log('hashes.json written');
  }
} else if (strayHashes().length > 0 && process.env.SMOOTHLOSS_CALLS === undefined) {
  console.log(`hashes.json has entries for no case: ${strayHashes().join(', ')}`);
  failed++;
}
if (passed + failed === 0) {
  console.log('no such table');
  failed = 1;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
