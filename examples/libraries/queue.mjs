// @ts-check
// `smoothloss score` on any number of machines: BullMQ on Redis hands out the shards, and merges them when all are done.
//
//     node queue.mjs work                                       on each machine, in the folder of the files
//     node queue.mjs submit --shards 8 -- --logits logits.npy --targets targets.npy --out losses.npy
//     node queue-demo.mjs                                       shows both, with a worker that is killed in mid-shard
import { parseArgs } from 'node:util';
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';
import { readOptions } from '../../bin/score/options.mjs';
import { score } from '../../bin/score/score.mjs';
import { jsonOf } from '../../bin/score/summary.mjs';
import { UserError } from '../../bin/score/user-error.mjs';

/** @import { ConnectionOptions } from 'bullmq' */

const QUEUE = 'smoothloss-score';
/** A worker that dies in a shard counts as a try, too. */
const TRIES = 3;
const USAGE = `Usage: node queue.mjs work [--lock-seconds 30] [--redis redis://127.0.0.1:6379]
       node queue.mjs submit --shards 8 [--redis …] -- --logits logits.npy --targets targets.npy --out losses.npy …`;

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
  /** @type {() => Promise<void>} */
  let forget = async () => {};
  const worker = new Worker(
    QUEUE,
    async ({ name, data }, _token, signal = new AbortController().signal) => {
      const parsed = readOptions([...data.args, `--${name}`, data.part]);
      if (!parsed) return undefined;
      const scored = await score(parsed, { signal });
      forget = scored.forget;
      return jsonOf(scored.totals, scored.run);
    },
    options,
  );
  worker.on('completed', () => forget()); // not before, since a job whose worker dies is done once more
  worker.on('active', ({ name, data }) => console.log(`${name} ${data.part}`));
  worker.on('failed', (job, { message }) => console.error(`${job?.name} ${job?.data.part}: ${message}`));
  worker.on('error', ({ message }) => console.error(`queue: ${message}`));
  const stop = () => {
    worker.cancelAllJobs();
    worker.close();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  await worker.waitUntilReady();
  console.log('waiting for shards');
}

/**
 * Submits shards and their merge, waits, and prints the summary. The merge fails if a shard has failed TRIES times.
 * @param {ConnectionOptions} connection
 * @param {readonly string[]} args of `smoothloss score`
 * @param {number} shards
 */
async function submit(connection, args, shards) {
  const job = (/** @type {'shard' | 'merge'} */ name, /** @type {string} */ part) => ({
    name,
    queueName: QUEUE,
    data: { args, part },
    opts: { attempts: TRIES, backoff: { type: 'exponential', delay: 1000 }, failParentOnFailure: true },
  });
  const queue = new Queue(QUEUE, { connection });
  const events = new QueueEvents(QUEUE, { connection });
  const flows = new FlowProducer({ connection });
  try {
    await events.waitUntilReady();
    const parts = Array.from({ length: shards }, (_, i) => job('shard', `${i}/${shards}`));
    const { job: merge, children = [] } = await flows.add({ ...job('merge', `${shards}`), children: parts });
    const summary = await merge.waitUntilFinished(events).catch(async (error) => {
      const jobs = await Promise.all(children.map(({ job: { id = '' } }) => queue.getJob(id)));
      const failed = jobs.filter((each) => each?.failedReason);
      const reasons = failed.map((each) => `shard ${each?.data.part}: ${each?.failedReason}`);
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
    await queue.close();
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
  const isUsage = /** @type {NodeJS.ErrnoException} */ (error).code?.startsWith('ERR_PARSE_ARGS');
  if (!isUsage && !(error instanceof UserError)) throw error;
  console.error(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}
