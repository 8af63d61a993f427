// linearCrossEntropy beside F.linear and F.cross_entropy of PyTorch in double precision. Input, weight, bias and logits are
// exact in every number type, so that the oracle's tolerances hold: what follows the logits, and the sums of products.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import {
  type Numbers,
  type PlainOptions,
  type PlainTargets,
  typedOptions,
  typedTargets,
} from '../support/options.js';
import { root } from '../support/root.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { agree, expectedOf, namesOf, run, typeOf, without } from './linear.js';
import type { LayerCall } from './ordinary.js';
import { fail, type Table } from './table.js';

interface Vector {
  name: string;
  options: PlainOptions & { linearBias?: Numbers };
  input: Numbers;
  linearWeight: Numbers;
  targets: PlainTargets;
  expected: {
    loss?: number;
    losses?: Numbers;
    numerator: number;
    denominator: number;
    rows: number;
    gradient: { input: Numbers; linearWeight: Numbers; linearBias?: Numbers };
  };
}

const { cases }: { cases: Vector[] } = JSON.parse(
  readFileSync(path.join(root, 'test/vectors/pytorch-linear.json'), 'utf8'),
);

function layerCall(
  { options: { linearBias, ...options }, targets, ...arrays }: Vector,
  type: NumberType,
): LayerCall {
  const { gradient: _, ...others } = typedOptions(options);
  const typed = (values: Numbers) => encode(Array.from(values, Number), type);
  return {
    name: 'linearCrossEntropy',
    type,
    features: arrays.linearWeight.length / options.classes,
    logits: typed(arrays.input),
    linearWeight: typed(arrays.linearWeight),
    targets: typedTargets(targets),
    options: { ...others, ...(linearBias && { linearBias: typed(linearBias) }) },
  };
}

/** PyTorch's numbers, and the oracle's tolerances of them. */
function expectedBy({ expected: { gradient, losses, ...numbers } }: Vector, call: LayerCall) {
  const { result, gradients } = expectedOf(call);
  for (const name of namesOf(call)) {
    gradients[name].exact = Float64Array.from(gradient[name] ?? fail(`no gradient of ${name}`), Number);
  }
  const rows = losses && { losses: Float64Array.from(losses, Number) };
  return { result: { ...result, ...numbers, ...rows }, gradients };
}

export const tables: Table[] = [
  {
    name: 'linear: values made by PyTorch',
    cases: NUMBER_TYPES.flatMap((type) =>
      cases.flatMap((vector) => {
        let expected: ReturnType<typeof expectedBy> | undefined; // the same for every backend
        return onEveryBackend(`${type}, ${vector.name}`, (functions) => {
          const call = layerCall(vector, type);
          expected ??= expectedBy(vector, call);
          const actual = run(functions, call, { gradient: true });
          check(without(actual), expected.result, typeOf(call));
          agree(actual.gradient, expected, namesOf(call));
        });
      }),
    ),
  },
];
