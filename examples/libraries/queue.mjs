// @ts-check
// `smoothloss score` on any number of machines: BullMQ on Redis hands out the shards, and merges them when all are done.
//
//     node queue.mjs work                                       on each machine, in the folder of the files
//     node queue.mjs submit --shards 8 -- --logits logits.npy --targets targets.npy --out losses.npy
//     node queue-demo.mjs                                       shows both, with a worker that is killed in mid-shard
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { DelayedError, FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';
import { readOptions } from '../../bin/score/options.mjs';
import { score } from '../../bin/score/score.mjs';
import { jsonOf } from '../../bin/score/summary.mjs';
import { UserError } from '../../bin/score/user-error.mjs';

/** @import { ConnectionOptions } from 'bullmq' */

const QUEUE = 'smoothloss-score';
/** A worker that dies in a shard counts as a try, too. */
const TRIES = 3;
const KEPT = { age: 24 * 3600 }; // seconds that ended jobs stay in Redis
const USAGE = `Usage: node queue.mjs work [--lock-seconds 30] [--redis redis://127.0.0.1:6379]
       node queue.mjs submit --shards 8 [--redis …] -- --logits logits.npy --targets targets.npy --out losses.npy …`;

/** The same line again and again, while Redis is away, would hide all others. */
function errorsOf(
  /** @type {{ on: (event: 'error', listener: (error: Error) => void) => unknown }} */ emitter,
) {
  let last = '';
  emitter.on('error', ({ message }) => {
    if (message !== last) console.error(`queue: ${message}`);
    last = message;
  });
}

/**
 * Scores shards of the queue, one after the other. The loss is computed off the event loop, so that BullMQ can renew the
 * job's lock meanwhile. If a worker no longer does so, its shard goes to another one, which continues it.
 * @param {ConnectionOptions} connection
 * @param {number} lockSeconds
 */
async function work(connection, lockSeconds) {
  const options = {
    connection,
    lockDuration: 1000 * lockSeconds,
    stalledInterval: 1000 * lockSeconds,
    maxStalledCount: TRIES - 1,
  };
  let stopping = false;
  let forget = async () => {};
  const worker = new Worker(
    QUEUE,
    // BullMQ gives the signal to functions of three parameters alone.
    async (job, token, signal) => {
      const parsed = readOptions([...job.data.args, `--${job.name}`, job.data.part]);
      if (!parsed) throw new UserError('there is nothing to score');
      try {
        const scored = await score(parsed, { signal: /** @type {AbortSignal} */ (signal) });
        forget = scored.forget;
        return jsonOf(scored.totals, scored.run);
      } catch (error) {
        if (!stopping) throw error;
        await job.moveToDelayed(Date.now(), token); // for another worker; not a try
        throw new DelayedError();
      }
    },
    options,
  );
  errorsOf(worker);
  worker.on('active', ({ name, data }) => console.log(`${name} ${data.part}`));
  worker.on('failed', (job, { message }) => console.error(`${job?.name} ${job?.data.part}: ${message}`));
  // Not before: if the worker dies until then, the job is done once more.
  worker.on('completed', () => forget().catch(({ message }) => console.error(message)));
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) worker.cancelJob(id);
  });
  const stop = () => {
    stopping = true;
    worker.cancelAllJobs();
    worker.close();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  await worker.waitUntilReady();
  console.log('waiting for shards');
}

/**
 * Submits shards and their merge, waits, and prints the summary. The merge fails if a shard has failed TRIES times. If the
 * same was submitted before and is under way, waits for that.
 * @param {ConnectionOptions} connection
 * @param {readonly string[]} args of `smoothloss score`
 * @param {number} shards
 */
async function submit(connection, args, shards) {
  const job = (/** @type {'shard' | 'merge'} */ name, /** @type {string} */ part) => ({
    name,
    queueName: QUEUE,
    data: { args, part },
    opts: {
      attempts: TRIES,
      backoff: { type: 'exponential', delay: 1000 },
      failParentOnFailure: true,
      removeOnComplete: KEPT,
      removeOnFail: KEPT,
    },
  });
  const queue = new Queue(QUEUE, { connection });
  const events = new QueueEvents(QUEUE, { connection });
  const flows = new FlowProducer({ connection });
  for (const each of [queue, events, flows]) errorsOf(each);
  try {
    await events.waitUntilReady();
    const last = job('merge', `${shards}`);
    const parts = Array.from({ length: shards }, (_, i) => job('shard', `${i}/${shards}`));
    const underWay = await queue.getJobs(['waiting-children', 'waiting', 'active', 'delayed']);
    const earlier = underWay.find(({ name, data }) => name === 'merge' && isDeepStrictEqual(data, last.data));
    if (earlier) console.error('the same is under way: waiting for it');
    const { id = '' } = earlier ?? (await flows.add({ ...last, children: parts })).job;
    const merge = /** @type {import('bullmq').Job} */ (await queue.getJob(id));
    const summary = await merge.waitUntilFinished(events).catch(async (error) => {
      const failed = (await queue.getJobs(['failed'])).filter(({ parent }) => parent?.id === id);
      const reasons = failed.map(({ data, failedReason }) => `shard ${data.part}: ${failedReason}`);
      throw new UserError(reasons.join('\n') || `merge: ${error.message}`);
    });
    process.stdout.write(summary);
  } finally {
    await Promise.all([queue.close(), flows.close(), events.close()]);
  }
}

/** Waits for Redis in vain otherwise. @param {string} url */
async function checkRedis(url) {
  const queue = new Queue(QUEUE, { connection: { url, retryStrategy: () => null } });
  queue.on('error', () => {});
  try {
    await queue.waitUntilReady();
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    throw new UserError(`there is no Redis at ${url}: ${message}`);
  } finally {
    await queue.close().catch(() => {});
  }
}

/** @param {string[]} args */
async function main(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
      'lock-seconds': { type: 'string', default: '30' },
      shards: { type: 'string', default: '' },
    },
  });
  const [command, ...scoreArgs] = positionals;
  const lockSeconds = Number(values['lock-seconds']);
  const shards = Number(values.shards);
  const connection = { url: values.redis, maxRetriesPerRequest: null };
  if (command === 'work' && scoreArgs.length === 0 && lockSeconds >= 1) {
    await checkRedis(values.redis);
    await work(connection, lockSeconds);
  } else if (command === 'submit' && Number.isInteger(shards) && shards >= 1) {
    const own = scoreArgs.find((arg) => /^(--(shard|merge|restart|help)(=|$)|-h$)/.test(arg));
    if (own) throw new UserError(`${own} cannot be submitted\n${USAGE}`);
    readOptions([...scoreArgs, '--shard', `0/${shards}`]); // an error before anything is submitted
    await checkRedis(values.redis);
    await submit(connection, scoreArgs, shards);
  } else {
    throw new UserError(USAGE);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const { code = '', message } = /** @type {NodeJS.ErrnoException} */ (error);
  const isUsage = code.startsWith('ERR_PARSE_ARGS');
  if (!isUsage && !(error instanceof UserError)) throw error;
  console.error(isUsage ? `${message.split('. ')[0]}\n${USAGE}` : message);
  process.exitCode = 1;
}
