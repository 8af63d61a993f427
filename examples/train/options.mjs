// @ts-check
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const DEFAULT_TEXT = fileURLToPath(new URL('../text/the-light-on-skarrow.txt', import.meta.url));
const LARGEST_TEXT = 64 * 2 ** 20;

const HELP = `Trains a small next-token model on a text, without and with label smoothing.

usage: node examples/train.mjs [options] [text file]

  --epsilon <number>      label smoothing of the second run, above 0 and at most 1 (0.1)
  --steps <count>         training steps of each run (1500)
  --js-steps <count>      how many of them the js backend repeats (a twentieth)
  --batch <count>         tokens in a step (64)
  --rate <number>         learning rate of Adam, falls to a tenth in the course of a run (0.01)
  --vocabulary <count>    tokens to learn, the classes of the softmax, 257 to 65536 (1024)
  --context <count>       tokens the model looks back (4)
  --embedding <count>     numbers for each token (32)
  --hidden <count>        hidden units (32)
  --seed <integer>        start of the random numbers (1)
  --backend <name>        avx512, avx2, neon, scalar or js; without it, what the package chooses
  --out <file>            the chart, an SVG (train.svg)
  -h, --help              this text

The text is any UTF-8 file; without one it is examples/text/the-light-on-skarrow.txt.`;

/** What the user can put right: shown as one line, without a stack trace. */
export class UserError extends Error {}

/**
 * The command line, checked; undefined if it asked for the help text, which is then printed.
 * @param {string[]} args
 */
export function readOptions(args) {
  const { values, positionals } = parse(args);
  if (values.help) {
    console.log(HELP);
    return undefined;
  }
  if (positionals.length > 1) {
    throw new UserError(
      `one text file at a time: ${positionals.join(', ')} (put quotes round a name with spaces)`,
    );
  }

  /**
   * @param {Exclude<keyof typeof values, 'backend' | 'out' | 'help'>} name
   * @param {string} range
   * @param {(value: number) => boolean} isIn
   */
  const number = (name, range, isIn) => {
    const text = values[name] ?? '';
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

  const steps = integer('steps', 1, 1e6);
  const jsSteps = values['js-steps'] === undefined ? Math.ceil(steps / 20) : integer('js-steps', 1, steps);
  const options = {
    file: positionals[0] ?? DEFAULT_TEXT,
    epsilon: number('epsilon', 'a number above 0 and at most 1', (value) => value > 0 && value <= 1),
    steps,
    jsSteps,
    batch: integer('batch', 1, 4096),
    rate: number('rate', 'a number above 0 and at most 1', (value) => value > 0 && value <= 1),
    vocabulary: integer('vocabulary', 257, 65536),
    context: integer('context', 1, 64),
    embedding: integer('embedding', 1, 1024),
    hidden: integer('hidden', 1, 4096),
    seed: integer('seed', 0, 2 ** 32 - 1),
    backend: values.backend,
    out: values.out,
  };
  checkWritable(options.out);
  return options;
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        epsilon: { type: 'string', default: '0.1' },
        steps: { type: 'string', default: '1500' },
        'js-steps': { type: 'string' },
        batch: { type: 'string', default: '64' },
        rate: { type: 'string', default: '0.01' },
        vocabulary: { type: 'string', default: '1024' },
        context: { type: 'string', default: '4' },
        embedding: { type: 'string', default: '32' },
        hidden: { type: 'string', default: '32' },
        seed: { type: 'string', default: '1' },
        backend: { type: 'string' },
        out: { type: 'string', default: 'train.svg' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    const [firstSentence] = /** @type {Error} */ (error).message.split(/\.\s/);
    throw new UserError(`${firstSentence.replace(/\.$/, '')}; --help lists the options`);
  }
}

/**
 * Better now than after the training.
 * @param {string} path
 */
function checkWritable(path) {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing?.isDirectory()) throw new UserError(`--out is '${path}': that is a folder, must be a file`);
  try {
    accessSync(existing ? path : dirname(path), constants.W_OK);
  } catch (error) {
    throw new UserError(`--out is '${path}': cannot be written (${reason(error)})`);
  }
}

/** @param {string} path */
export function readText(path) {
  let bytes;
  try {
    const { size } = statSync(path);
    if (size > LARGEST_TEXT) throw new UserError(`${path} has ${size} bytes: the most is ${LARGEST_TEXT}`);
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path} cannot be read (${reason(error)})`);
  }
  if (bytes.length === 0) throw new UserError(`${path} is empty`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${path} is not a text in UTF-8`);
  }
}

/** @param {unknown} error */
function reason(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code ?? String(error);
}
