// The promise: the training server of examples/ trains and answers meanwhile, refuses what is wrong, and loses nothing
// that a checkpoint has: not at a shutdown, not by kill -9, not with a damaged file.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasAddon } from './support/native.js';
import { root } from './support/root.js';
import { Server } from './support/server.js';

let folder: string;
let servers: Server[];
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-server-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.end('SIGKILL')));
  rmSync(folder, { recursive: true, force: true });
});

async function start(...options: (string | number)[]): Promise<Server> {
  const server = await Server.start(folder, ...options);
  servers.push(server);
  return server;
}

const file = (name = '') => path.join(folder, `model.ckpt${name}`);

const TINY = ['--features', 2, '--classes', 3, '--every', 1];
/** Three points, far apart. */
const POINTS = {
  features: [
    [0, 4],
    [4, -4],
    [-4, -4],
  ],
  labels: [0, 1, 2],
};

const WIDE = ['--features', 2, '--classes', 20000];
/** Some seconds of training for WIDE. */
const LONG = {
  features: Array.from({ length: 512 }, (_, i) => [Math.sin(i), Math.cos(i)]),
  labels: Array.from({ length: 512 }, (_, i) => 39 * i),
  steps: 100,
};

/** Starts a long training, and gives the way to end it from the client's side. */
function trainLong(server: Server) {
  const controller = new AbortController();
  const ended = server.post('/train', LONG, { signal: controller.signal }).catch((error: Error) => error);
  return { ended, abort: () => controller.abort() };
}

describe('training', () => {
  it('makes the loss fall: the same bits with promises and with the blocking loss', async () => {
    const losses = [];
    for (const mode of [[], ['--blocking']]) {
      const server = await start(...TINY, '--quiet', ...mode);
      const first = await server.post('/train', POINTS);
      expect(first).toMatchObject({ status: 200, body: { step: 1, loss: expect.closeTo(Math.log(3), 6) } });
      const second = await server.post('/train', { ...POINTS, steps: 20 });
      expect(second.body).toMatchObject({ step: 21, accuracy: 1 });
      expect(second.body.loss).toBeLessThan(first.body.loss / 2);
      losses.push(second.body.loss);

      const { status, body } = await server.post('/predict', { features: POINTS.features, top: 3 });
      expect(status).toBe(200);
      expect(body).toMatchObject({ step: 21, predictions: [0, 1, 2] });
      for (const [row, likely] of body.probabilities.entries()) {
        expect(likely.map((one: { class: number }) => one.class).sort()).toEqual([0, 1, 2]);
        expect(likely[0].class).toBe(row);
        const sum = likely.reduce(
          (total: number, one: { probability: number }) => total + one.probability,
          0,
        );
        expect(sum).toBeCloseTo(1, 5);
      }
      await server.end('SIGKILL');
      for (const name of readdirSync(folder)) rmSync(path.join(folder, name));
    }
    expect(losses[0]).toBe(losses[1]);
  });

  it('goes on while health and predictions are answered', async () => {
    const server = await start(...WIDE, '--quiet');
    const { ended, abort } = trainLong(server);
    const { step } = await server.until((health) => health.step > 0 && health.running === 1);
    expect(step).toBeLessThan(100);
    const { body } = await server.post('/predict', { features: [[1, 1]] });
    expect(body.step).toBeGreaterThanOrEqual(step);
    expect(body.probabilities[0]).toHaveLength(5);
    expect((await server.health()).running).toBe(1);

    abort();
    expect(await ended).toBeInstanceOf(Error);
    const stopped = await server.until((health) => health.running === 0);
    expect(stopped.step).toBeLessThan(100); // a client that is gone needs no training
    expect((await server.post('/train', { ...LONG, steps: 1 })).body.step).toBe(stopped.step + 1);
  });

  it('is refused when the queue is full', async () => {
    const server = await start(...WIDE, '--quiet', '--queue', 1);
    const running = trainLong(server);
    await server.until((health) => health.running === 1);
    const waiting = trainLong(server);
    await server.until((health) => health.waiting === 1);
    const { status, headers, body } = await server.post('/train', { ...LONG, steps: 1 });
    expect(status).toBe(503);
    expect(body).toMatchObject({ code: 'ERR_QUEUE_FULL', message: 'the queue is full: 1 waiting' });
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);

    waiting.abort();
    await server.until((health) => health.waiting === 0);
    running.abort();
    await server.until((health) => health.running === 0);
    await Promise.all([running.ended, waiting.ended]);
  });
});

