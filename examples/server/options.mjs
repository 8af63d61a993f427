// @ts-check
import { parseArgs } from 'node:util';

const HELP = `Trains a softmax classifier with what is sent over HTTP, and answers predictions meanwhile.

usage: node examples/server.mjs [options]

  --host <address>        where to listen (127.0.0.1)
  --port <number>         0 for any that is free (8080)
  --features <count>      numbers in a row of features, 1 to 4096 (8)
  --classes <count>       2 to 1000000 (10000)
  --epsilon <number>      label smoothing, 0 to 1 (0.1)
  --rate <number>         learning rate, above 0 (0.5)
  --max-batch <rows>      the most rows of one training (1024)
  --queue <count>         trainings that may wait; one more is refused with 503 (8)
  --body-limit <bytes>    the longest request body (4194304)
  --checkpoint <file>     where the model is kept; one server a file (model.ckpt)
  --every <steps>         steps from one checkpoint to the next (100)
  --grace <seconds>       how long a shutdown waits for running requests (10)
  --blocking              the blocking loss instead of smoothloss/promises, to compare
  --quiet                 log only warnings and errors
  -h, --help              this text

POST /train, POST /predict, GET /health, GET /metrics: see examples/README.md.`;

/** What the user can put right: shown as one line, without a stack trace. */
export class UserError extends Error {}

/** @typedef {NonNullable<ReturnType<typeof readOptions>>} Options */

/**
 * The command line, checked; undefined if it asked for the help text, which is then printed.
 * @param {string[]} args
 */
export function readOptions(args) {
  const values = parse(args);
  if (values.help) {
    console.log(HELP);
    return undefined;
  }

  /**
   * @param {Exclude<keyof typeof values, 'host' | 'checkpoint' | 'blocking' | 'quiet' | 'help'>} name
   * @param {string} range
   * @param {(value: number) => boolean} isIn
   */
  const number = (name, range, isIn) => {
    const text = values[name];
    const value = text.trim() === '' ? NaN : Number(text);
    if (!isIn(value)) throw new UserError(`--${name} is '${text}': must be ${range}`);
    return value;
  };
  /** @type {(name: Parameters<typeof number>[0], least: number, most: number) => number} */
  const integer = (name, least, most) =>
    number(
      name,
      `an integer from ${least} to ${most}`,
      (value) => Number.isInteger(value) && value >= least && value <= most,
    );

  return {
    host: values.host,
    port: integer('port', 0, 65535),
    features: integer('features', 1, 4096),
    classes: integer('classes', 2, 1e6),
    epsilon: number('epsilon', 'a number from 0 to 1', (value) => value >= 0 && value <= 1),
    rate: number('rate', 'a number above 0 and at most 1000', (value) => value > 0 && value <= 1000),
    maxBatch: integer('max-batch', 1, 65536),
    queue: integer('queue', 0, 10000),
    bodyLimit: integer('body-limit', 1024, 2 ** 30),
    checkpoint: values.checkpoint,
    every: integer('every', 1, 1e9),
    grace: number('grace', 'a number from 0 to 3600', (value) => value >= 0 && value <= 3600),
    blocking: values.blocking,
    quiet: values.quiet,
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8080' },
        features: { type: 'string', default: '8' },
        classes: { type: 'string', default: '10000' },
        epsilon: { type: 'string', default: '0.1' },
        rate: { type: 'string', default: '0.5' },
        'max-batch': { type: 'string', default: '1024' },
        queue: { type: 'string', default: '8' },
        'body-limit': { type: 'string', default: '4194304' },
        checkpoint: { type: 'string', default: 'model.ckpt' },
        every: { type: 'string', default: '100' },
        grace: { type: 'string', default: '10' },
        blocking: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    const [firstSentence] = /** @type {Error} */ (error).message.split(/\.\s/);
    throw new UserError(`${firstSentence.replace(/\.$/, '')}; --help lists the options`);
  }
}
