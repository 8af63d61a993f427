// The promise: the values are those of ONNX's operators.

import { expect, it } from 'vitest';
import { file, tables } from './conformance/onnx.js';
import { suite } from './support/suite.js';

if (file === undefined) {
  it('agrees with the vectors of ONNX', ({ skip }) => skip('SMOOTHLOSS_ONNX_VECTORS is not set'));
} else {
  suite(tables);
  it('there are cases', () => {
    expect(tables[0].cases.length).toBeGreaterThan(30);
  });
}
