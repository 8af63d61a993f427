// @ts-check
import { parseArgs } from 'node:util';
import { formatByName } from './formats.mjs';
import { splitName } from './safetensors.mjs';
import { UserError } from './user-error.mjs';

const USAGE = 'usage: smoothloss score --logits <file> --targets <file> --out <file> [options]';

const HELP = `Computes the cross entropy of every row of a file of logits, whatever its size.

${USAGE}

  --logits <file>             [..., C] logits: float32, float64, float16, bfloat16, or uint16 with --dtype
  --targets <file>            a class for each row (whole numbers), or [..., C] probabilities
  --out <file>                .npy to write: the losses, float32 (float64 for float64 logits)
  --dtype <name>              what uint16 logits are the bits of: bfloat16 or float16
  --label-smoothing <number>  from 0 to 1 (0)
  --weight <file>             a weight for each class, as PyTorch's weight
  --ignore-index <class>      target of rows that take no part; may be given several times (-100)
  --batch-bytes <size>        of rows to read at once, such as 512KiB; memory holds two batches (4MiB)
  --sync-seconds <number>     how often losses are made safe on disk; 0 is after every batch (1)
  --json                      the summary as JSON; NaN and infinities are strings
  --restart                   do not continue what a run that was cut short has left
  --shard <i/n>               score one of n parts of the rows, with i from 0 to n − 1
  --merge <n>                 make the losses of the n shards one file, and print their summary
  --no-progress               no progress bar; there is none either where stderr is not a terminal
  -h, --help                  this text

Inputs are .npy or .safetensors files; file.safetensors:name is one of several tensors.

A run that is cut short keeps its losses in <out>.partial, and the same command continues there. One run at a
time may write an <out>, or one run a shard: shards may run at once, on machines that share the files. It
may be there already if it is a regular file, no symbolic link, and none of the inputs.`;

const MOST_SHARDS = 10_000;

const UNITS = /** @type {Record<string, number>} */ ({
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
});

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

  /** @param {'logits' | 'targets' | 'out' | 'weight'} name */
  const file = (name) => values[name] || fail(`--${name} is missing\n${USAGE}`);
  const labelSmoothing = number(values['label-smoothing']);
  const syncSeconds = number(values['sync-seconds']);
  const merge = values.merge === undefined ? undefined : shards('--merge', values.merge, values.merge);
  if (merge && values.shard !== undefined)
    fail('--merge comes after all runs with --shard: give one of them');
  if (merge && values.restart) fail('--merge scores nothing: --restart goes with --shard');
  return {
    logits: file('logits'),
    targets: file('targets'),
    out: npy(file('out')),
    weight: values.weight === undefined ? undefined : file('weight'),
    dtype: halfType(values.dtype),
    labelSmoothing:
      labelSmoothing >= 0 && labelSmoothing <= 1
        ? labelSmoothing
        : fail(`--label-smoothing is '${values['label-smoothing']}': must be a number from 0 to 1`),
    ignoreIndex: values['ignore-index']?.map((text) => {
      const index = number(text);
      return Number.isSafeInteger(index) ? index : fail(`--ignore-index is '${text}': must be an integer`);
    }),
    batchBytes: bytes(values['batch-bytes']),
    syncSeconds:
      syncSeconds >= 0 ? syncSeconds : fail(`--sync-seconds is '${values['sync-seconds']}': must be ≥ 0`),
    json: values.json,
    restart: values.restart,
    shard: values.shard === undefined ? undefined : shard(values.shard),
    merge,
    progress: !values['no-progress'],
  };
}

/** @param {string[]} args */
function parse(args) {
  // parseArgs takes -100 for an option of its own unless it is joined to the one before.
  const joined = args.flatMap((arg, i) => {
    const isNumber = (/** @type {number} */ at) =>
      /^-\d/.test(args[at] ?? '') && /^--[\w-]+$/.test(args[at - 1] ?? '');
    if (isNumber(i)) return [];
    return [isNumber(i + 1) ? `${arg}=${args[i + 1]}` : arg];
  });
  try {
    return parseArgs({
      args: joined,
      options: {
        logits: { type: 'string' },
        targets: { type: 'string' },
        out: { type: 'string' },
        weight: { type: 'string' },
        dtype: { type: 'string' },
        'label-smoothing': { type: 'string', default: '0' },
        'ignore-index': { type: 'string', multiple: true },
        'batch-bytes': { type: 'string', default: '4MiB' }, // the fastest size: more does not stay in cache
        'sync-seconds': { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        restart: { type: 'boolean', default: false },
        shard: { type: 'string' },
        merge: { type: 'string' },
        'no-progress': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    const [firstSentence] = /** @type {Error} */ (error).message.split(/\.\s/);
    return fail(`${firstSentence.replace(/\.$/, '')}; --help lists the options\n${USAGE}`);
  }
}

/**
 * @param {string | undefined} name
 * @returns {'bfloat16' | 'float16' | undefined}
 */
function halfType(name) {
  if (name === undefined || name === 'bfloat16' || name === 'float16') return name;
  return fail(`--dtype is '${name}': must be bfloat16 or float16`);
}

/** @param {string} text */
function shard(text) {
  const [, digits = '', more = ''] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const of = shards('--shard', text, more);
  const index = Number(digits);
  return index < of ? { index, of } : fail(`--shard is '${text}': the last one of ${of} is ${of - 1}/${of}`);
}

/**
 * @param {string} option
 * @param {string} text
 * @param {string} digits of the number of shards
 */
function shards(option, text, digits) {
  const of = /^\d+$/.test(digits) ? Number(digits) : 0;
  if (of >= 1 && of <= MOST_SHARDS) return of;
  const what = option === '--shard' ? `i/n, with i from 0 and n` : 'a number';
  return fail(`${option} is '${text}': must be ${what} from 1 to ${MOST_SHARDS}`);
}

/** @param {string} out */
function npy(out) {
  const format = splitName(out) ? { name: 'a safetensors file' } : formatByName(out);
  return format ? fail(`--out is ${out}, as ${format.name} is called: it becomes an .npy file`) : out;
}

/** @param {string} text */
function number(text) {
  return text.trim() === '' ? Number.NaN : Number(text);
}

/** @param {string} text */
function bytes(text) {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) *([a-z]*)$/i.exec(text) ?? [];
  const size = Math.floor(Number(digits) * UNITS[unit?.toLowerCase()]);
  if (size >= 1 && size <= 2 ** 30) return size;
  return fail(`--batch-bytes is '${text}': must be a size from 1 to 1GiB, such as 8MiB`);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  throw new UserError(message);
}
