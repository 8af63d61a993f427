// The promise: a message that says what to do instead is right. Here every hint is followed: the expression that it names is
// evaluated with the very arguments that were refused, and the call goes on.

import { availableBackends, loadBackend, smoothLabels } from 'smoothloss';
import { describe, expect, it } from 'vitest';
import {
  argumentsOf,
  type Call,
  everyRefusal,
  type FunctionName,
  HINT,
} from './conformance/errors/refusal.js';
import './conformance/errors.js';

type Options = Record<string, unknown>;

const functions = loadBackend(availableBackends()[0]);

/** Calls a function of the package with arguments of any kind. */
function run(name: FunctionName, call: Call): unknown {
  return (functions[name] as unknown as (...all: unknown[]) => unknown)(...argumentsOf(name, call));
}

function messageOf(name: FunctionName, call: Call): string {
  try {
    run(name, call);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

/** The loss, or the labels. */
function lossOf(result: unknown): unknown {
  if (ArrayBuffer.isView(result)) return [...(result as Float32Array)];
  const { loss, losses } = result as { loss?: number; losses?: Float32Array };
  return losses === undefined ? loss : [...losses];
}

/** What a path like `labelSmoothing.exclude[1]` of the call is replaced by. */
function replaced(call: Call, path: string, value: unknown): Call {
  const [first, ...more] = path.replaceAll(/[[\]]/g, '.').split('.').filter(Boolean);
  const change = (object: unknown, keys: readonly string[]): unknown => {
    if (keys.length === 0) return value;
    const [key, ...rest] = keys;
    const copy = (Array.isArray(object) ? [...object] : { ...(object as Options) }) as Options;
    copy[key] = change(copy[key], rest);
    return copy;
  };
  if (first === 'logits' || first === 'logProbs' || first === 'input')
    return { ...call, logits: change(call.logits, more) };
  if (first === 'linearWeight') return { ...call, linearWeight: change(call.linearWeight, more) };
  if (first === 'targets') return { ...call, targets: change(call.targets, more) };
  if (first === 'options') return { ...call, options: change(call.options, more) };
  return { ...call, options: change(call.options, [first, ...more]) };
}

const AsyncFunction = (async () => {}).constructor as new (
  ...all: string[]
) => (...all: unknown[]) => Promise<unknown>;

/** The call that a hint makes of one that was refused; undefined where the message has none. */
async function followed(call: Call, message: string): Promise<Call | undefined> {
  const meant =
    /^(options|labelSmoothing|targets|gradient)\.(\S+) is not an option: did you mean (\w+)( = .*)?\?$/.exec(
      message,
    );
  if (meant !== null) {
    const [, where, wrong, right, how = ''] = meant;
    const at = where === 'targets' ? call.targets : (call.options as Options);
    const object = (where === 'options' || where === 'targets' ? at : (at as Options)[where]) as Options;
    const { [wrong]: given, ...rest } = object;
    const value = how === '' ? given : new Function(wrong, `return ${how.slice(3)}`)(given);
    return replaced(call, where, { ...rest, [right]: value });
  }
  const path = /^[\w.[\]]+/.exec(message)?.[0] as string;
  const choice = / \(did you mean '(\w+)'(?: and (\w+) '(\w+)')?\?\)$/.exec(message);
  if (choice !== null) {
    const [, value, other, otherValue] = choice;
    const changed = replaced(call, path, value);
    return other === undefined ? changed : replaced(changed, other, otherValue);
  }
  const expression = HINT.exec(message)?.groups?.expression;
  if (expression === undefined) return undefined;
  const options = (call.options ?? {}) as Options;
  const scope: Options = { smoothLabels, ...options, options: call.options };
  scope.logits = scope.logProbs = scope.input = call.logits;
  scope.linearWeight = call.linearWeight;
  scope.targets = call.targets;
  const value = await new AsyncFunction(...Object.keys(scope), `return ${expression}`)(
    ...Object.values(scope),
  );
  // A length that is wrong is told of the logits where the targets are of the wrong kind.
  const ofTargets = /\btargets\b(?!\.)/.test(expression);
  return replaced(call, ofTargets ? 'targets' : path, value);
}

const flat = Float32Array.from({ length: 12 }, (_, i) => Math.sin(3 * i));
const rows = (array: ArrayLike<number>) => [0, 4, 8].map((r) => Array.from(array).slice(r, r + 4));
const classes = Int32Array.of(0, 3, 1);
const oneHot = Float32Array.from({ length: 12 }, (_, i) => (classes[i >> 2] === i % 4 ? 1 : 0));
const soft = Float32Array.from(oneHot, (t, i) => 0.8 * t + 0.05 * (i % 4));
const ones = new Float32Array(3).fill(1);
const mixed = { a: classes, b: Uint8Array.of(1, 1, 2), lambda: 0.25 };

/** As TensorFlow.js has them. */
const tfjs = (dtype: string, data: ArrayBufferView) => ({
  dtype,
  shape: [3, 4],
  data: async () => data,
  dataSync: () => data,
});
/** As onnxruntime has them. */
const onnx = (type: string, data: ArrayBufferView) => ({ type, dims: [3, 4], data, location: 'cpu' });
const onGpu = (data: ArrayBufferView) => ({
  get data(): never {
    throw new Error('The data is not on CPU.');
  },
  getData: async () => data,
});
const bytes = new Uint8Array(flat.buffer);
/** A view of them that begins off the alignment of floats. */
const shifted = Buffer.concat([Buffer.alloc(1), bytes]).subarray(1);

const logitsOf: [string, unknown][] = [
  ['an array', [...flat]],
  ['an array of rows', rows(flat)],
  ['an array of images', [rows(flat)]],
  ['an array of arrays of images', [[rows(flat)]]],
  ['typed arrays', [flat.subarray(0, 4), flat.subarray(4, 8), flat.subarray(8, 12)]],
  ['lists of typed arrays', [[flat.subarray(0, 4), flat.subarray(4, 8), flat.subarray(8, 12)]]],
  ['strings', Array.from(flat, String)],
  ['a tensor of TensorFlow.js', tfjs('float32', flat)],
  ['a tensor of onnxruntime', onnx('float32', flat)],
  ['one on a GPU', onGpu(flat)],
  ['an object whose data are an array', { data: [...flat] }],
  ['an object whose data are rows', { data: rows(flat) }],
  ['a Buffer', Buffer.from(flat.buffer)],
  ['a Buffer at an odd address', shifted],
  ['a DataView', new DataView(flat.buffer)],
  ['a DataView at an odd address', new DataView(shifted.buffer, shifted.byteOffset, 48)],
  ['an ArrayBuffer', flat.buffer],
];
const wholeLogitsOf: [string, unknown][] = [
  ['an Int32Array', Int32Array.from(oneHot)],
  ['BigInts', Array.from(oneHot, BigInt)],
  ['a BigInt64Array', BigInt64Array.from(Array.from(oneHot, BigInt))],
  ['a tensor of integers of TensorFlow.js', tfjs('int32', Int32Array.from(oneHot))],
  ['booleans', Array.from(oneHot, Boolean)],
];
const classesOf: [string, unknown][] = [
  ['an array', [...classes]],
  ['a column', Array.from(classes, (y) => [y])],
  ['an image', [[[...classes]]]],
  ['BigInts', Array.from(classes, BigInt)],
  ['numbers and BigInts', [0, 3n, 1]],
  ['strings', Array.from(classes, String)],
  ['floats', Float32Array.from(classes)],
  ['doubles', Float64Array.from(classes)],
  ['a Uint8ClampedArray', Uint8ClampedArray.from(classes)],
  ['a tensor of TensorFlow.js', tfjs('int32', classes)],
  ['a tensor of floats of TensorFlow.js', tfjs('float32', Float32Array.from(classes))],
  ['a tensor of onnxruntime', onnx('int64', BigInt64Array.from(Array.from(classes, BigInt)))],
  ['a tensor of floats of onnxruntime', onnx('float32', Float32Array.from(classes))],
  ['an object whose data are an array', { data: [...classes] }],
];
const denseOf = (dense: Float32Array): [string, unknown][] => [
  ['an array', [...dense]],
  ['an array of rows', rows(dense)],
  ['typed arrays', [dense.slice(0, 4), dense.slice(4, 8), dense.slice(8)]],
  ['a tensor of TensorFlow.js', tfjs('float32', dense)],
  ['a tensor of onnxruntime', onnx('float32', dense)],
  ['an object whose data are rows', { data: rows(dense) }],
];
const oneHotOf: [string, unknown][] = [
  ['an Int32Array', Int32Array.from(oneHot)],
  ['a BigInt64Array', BigInt64Array.from(Array.from(oneHot, BigInt))],
  ['an Int8Array in a tensor', onnx('int8', Int8Array.from(oneHot))],
  ['booleans', Array.from(oneHot, Boolean)],
];

interface Followed {
  name: string;
  functionName?: FunctionName;
  call: Partial<Call>;
  right: Partial<Call>;
}

const good: Call = { logits: flat, targets: classes, options: { classes: 4 } };
const at = (options: Options) => ({ options: { classes: 4, ...options } });
const wrongOption = (
  functionName: FunctionName,
  wrong: Options,
  right: Options,
  more: Options = {},
): Followed => ({
  name: `${functionName}, options ${Object.keys(wrong)}`,
  functionName,
  call: { ...(functionName === 'klDiv' ? { targets: soft } : {}), ...at({ ...more, ...wrong }) },
  right: { ...(functionName === 'klDiv' ? { targets: soft } : {}), ...at({ ...more, ...right }) },
});

const followedHints: Followed[] = [
  ...logitsOf.map(([name, logits]): Followed => ({ name: `logits: ${name}`, call: { logits }, right: {} })),
  {
    name: 'logits: a tensor in double precision',
    call: { logits: onnx('float64', Float64Array.from(flat)) },
    right: { logits: Float64Array.from(flat) },
  },
  ...wholeLogitsOf.map(
    ([name, logits]): Followed => ({ name: `logits: ${name}`, call: { logits }, right: { logits: oneHot } }),
  ),
  ...(['crossEntropy', 'bceWithLogits', 'nllLoss', 'smoothLabels'] as const).flatMap((functionName) =>
    classesOf.map(
      ([name, targets]): Followed => ({
        name: `classes of ${functionName}: ${name}`,
        functionName,
        call: { targets },
        right: {},
      }),
    ),
  ),
  ...classesOf.map(
    ([name, targets]): Followed => ({
      name: `classes of klDiv: ${name}`,
      functionName: 'klDiv',
      call: { targets },
      right: { targets: oneHot },
    }),
  ),
  ...(['crossEntropy', 'bceWithLogits', 'klDiv', 'smoothLabels'] as const).flatMap((functionName) => [
    ...denseOf(soft).map(
      ([name, targets]): Followed => ({
        name: `probabilities of ${functionName}: ${name}`,
        functionName,
        call: { targets },
        right: { targets: soft },
      }),
    ),
    ...(functionName === 'smoothLabels' ? [] : [...denseOf(oneHot), ...oneHotOf]).map(
      ([name, targets]): Followed => ({
        name: `one-hot rows of ${functionName}: ${name}`,
        functionName,
        call: { targets },
        right: { targets: oneHot },
      }),
    ),
  ]),
  {
    name: 'labels of one logit each, bceWithLogits',
    functionName: 'bceWithLogits',
    call: { logits: ones, targets: [1, 0, 1], options: { classes: 1 } },
    right: { logits: ones, targets: Float32Array.of(1, 0, 1), options: { classes: 1 } },
  },
  {
    name: 'labels of one logit each that are booleans, bceWithLogits',
    functionName: 'bceWithLogits',
    call: { logits: ones, targets: [true, false, true], options: { classes: 1 } },
    right: { logits: ones, targets: Float32Array.of(1, 0, 1), options: { classes: 1 } },
  },
  ...(['bceWithLogits', 'klDiv'] as const).map(
    (functionName): Followed => ({
      name: `mixed targets of ${functionName}`,
      functionName,
      call: { targets: mixed },
      right: { targets: smoothLabels(mixed, { classes: 4 }) },
    }),
  ),
  {
    name: 'mixed targets that are arrays',
    call: { targets: { ...mixed, a: [...classes] } },
    right: { targets: mixed },
  },
  {
    name: 'shares that are an array',
    call: { targets: { ...mixed, lambda: [0.25, 0.5, 1] } },
    right: { targets: { ...mixed, lambda: Float32Array.of(0.25, 0.5, 1) } },
  },
  { name: 'a share in words', call: { targets: { ...mixed, lambda: '0.25' } }, right: { targets: mixed } },
  {
    name: 'a share misspelt',
    call: { targets: { ...mixed, lambda: undefined, lam: 0.25 } },
    right: { targets: mixed },
  },
  { name: 'options are the classes', call: { options: 4 }, right: {} },
  { name: 'classes: a BigInt', call: { options: { classes: 4n } }, right: {} },
  { name: 'classes: a string', call: { options: { classes: '4' } }, right: {} },
  ...(
    [
      ['weight', [1, 2, 3, 4], Float32Array.of(1, 2, 3, 4)],
      ['weight', Float64Array.of(1, 2, 3, 4), Float32Array.of(1, 2, 3, 4)],
      ['weight', Uint8Array.of(1, 2, 3, 4), Float32Array.of(1, 2, 3, 4)],
      ['weight', [1n, 2n, 3n, 4n], Float32Array.of(1, 2, 3, 4)],
      ['weight', tfjs('float32', Float32Array.of(1, 2, 3, 4)), Float32Array.of(1, 2, 3, 4)],
      ['rowWeight', [[1], [2], [3]], Float32Array.of(1, 2, 3)],
      ['rowWeight', onnx('int64', BigInt64Array.of(1n, 2n, 3n)), Float32Array.of(1, 2, 3)],
      ['mask', [true, false, true], Uint8Array.of(1, 0, 1)],
      ['mask', [1, 0, 256], Uint8Array.of(1, 0, 1)],
      ['mask', [[0.5], [0], [1]], Uint8Array.of(1, 0, 1)],
      ['mask', Float32Array.of(0.5, 0, 1), Uint8Array.of(1, 0, 1)],
      ['mask', tfjs('bool', Uint8Array.of(1, 0, 1)), Uint8Array.of(1, 0, 1)],
      ['mask', tfjs('int32', Int32Array.of(256, 0, 1)), Uint8Array.of(1, 0, 1)],
      ['ignoreIndex', Int32Array.of(1, 3), [1, 3]],
      ['ignoreIndex', new Set([1, 3]), [1, 3]],
      ['ignoreIndex', BigInt64Array.of(1n, 3n), [1, 3]],
      ['ignoreIndex', '3', 3],
      ['ignoreIndex', 3n, 3],
      ['ignoreIndex', [1, 3n], [1, 3]],
      ['labelSmoothing', '0.1', 0.1],
      ['labelSmoothing', [0.1, 0.2, 0], { epsilon: Float32Array.of(0.1, 0.2, 0) }],
      ['labelSmoothing', Float32Array.of(0.1, 0.2, 0), { epsilon: Float32Array.of(0.1, 0.2, 0) }],
      ['labelSmoothing', { eps: 0.1 }, 0.1],
      ['labelSmoothing', { epsilon: '0.1' }, 0.1],
      ['labelSmoothing', { epsilon: [0.1, 0.2, 0] }, { epsilon: Float32Array.of(0.1, 0.2, 0) }],
      ['labelSmoothing', { epsilon: 0.1, over: 'other' }, { epsilon: 0.1, over: 'others' }],
      ['labelSmoothing', { epsilon: 0.1, exclude: new Set([2]) }, { epsilon: 0.1, exclude: [2] }],
      ['labelSmoothing', { epsilon: 0.1, pad: 2 }, { epsilon: 0.1, exclude: 2 }],
      [
        'labelSmoothing',
        { epsilon: 0.1, prior: [1, 2, 3, 4] },
        { epsilon: 0.1, prior: Float32Array.of(1, 2, 3, 4) },
      ],
      ['reduction', 'Mean', 'mean'],
      ['reduction', 'SUM', 'sum'],
      ['reduction', 'average', 'mean'],
      ['form', 'KL', 'kl'],
      ['form', 'kl_div', 'kl'],
      ['form', 'cross_entropy', 'crossEntropy'],
      ['normalizer', 'Rows', 'rows'],
      ['normalizer', 'weights', 'weight'],
      ['whenEmpty', 'NaN', 'nan'],
      ['perRow', 'nll', ['nll']],
      ['perRow', ['NLL', 'logsumexp'], undefined],
      ['perRow', new Set(['nll', 'lse']), ['nll', 'lse']],
      ['softcap', '30', 30],
      ['inner', 3n, 3],
      ['zLoss', '0.5', 0.5],
    ] as [string, unknown, unknown][]
  ).map(([option, wrong, right], i): Followed => {
    return { name: `${option}, ${i}`, call: at({ [option]: wrong }), right: at({ [option]: right }) };
  }),
  {
    name: 'gradientScale, an array',
    call: at({ reduction: 'none', gradientScale: [1, 2, 3], gradient: true }),
    right: at({ reduction: 'none', gradientScale: Float32Array.of(1, 2, 3), gradient: true }),
  },
  ...(['crossEntropy', 'nllLoss', 'bceWithLogits'] as const).map((functionName): Followed => {
    return {
      name: `batchmean of ${functionName}`,
      functionName,
      call: at({ reduction: 'batchmean', weight: Float32Array.of(1, 2, 3, 4) }),
      right: at({ reduction: 'mean', normalizer: 'rows', weight: Float32Array.of(1, 2, 3, 4) }),
    };
  }),
  ...Object.entries({
    labelSmoothng: 'labelSmoothing',
    label_smoothing: 'labelSmoothing',
    labelSmooting: 'labelSmoothing',
    lableSmoothing: 'labelSmoothing',
    label_smoothing_factor: 'labelSmoothing',
    epsilon: 'labelSmoothing',
    temperature: 'logitScale',
    T: 'logitScale',
    logit_scale: 'logitScale',
    'z-loss': 'zLoss',
    z_loss: 'zLoss',
    lse_square_scale: 'zLoss',
    soft_cap: 'softcap',
    logitSoftcapping: 'softcap',
    softcp: 'softcap',
  }).map(([wrong, right]) => {
    const value = right === 'logitScale' && wrong !== 'logit_scale' ? 1 / 0.4 : 0.4;
    return wrongOption('crossEntropy', { [wrong]: 0.4 }, { [right]: value });
  }),
  ...['ignore_index', 'ignoreIdx', 'ignore', 'padding_idx', 'paddingIdx', 'pad_token_id', 'ignore_class'].map(
    (wrong) => wrongOption('nllLoss', { [wrong]: 3 }, { ignoreIndex: 3 }),
  ),
  ...['pos_weight', 'posWieght', 'posWeights', 'positive_weight'].map((wrong) => {
    const weight = Float32Array.of(1, 2, 3, 4);
    return wrongOption('bceWithLogits', { [wrong]: weight }, { posWeight: weight });
  }),
  ...['sample_weight', 'sampleWeight', 'row_weight', 'rowWeights', 'exampleWeights'].map((wrong) => {
    const weight = Float32Array.of(1, 2, 3);
    return wrongOption('klDiv', { [wrong]: weight }, { rowWeight: weight });
  }),
  ...['class_weight', 'classWeights', 'wieght'].map((wrong) => {
    const weight = Float32Array.of(1, 2, 3, 4);
    return wrongOption('crossEntropy', { [wrong]: weight }, { weight });
  }),
  ...['log_target', 'logtarget', 'logTargets'].map((wrong) =>
    wrongOption('klDiv', { [wrong]: true }, { logTarget: true }),
  ),
  ...['numClasses', 'num_classes', 'C', 'nClasses', 'vocab_size', 'Classes', 'clases'].map(
    (wrong): Followed => {
      return { name: `classes as ${wrong}`, call: { options: { [wrong]: 4 } }, right: {} };
    },
  ),
  wrongOption('klDiv', { reducton: 'sum' }, { reduction: 'sum' }),
  wrongOption('klDiv', { reduction: 'batch_mean' }, { reduction: 'batchmean' }),
  wrongOption('crossEntropy', { num_items_in_batch: 7 }, { normalizer: 7 }),
  wrongOption('crossEntropy', { nomalizer: 7 }, { normalizer: 7 }),
  wrongOption('crossEntropy', { attention_mask: Uint8Array.of(1, 0, 1) }, { mask: Uint8Array.of(1, 0, 1) }),
  wrongOption('smoothLabels', { smoothing: 0.1 }, { labelSmoothing: 0.1 }),
];

describe('followed, a hint leads to the result that was meant', () => {
  it.each(followedHints)('$name', async ({ functionName = 'crossEntropy', call, right }) => {
    const expected = { ...good, ...right };
    let now: Call = { ...good, ...call };
    // A second fault may be hidden by the first.
    for (let i = 0; i < 3; i++) {
      const message = messageOf(functionName, now);
      const next = await followed(now, message);
      if (next === undefined) throw new Error(`no hint: ${message}`);
      now = next;
      try {
        const result = lossOf(run(functionName, now));
        expect(result, message).toEqual(lossOf(run(functionName, expected)));
        return;
      } catch (error) {
        if (!(error as { code?: string }).code?.startsWith('ERR_')) throw error;
      }
    }
    throw new Error(`it does not end: ${messageOf(functionName, now)}`);
  });

  it('none is given where it would mislead', () => {
    const without: [FunctionName, Partial<Call>][] = [
      ['crossEntropy', { logits: new Array(3) }],
      [
        'crossEntropy',
        {
          logits: [
            [1, 2, 3, 4],
            [1, 2, 3],
          ],
        },
      ],
      ['crossEntropy', { logits: [1, [2, 3]] }],
      ['crossEntropy', { logits: ['1', 'two'] }],
      ['crossEntropy', { logits: ['1', ' '] }],
      ['crossEntropy', { logits: [1, null] }],
      ['crossEntropy', { logits: [] }],
      ['crossEntropy', { logits: Buffer.alloc(7) }],
      ['crossEntropy', { targets: [0, undefined, 1] }],
      ['crossEntropy', { targets: [0, 1, 2 ** 60] }], // an Int32Array would make 0 of it, and a class
      ['nllLoss', { targets: [0.5, 0.25, 0.25] }],
      ['nllLoss', { targets: soft }],
      ['crossEntropy', at({ mask: ['0', '1', '1'] })],
      ['crossEntropy', at({ gradient: [...flat] })], // a copy would be written to
      ['crossEntropy', at({ weight: { data: 'none' } })],
      ['crossEntropy', { options: { classes: 2n ** 80n } }],
      ['crossEntropy', { options: { classes: 'four' } }],
      ['crossEntropy', { options: { classes: '' } }],
      ['crossEntropy', at({ labelSmoothing: '1.5' })],
    ];
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    without.push(['crossEntropy', { logits: cyclic }]);
    for (const [name, call] of without) {
      const message = messageOf(name, { ...good, ...call });
      expect(HINT.test(message), message).toBe(false);
    }
  });
});

describe('what is refused anywhere in the tests', () => {
  const refusals = everyRefusal.flatMap(({ name, functionName, list }) =>
    list.map((refusal) => ({ name: `${name}: ${refusal[0]}`, functionName, make: refusal[1] })),
  );
  it.each(refusals)('$name', async ({ functionName, make }) => {
    const call = make();
    const message = messageOf(functionName, call);
    const next = await followed(call, message);
    if (next === undefined) return;
    // Some of these are wrong in their lengths or numbers, too; but they are no longer wrong in what the hint was about.
    const what = (text: string) => text.replace(/ \(.*/, '').replace(/(is|has) .*?: must/, 'must');
    try {
      run(functionName, next);
    } catch (error) {
      expect(what((error as Error).message)).not.toBe(what(message));
    }
  });
});

describe('names', () => {
  it('of other functions lead to those', () => {
    const call = { ...good, ...at({ pos_weight: 1 }) };
    expect(messageOf('crossEntropy', call)).toBe(
      'options.pos_weight is not an option here: bceWithLogits takes posWeight',
    );
    expect(messageOf('klDiv', { ...good, ...at({ temperature: 2 }) })).toBe(
      'options.temperature is not an option here: bceWithLogits, crossEntropy, linearCrossEntropy take logitScale = 1 / temperature',
    );
    expect(messageOf('klDiv', { ...good, ...at({ label_smoothing: 0.1 }) })).toMatch(
      / takes? labelSmoothing \(smoothLabels makes such targets\)$/,
    );
    expect(messageOf('klDiv', { ...good, ...at({ ignoreIndex: 0 }) })).toMatch(
      / \(mask leaves rows out here\)$/,
    );
  });

  it('that a message says a function takes it does take', () => {
    const names = [
      'crossEntropy',
      'linearCrossEntropy',
      'bceWithLogits',
      'klDiv',
      'nllLoss',
      'smoothLabels',
    ] as const;
    const options =
      'classes dtype labelSmoothing weight posWeight rowWeight ignoreIndex mask form logTarget logitScale softcap zLoss reduction normalizer whenEmpty gradient gradientScale rowStride inner metrics perRow threads linearBias accumulate'.split(
        ' ',
      );
    const knows = (name: FunctionName, option: string) =>
      !messageOf(name, { ...good, options: { [option]: Symbol('wrong'), threads: 0 } }).includes(
        'not an option',
      );
    for (const option of options) {
      const takers = names.filter((name) => knows(name, option));
      for (const name of names) {
        if (knows(name, option)) continue;
        const message = messageOf(name, { ...good, options: { [option]: 1 } });
        const told = / here: (.*) takes? /.exec(message)?.[1].split(', ');
        expect(told?.toSorted(), message).toEqual(takers.toSorted());
      }
    }
  });

  it('that mean several things are told both', () => {
    expect(messageOf('crossEntropy', { ...good, ...at({ weights: ones }) })).toBe(
      'options.weights is not an option: did you mean weight, one per class, or rowWeight, one per row?',
    );
  });

  it('that are near none get the list', () => {
    for (const key of ['colour', 'x', 'optimizer', '__proto', 'toString', 'constructor', 'é'.repeat(10)]) {
      expect(messageOf('klDiv', { ...good, ...at({ [key]: 1 }) })).toMatch(
        /is not an option: must be one of classes, /,
      );
    }
  });

  it('as long as a book end early', () => {
    const message = messageOf('klDiv', { ...good, ...at({ ['x'.repeat(2 ** 28)]: 1 }) });
    expect(message.length).toBeLessThan(400);
  });
});

describe('lists that never end', () => {
  it('are not read to their end for a hint', () => {
    const forever = function* () {
      for (;;) yield 1;
    };
    const set = Object.assign(new Set([1]), { [Symbol.iterator]: forever });
    const array = Object.assign(Int32Array.of(1), { [Symbol.iterator]: forever });
    for (const ignoreIndex of [set, array]) {
      expect(messageOf('crossEntropy', { ...good, ...at({ ignoreIndex }) })).toContain('ignoreIndex is ');
    }
  });

  it('of lists without elements are given up', () => {
    const nested = [1, 2, 3].reduce((inner: unknown[]) => new Array(1000).fill(inner), []);
    expect(messageOf('crossEntropy', { ...good, logits: nested })).toContain(
      'logits is an array of length 1000',
    );
  });

  it('a length of the caller’s own is not believed', () => {
    const targets = Object.defineProperty(Float32Array.of(0.1, 0.2, 0.9), 'length', {
      get: () => {
        throw new TypeError('read');
      },
    });
    expect(messageOf('smoothLabels', { ...good, targets, options: { classes: 2 } })).toContain(
      'targets has length 3',
    );
  });
});
