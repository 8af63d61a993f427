// Threads, promises, aborts, detached arrays, workers and their ends, all at once, for sanitizers to watch:
//
//     npm run build:test && node build/test/stress.js [rounds]
//
// Every result that is not aborted or detached must have the bits that one thread gives.

import { setImmediate, setTimeout } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { availableBackends, type BackendName, loadBackend } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { KINDS, layerCall, ordinaryCall } from './conformance/ordinary.js';
import { describe, type Part, partsOf, resultBytes, sameBytes } from './conformance/pinned.js';
import { Random } from './conformance/random.js';
import { argumentsOf, type Call, type Returned, reports } from './support/calls.js';
import { detach } from './support/memory.js';
import { encode, NUMBER_TYPES } from './support/numbers.js';

const SHAPES = [
  [1, 66_000],
  [3, 40_000],
  [300, 300],
  [64, 1000],
  [5, 7],
] as const;

/** R, D, C of layers: of several chunks, of one, and one that a thread computes alone. */
const LAYERS = [
  [1100, 24, 40],
  [40, 300, 300],
  [300, 5, 2000],
  [5, 7, 9],
] as const;

const seed = (workerData as { seed: number } | null)?.seed ?? 1;
const rounds = (workerData as { rounds: number } | null)?.rounds ?? Number(process.argv[2] ?? 40);
const random = new Random(seed);

interface Known {
  call: Call;
  expected: Part[];
}
const native = availableBackends().filter((name) => name !== 'js');
const names: readonly BackendName[] = native.length > 0 ? native : ['js'];
const calls: Call[] = [
  ...KINDS.map((kind, k) => {
    const [rows, classes] = SHAPES[k % SHAPES.length];
    return ordinaryCall(random, kind, NUMBER_TYPES[k % 4], rows, classes);
  }),
  ...LAYERS.map((shape, k) => {
    const kind = random.pick('indices', 'soft targets', 'mixed targets');
    const type = NUMBER_TYPES[k];
    const draw = (length: number) => encode(random.floats(length, random.normal), type);
    return layerCall(random, kind, type, shape, draw);
  }),
];
const known: Known[] = calls.map((call) => {
  const options = { ...call.options, ...reports(call), gradient: true };
  const whole = { ...call, options };
  return {
    call: whole,
    expected: resultBytes(loadBackend(names[0]), { ...whole, options: { ...options, threads: 1 } }),
  };
});

let settled = 0;
let aborted = 0;

function check({ call, expected }: Known, result: Returned): void {
  sameBytes(partsOf(result), expected, describe(call));
  settled++;
}

async function later(each: Known, backend: BackendName): Promise<void> {
  const { name = 'crossEntropy', logits } = each.call;
  const controller = new AbortController();
  const mine = random.once(8) ? logits.slice() : logits;
  const more = { threads: random.pick(1, 2, 3, 5), signal: controller.signal };
  const functions = promises.loadBackend(backend) as unknown as Record<
    string,
    (...args: unknown[]) => Promise<Returned>
  >;
  const promise = functions[name](...argumentsOf({ ...each.call, logits: mine }, more));
  if (random.once(4)) void setTimeout(random.below(3)).then(() => controller.abort());
  if (mine !== logits && mine.buffer instanceof ArrayBuffer) detach(mine.buffer);
  try {
    check(each, await promise);
  } catch (error) {
    const { name: kind, code } = error as Error & { code?: string };
    if (kind !== 'AbortError' && code !== 'ERR_INVALID_ARG_TYPE') throw error;
    aborted++;
  }
}

function now(each: Known, backend: BackendName): void {
  const options = { ...each.call.options, threads: random.pick(2, 3, 4) };
  sameBytes(resultBytes(loadBackend(backend), { ...each.call, options }), each.expected, describe(each.call));
  settled++;
}

async function work(): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const running = Array.from({ length: 12 }, () => later(random.pick(...known), random.pick(...names)));
    for (let i = 0; i < 3; i++) {
      now(random.pick(...known), random.pick(...names));
      if (random.once(2)) await setImmediate();
    }
    if (random.once(3)) await setImmediate();
    else await Promise.all(running);
  }
}

/** Workers that do the same; some are stopped in the middle of it, some throw. */
async function workers(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      [1, 2, 3].map(
        (n) =>
          new Promise<void>((resolve, reject) => {
            const worker = new Worker(__filename, { workerData: { seed: 10 * round + n, rounds: 5 } });
            let stopped = false;
            worker.on('error', reject).on('exit', (code) => {
              if (code !== 0 && !stopped) reject(new Error(`a worker ended with ${code}`));
              else resolve();
            });
            worker.on('message', () => {
              if (n === 3) return;
              stopped = true;
              void setTimeout(5 * n).then(() => worker.terminate());
            });
          }),
      ),
    );
  }
}

async function main(): Promise<void> {
  if (!isMainThread) {
    parentPort?.postMessage('begins');
    await work();
    return;
  }
  await Promise.all([work(), workers()]);
  console.log(`${aborted} calls aborted or their arrays detached`);
  console.log(`${settled} passed, 0 failed`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