describe('validation', () => {
  const [one, label] = [[[1, 2]], [0]];
  const wrong: [string, string, unknown, number, string, string | RegExp][] = [
    ['no labels', '/train', { features: one }, 400, 'FST_ERR_VALIDATION', /'labels'/],
    [
      'no rows',
      '/train',
      { features: [], labels: [] },
      400,
      'FST_ERR_VALIDATION',
      /features must NOT have fewer/,
    ],
    [
      'a short row',
      '/train',
      { features: [[1]], labels: label },
      400,
      'FST_ERR_VALIDATION',
      /features\/0 must/,
    ],
    [
      'a long row',
      '/predict',
      { features: [[1, 2, 3]] },
      400,
      'FST_ERR_VALIDATION',
      /features\/0 must NOT have more/,
    ],
    [
      'a text',
      '/train',
      { features: [['1', 2]], labels: label },
      400,
      'FST_ERR_VALIDATION',
      /0\/0 must be number/,
    ],
    ['infinity', '/predict', '{"features":[[1, 1e999]]}', 400, 'FST_ERR_VALIDATION', /0\/1 must be number/],
    [
      'a huge number',
      '/predict',
      { features: [[1, 1e7]] },
      400,
      'FST_ERR_VALIDATION',
      /0\/1 must be <= 1000000/,
    ],
    [
      'half a label',
      '/train',
      { features: one, labels: [0.5] },
      400,
      'FST_ERR_VALIDATION',
      /labels\/0 must be int/,
    ],
    [
      'no step',
      '/train',
      { features: one, labels: label, steps: 0 },
      400,
      'FST_ERR_VALIDATION',
      /steps must be >= 1/,
    ],
    [
      'a word too much',
      '/train',
      { features: one, labels: label, rate: 1 },
      400,
      'FST_ERR_VALIDATION',
      /additional/,
    ],
    [
      'too many rows',
      '/predict',
      { features: Array(65).fill([1, 2]) },
      400,
      'FST_ERR_VALIDATION',
      /more than 64/,
    ],
    [
      'an unknown class',
      '/train',
      { features: one, labels: [3] },
      400,
      'ERR_OUT_OF_RANGE',
      'labels[0] is 3: must be an integer in [0, 3) or ignoreIndex -100',
    ],
    [
      'labels of other rows',
      '/train',
      { features: one, labels: [0, 1] },
      400,
      'ERR_LENGTH_MISMATCH',
      'labels has length 2: must have 1, one a row',
    ],
    ['only ignored rows', '/train', { features: one, labels: [-100] }, 400, 'ERR_EMPTY', /0 take part/],
    ['half a body', '/train', '{"features"', 400, 'FST_ERR_CTP_INVALID_JSON_BODY', /not valid JSON/],
    ['too long a body', '/train', ' '.repeat(2000), 413, 'FST_ERR_CTP_BODY_TOO_LARGE', /too large/],
  ];

  it('refuses what is wrong and says what', async () => {
    const server = await start('--features', 2, '--classes', 3, '--quiet', '--body-limit', 1024);
    for (const [what, route, body, status, code, message] of wrong) {
      const answer = await server.post(route, body);
      expect(answer, what).toMatchObject({ status, body: { code } });
      if (typeof message === 'string') expect(answer.body.message, what).toBe(message);
      else expect(answer.body.message, what).toMatch(message);
    }
    const bytes = await server.post('/train', 'x', {
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(bytes.status).toBe(415);
    expect((await server.get('/')).status).toBe(404);
    expect(await server.health()).toMatchObject({ step: 0, running: 0, waiting: 0 });
  });

  it.each([
    [['--classes', '1'], "--classes is '1': must be an integer from 2 to 1000000"],
    [['--nonsense'], "Unknown option '--nonsense'; --help lists the options"],
  ])('of the command line: %j', async (args, message) => {
    const server = Server.run([folder, ...args]);
    expect(await server.exit).toBe(1);
    expect(server.log).toBe(`server: ${message}\n`);
  });
});

describe('metrics', () => {
  it('are there', async () => {
    const server = await start(...TINY, '--quiet');
    await server.post('/train', { ...POINTS, steps: 3 });
    await server.post('/train', { features: [] });
    await server.until((health) => health.checkpoint === 3);
    const metrics = await server.metrics();
    const requests = (status: number) =>
      `http_request_duration_seconds_count{method="POST",route="/train",status="${status}"}`;
    for (const [name, value] of [
      ['model_step', 3],
      ['training_queue_length', 0],
      ['training_step_duration_seconds_count', 3],
      ['training_accuracy', 1],
      ['checkpoint_step', 3],
      ['checkpoint_failures_total', 0],
      [requests(200), 1],
      [requests(400), 1],
    ] as const) {
      expect(metrics.get(name), name).toBe(value);
    }
    for (const name of [
      'training_loss',
      'checkpoint_age_seconds',
      'checkpoint_duration_seconds_sum',
      'event_loop_delay_seconds{quantile="0.5"}',
      'event_loop_delay_seconds{quantile="0.99"}',
      'event_loop_delay_seconds{quantile="1"}',
    ]) {
      expect(metrics.get(name), name).toBeGreaterThanOrEqual(0);
    }
    expect((await server.get('/metrics')).headers.get('content-type')).toMatch(
      /^text\/plain; version=0\.0\.4/,
    );
  });
});

describe('shutdown', () => {
  it('ends what runs, refuses what waits, keeps the model', async () => {
    const steps = hasAddon ? 30 : 3;
    const server = await start(...WIDE, '--grace', 120);
    const running = server.post('/train', { ...LONG, steps });
    await server.until((health) => health.running === 1);
    const waiting = server.post('/train', LONG);
    await server.until((health) => health.waiting === 1);
    server.process.kill('SIGTERM');
    expect(await waiting).toMatchObject({ status: 503, body: { code: 'ERR_STOPPING' } });
    expect(await running).toMatchObject({ status: 200, body: { step: steps } });
    expect(await server.exit).toBe(0);
    expect(server.log).toContain('SIGTERM: stopping');
    expect(readdirSync(folder)).toEqual(['model.ckpt']);

    const next = await start(...WIDE);
    expect(await next.health()).toMatchObject({ step: steps, checkpoint: steps });
    await next.end('SIGKILL');
    expect(next.log).toContain(`goes on from step ${steps}`);
  });

  it('waits no longer than it may', async () => {
    const server = await start(...WIDE, '--quiet', '--grace', 0);
    const { ended } = trainLong(server);
    const { step } = await server.until((health) => health.step > 0);
    expect(await server.end('SIGTERM')).toBe(0);
    expect(await ended).toMatchObject({ status: 503, body: { code: 'ERR_STOPPING' } });
    const next = await start(...WIDE, '--quiet');
    const kept = (await next.health()).step;
    expect(kept).toBeGreaterThanOrEqual(step);
    expect(kept).toBeLessThan(100);
  });

  it('comes by SIGINT, too, and leaves nothing if there is nothing', async () => {
    const server = await start(...TINY, '--quiet');
    expect(await server.end('SIGINT')).toBe(0);
    expect(server.log).toBe('');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('checkpoints', () => {
  // A step has a batch of its own, and the model's bits are the same in every run: so the loss of a step tells, to the
  // last bit, whether the model before it was the one that it must have been.
  it('come back whole after kill -9, whenever that is', async () => {
    const shape = ['--features', 2, '--classes', 50000, '--every', 1, '--quiet'];
    const batch = (step: number) => ({ features: [[Math.sin(step), 1]], labels: [step] });
    const losses = new Map<number, number>();
    let answered = 0; // the last step that was answered
    let saved = 0; // the last that was reported to be in a checkpoint
    for (let life = 0; life < 10; life++) {
      const server = await start(...shape);
      const { step: loaded } = await server.health();
      expect(loaded).toBeGreaterThanOrEqual(saved);
      expect(loaded).toBeLessThanOrEqual(answered + 1); // the answer to the one after may have been lost
      expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      expect(server.log).toBe('');

      let killed = false;
      const end = 3 + Math.floor(15 * Math.random());
      for (let step = loaded + 1; !killed; step++) {
        // The last one is killed while it is trained, and while the ones before it are written.
        const answer = server.post('/train', batch(step)).catch(() => undefined);
        if (step > loaded + end) {
          await new Promise((resolve) => setTimeout(resolve, 10 * Math.random()));
          await server.end('SIGKILL');
          killed = true;
        }
        const body = (await answer)?.body;
        if (!body) break;
        expect(body.step).toBe(step);
        expect(body.loss).toBe(losses.get(step) ?? body.loss);
        losses.set(step, body.loss);
        answered = step;
        if (!killed && step % 5 === 0) saved = (await server.health()).checkpoint ?? saved;
      }
      expect(killed).toBe(true);
    }
    expect(saved).toBeGreaterThan(0);
  });

  async function trained(steps: number) {
    const server = await start(...TINY, '--quiet');
    for (let step = 1; step <= steps; step++) {
      await server.post('/train', POINTS);
      await server.until((health) => health.checkpoint === step);
    }
    await server.end('SIGKILL');
    expect(readdirSync(folder)).toEqual(['model.ckpt', 'model.ckpt.previous']);
  }

  const damages: [string, (name: string) => void, string][] = [
    ['a bit of the model', (name) => flip(name, 45), 'is damaged: its checksum is another'],
    ['the end', (name) => truncateSync(name, 100), 'is no whole checkpoint: it has 100 bytes, must have 108'],
    ['all', (name) => truncateSync(name, 0), 'is no whole checkpoint: it has only 0 bytes'],
  ];
  function flip(name: string, at: number) {
    const bytes = readFileSync(name);
    bytes[at < 0 ? bytes.length + at : at] ^= 1;
    writeFileSync(name, bytes);
  }

  it('of which the newer is damaged go back to the one before', async () => {
    await trained(2);
    for (const [what, damage, message] of damages) {
      const previous = readFileSync(file('.previous'));
      damage(file());
      const server = await start(...TINY);
      expect(await server.health(), what).toMatchObject({ step: 1, checkpoint: 1 });
      // The damaged one is out of the way: the next does not take the place of the whole one with it.
      expect(readFileSync(file('.previous'))).toEqual(previous);
      await server.post('/train', POINTS);
      await server.until((health) => health.checkpoint === 2);
      expect(readFileSync(file('.previous'))).toEqual(previous);
      await server.end('SIGKILL');
      expect(server.log, what).toContain(`${file()} ${message}`);
    }
  });

  it('that do not fit, or of which none is whole, are an error and no new beginning', async () => {
    await trained(2);
    const other = Server.run([folder, '--features', '2', '--classes', '4']);
    expect(await other.exit).toBe(1);
    expect(other.log).toBe(
      `server: ${file()} holds a model of 2 features and 3 classes, not of 2 and 4: ` +
        'give its --features and --classes, or another --checkpoint\n',
    );

    flip(file(), 24); // the number of classes
    flip(file('.previous'), 0);
    const server = Server.run([folder, ...TINY.map(String), '--quiet']);
    expect(await server.exit).toBe(1);
    expect(server.log).toContain(
      `server: no whole checkpoint: ${file()} is no whole checkpoint: it has 108 bytes, must have 96; ` +
        `${file('.previous')} is no checkpoint: it starts with something else. Move what is damaged away`,
    );
    expect(readdirSync(folder)).toEqual(['model.ckpt', 'model.ckpt.previous']);
  });

  it('leave no temporary files, and touch no others', async () => {
    for (const name of ['.1.tmp', '.99999.tmp', '.tmp', '.mine.tmp']) writeFileSync(file(name), 'x');
    await start(...TINY, '--quiet');
    expect(readdirSync(folder)).toEqual(['model.ckpt.mine.tmp', 'model.ckpt.tmp']);
  });

  it('are written where a symbolic link leads, which stays', async () => {
    const places = ['first', 'second'].map((name) => path.join(folder, name));
    for (const place of places) mkdirSync(place);
    const [link, between, model] = [file(), path.join(places[0], 'link'), path.join(places[1], 'model')];
    symlinkSync(between, link);
    symlinkSync('../second/model', between);
    const server = await start(...TINY);
    for (const step of [1, 2]) {
      await server.post('/train', POINTS);
      await server.until((health) => health.checkpoint === step);
    }
    await server.end('SIGKILL');
    expect([link, between].map((name) => readlinkSync(name))).toEqual([between, '../second/model']);
    expect(readdirSync(places[1])).toEqual(['model', 'model.previous']);
    expect(readFileSync(model)).toHaveLength(108);
    expect(await (await start(...TINY)).health()).toMatchObject({ step: 2 });
  });

  // Node reads files of up to 2 GiB at once. The model of zeros is a hole in its file.
  it('of more than 2 GiB can be read', async () => {
    const { Checkpoints } = await import(
      pathToFileURL(path.join(root, 'examples/server/checkpoints.mjs')).href
    );
    const events = { warn() {}, saved() {}, failed() {} };
    const small = { features: 1, classes: 2 };
    await new Checkpoints(file(), events).save({ step: 7, ...small, values: new Float32Array(4) });
    const large = { features: 4096, classes: 140_000 };
    const header = readFileSync(file()).subarray(0, 40);
    new Uint32Array(header.buffer, header.byteOffset + 20, 2).set([large.features, large.classes]);
    const length = 4 * (large.features + 1) * large.classes;
    const hash = createHash('sha256').update(header);
    const zeros = Buffer.alloc(2 ** 20);
    for (let at = 0; at < length; at += zeros.length) hash.update(zeros.subarray(0, length - at));
    writeFileSync(file(), header);
    truncateSync(file(), 40 + length);
    appendFileSync(file(), hash.digest());
    const found = new Checkpoints(file(), events).load(large);
    expect(found).toMatchObject({ step: 7, ...large });
    expect(found.values.byteLength).toBe(length);
  }, 120_000);

  it('that are no regular files are refused', async () => {
    mkdirSync(file());
    const server = Server.run([folder, ...TINY.map(String)]);
    expect(await server.exit).toBe(1);
    expect(server.log).toBe(`server: --checkpoint: ${file()} is not a regular file\n`);
  });

  it('that cannot be written are reported, and written when they can be', async () => {
    const inner = path.join(folder, 'inner');
    const server = await Server.start(inner, ...TINY.map(String));
    servers.push(server);
    rmSync(inner, { recursive: true });
    await server.post('/train', POINTS);
    while ((await server.metrics()).get('checkpoint_failures_total') === 0);
    expect(await server.health()).toMatchObject({ step: 1, checkpoint: null });

    mkdirSync(inner);
    await server.post('/train', POINTS);
    await server.until((health) => health.checkpoint === 2);

    rmSync(inner, { recursive: true });
    await server.post('/train', POINTS);
    writeFileSync(inner, ''); // a file where there should be a folder
    expect(await server.end('SIGTERM')).toBe(1); // the last one could not be written, either
    expect(server.log).toMatch(/"code":"ENOENT".*"msg":"checkpoint not written"/);
    expect(server.log).toMatch(/"code":"ENOTDIR".*"msg":"checkpoint not written"/);
  });
});

describe('the load test', () => {
  it('shows promises and the blocking loss side by side', async () => {
    const script = path.join(root, 'examples', 'server', 'load-test.mjs');
    const args = ['--seconds', '1', '--batch', '64', '--classes', '1000', '--connections', '2'];
    const child = spawn(process.execPath, [script, ...args]);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    const [code] = await once(child, 'close');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const rows = stdout
      .split('\n')
      .filter((line) => line.startsWith('│'))
      .map((line) => line.split('│').map((cell) => cell.trim()));
    expect(rows[0].slice(2, 4)).toEqual(['promises', '--blocking']);
    const table = new Map(
      rows.slice(1).map(([, name, ...cells]) => [name, cells.slice(0, 2).map(parseFloat)]),
    );
    const latencies = ['p50', 'p90', 'p99', 'p99.9', 'max'].map((name) => `latency ${name}`);
    const delays = ['p50', 'p99', 'max'].map((name) => `event-loop delay ${name}`);
    for (const name of ['answers a second', 'trainings a second', ...latencies, ...delays]) {
      for (const value of table.get(name) ?? [NaN]) expect(value, name).toBeGreaterThanOrEqual(0);
    }
    expect(table.get('answers with an error, time-outs')).toEqual([0, 0]);
  });
});
