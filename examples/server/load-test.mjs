// @ts-check
// What training does to the other requests, with promises and with the blocking loss: npm run bench:server
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { backend } from 'smoothloss';
import { generator } from '../train/random.mjs';
import { UserError } from './options.mjs';

const SERVER = fileURLToPath(new URL('../server.mjs', import.meta.url));
// As many as the server has by default.
const FEATURES = 8;

const HELP = `Sends trainings to the server back to back, and requests meanwhile: once with
promises, once with --blocking.

usage: node examples/server/load-test.mjs [options]

  --seconds <count>       for each of the two, 1 to 300 (10)
  --connections <count>   that send requests, each when it has had its last answer, 1 to 100 (4)
  --path <path>           health or predict (predict)
  --batch <rows>          of a training, 1 to 4096 (2048)
  --classes <count>       of the model, 2 to 100000 (32000)
  -h, --help              this text`;

/**
 * @typedef {object} Options
 * @property {number} seconds
 * @property {number} connections
 * @property {string} path
 * @property {number} batch
 * @property {number} classes
 */

/** @returns {Options | undefined} */
function readOptions() {
  const values = parse();
  if (values.help) {
    console.log(HELP);
    return undefined;
  }
  /** @type {(name: Exclude<keyof typeof values, 'path' | 'help'>, least: number, most: number) => number} */
  const integer = (name, least, most) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new UserError(`--${name} is '${values[name]}': must be an integer from ${least} to ${most}`);
  };
  if (!['health', 'predict'].includes(values.path)) {
    throw new UserError(`--path is '${values.path}': must be health or predict`);
  }
  return {
    seconds: integer('seconds', 1, 300),
    connections: integer('connections', 1, 100),
    path: values.path,
    batch: integer('batch', 1, 4096),
    classes: integer('classes', 2, 100000),
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        seconds: { type: 'string', default: '10' },
        connections: { type: 'string', default: '4' },
        path: { type: 'string', default: 'predict' },
        batch: { type: 'string', default: '2048' },
        classes: { type: 'string', default: '32000' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message}; --help lists the options`);
  }
}

/**
 * A server in a process of its own, on a free port of this machine, with its checkpoints in a folder that
 * goes with it.
 * @param {Options} options
 * @param {string[]} more
 */
async function startServer({ batch, classes }, more) {
  const folder = mkdtempSync(join(tmpdir(), 'smoothloss-load-test-'));
  const shape = ['--features', FEATURES, '--classes', classes, '--max-batch', batch].map(String);
  const place = ['--port', '0', '--checkpoint', join(folder, 'model.ckpt')];
  const server = fork(SERVER, [...place, ...shape, '--quiet', ...more]);
  const exit = once(server, 'exit');
  const [message] = await Promise.race([once(server, 'message'), exit]);
  if (!message?.address) throw new Error(`the server ended with exit code ${message}`);
  return {
    address: String(message.address),
    async stop() {
      server.kill();
      await exit;
      rmSync(folder, { recursive: true });
    },
  };
}

/** @param {Options} options */
function trainingBody({ batch, classes }) {
  const random = generator(1);
  const features = Array.from({ length: batch }, () =>
    Array.from({ length: FEATURES }, () => Math.round(2000 * random() - 1000) / 1000),
  );
  return JSON.stringify({ features, labels: features.map(() => Math.floor(random() * classes)) });
}

/**
 * @param {string} address
 * @param {string} body
 */
async function train(address, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${address}/train`, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`/train answers ${answer.status}: ${await answer.text()}`);
  await answer.arrayBuffer();
}

/**
 * In milliseconds, since the last call.
 * @param {string} address
 */
async function eventLoopDelay(address) {
  const metrics = await (await fetch(`${address}/metrics`)).text();
  /** @param {string} quantile */
  const read = (quantile) => {
    const [, value] = metrics.match(`event_loop_delay_seconds{quantile="${quantile}"} (.*)`) ?? [];
    return 1000 * Number(value);
  };
  return { p50: read('0.5'), p99: read('0.99'), max: read('1') };
}

/**
 * @param {Options} options
 * @param {string[]} more
 */
async function measure(options, more) {
  const { seconds, connections, path } = options;
  const server = await startServer(options, more);
  try {
    const { address } = server;
    const body = trainingBody(options);
    for (let i = 0; i < 3; i++) await train(address, body); // so that all is compiled

    let done = false;
    let trainings = 0;
    const training = (async () => {
      for (; !done; trainings++) await train(address, body);
    })();
    training.catch(() => {}); // seen to below

    await eventLoopDelay(address);
    const request = {
      method: /** @type {const} */ ('POST'),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ features: [new Array(FEATURES).fill(0.5)] }),
    };
    const started = performance.now();
    const result = await autocannon({
      url: `${address}/${path}`,
      duration: seconds,
      connections,
      ...(path === 'predict' ? request : {}),
    });
    done = true;
    const delay = await eventLoopDelay(address);
    await training;
    const elapsed = (performance.now() - started) / 1000;
    return { result, delay, trainings: trainings / elapsed };
  } finally {
    await server.stop();
  }
}

/**
 * @param {Options} options
 * @param {{ name: string, measured: Awaited<ReturnType<typeof measure>> }[]} modes
 */
function print({ seconds, connections, path, batch, classes }, modes) {
  const table = new Table({
    head: ['', ...modes.map(({ name }) => name)],
    colAligns: ['left', ...modes.map(() => /** @type {const} */ ('right'))],
    style: { head: [], border: [] },
  });
  /** @param {string} name @param {(measured: typeof modes[number]['measured']) => string} show */
  const row = (name, show) => table.push([name, ...modes.map(({ measured }) => show(measured))]);
  const ms = (/** @type {number} */ value) => `${value.toFixed(1)} ms`;
  row('answers a second', ({ result }) => result.requests.average.toFixed(0));
  row('answers with an error, time-outs', ({ result }) => String(result.non2xx + result.errors));
  row('trainings a second', ({ trainings }) => trainings.toFixed(2));
  for (const [name, key] of /** @type {const} */ ([
    ['p50', 'p50'],
    ['p90', 'p90'],
    ['p99', 'p99'],
    ['p99.9', 'p99_9'],
    ['max', 'max'],
  ])) {
    row(`latency ${name}`, ({ result }) => ms(result.latency[key]));
  }
  for (const key of /** @type {const} */ (['p50', 'p99', 'max'])) {
    row(`event-loop delay ${key}`, ({ delay }) => ms(delay[key]));
  }
  console.log(
    `/${path} on ${connections} connections for ${seconds} s, while /train gets batches of ${batch} rows,`,
  );
  console.log(`${FEATURES} features and ${classes} classes, back to back; backend ${backend.name}`);
  console.log(table.toString());
}

try {
  const options = readOptions();
  if (options) {
    print(options, [
      { name: 'promises', measured: await measure(options, []) },
      { name: '--blocking', measured: await measure(options, ['--blocking']) },
    ]);
  }
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`load-test: ${error.message}`);
  process.exitCode = 1;
}
