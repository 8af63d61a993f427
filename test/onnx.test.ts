// The promise: the values are those of ONNX's operators.

import { expect, it } from 'vitest';
import { backends } from './conformance/backends.js';
import { file, tables } from './conformance/onnx.js';
import { suite } from './support/suite.js';

if (file === undefined) {
  it('agrees with the vectors of ONNX', ({ skip }) => skip('SMOOTHLOSS_ONNX_VECTORS is not set'));
} else {
  suite(tables);
  it('there are 52 cases, on every backend', () => {
    const cases = tables.reduce((sum, table) => sum + table.cases.length, 0);
    expect(cases).toBe(52 * backends.length);
  });
}
