// @ts-check
import { parseArgs } from 'node:util';

/** What the user can put right: shown as one line, without a stack trace. */
export class UserError extends Error {}

const HELP = `Trains a classifier in several workers, and in one process, and compares the bits of both.

usage: node examples/parallel.mjs [options]

  --workers <count>   workers, each with its share of every batch, 1 to 64 (2)
  --steps <count>     training steps (50)
  --batch <count>     rows of a step, at least one for each worker (1024)
  --features <count>  numbers of a row (128)
  --classes <count>   classes of the softmax (1000)
  --seed <integer>    start of the random numbers (1)
  -h, --help          this text`;

const MOST_PARAMETERS = 2 ** 28; // in the arrays of all workers

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
  /** @type {(name: 'workers' | 'steps' | 'batch' | 'features' | 'classes' | 'seed', least: number, most: number) => number} */
  const integer = (name, least, most) => {
    const text = values[name];
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new UserError(`--${name} is '${text}': must be an integer from ${least} to ${most}`);
  };
  const options = {
    workers: integer('workers', 1, 64),
    steps: integer('steps', 1, 1e6),
    batch: integer('batch', 1, 65536),
    features: integer('features', 1, 4096),
    classes: integer('classes', 2, 65536),
    seed: integer('seed', 0, 2 ** 32 - 1),
  };
  const { workers, batch, features, classes } = options;
  if (batch < workers) {
    throw new UserError(`--batch is ${batch}: must be at least 1 for each of the ${workers} workers`);
  }
  const numbers = classes * (features + 1) * workers;
  if (numbers > MOST_PARAMETERS) {
    throw new UserError(
      `--classes × (--features + 1) × --workers is ${numbers}: must be at most ${MOST_PARAMETERS}`,
    );
  }
  return options;
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        workers: { type: 'string', default: '2' },
        steps: { type: 'string', default: '50' },
        batch: { type: 'string', default: '1024' },
        features: { type: 'string', default: '128' },
        classes: { type: 'string', default: '1000' },
        seed: { type: 'string', default: '1' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    const [firstSentence] = /** @type {Error} */ (error).message.split(/\.\s/);
    throw new UserError(`${firstSentence.replace(/\.$/, '')}; --help lists the options`);
  }
}
