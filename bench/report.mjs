// @ts-check
// The report of bench:peers: a page and its charts, all of it from results.json. By itself it draws them anew.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { drawLines, drawMarks } from './charts.mjs';
import { markdownTable } from './markdown.mjs';
import { count, figure, machineName, shapeName, threadsName } from './race.mjs';

/** @import { Accuracy, Note, Timing } from './peers/measure.mjs' */
/** @import { Peer } from './peers/list.mjs' */
/** @import { Shape } from './race.mjs' */

/**
 * @typedef {object} Results
 * @property {typeof import('./race.mjs').machine} machine
 * @property {number} epsilon
 * @property {(Omit<Peer, 'worker'> & { version: string | undefined })[]} peers
 * @property {Note[]} notes
 * @property {Timing[]} timings
 * @property {Accuracy[]} accuracy
 */

const elements = (/** @type {Shape} */ { rows, classes }) => rows * classes;
const small = (/** @type {number | undefined} */ n) => (n ? n.toExponential(1) : String(n ?? ''));
/** @template {Shape} T @param {T[]} list */
const shapesIn = (list) => [...new Map(list.map((one) => [shapeName(one), one])).values()];

/** The value that comes with the most shapes: those that were measured to be a line. @param {Shape[]} shapes @param {'rows' | 'classes'} key */
function commonest(shapes, key) {
  const times = (/** @type {Shape} */ shape) => shapes.filter((one) => one[key] === shape[key]).length;
  return shapes.reduce((best, shape) => (times(shape) > times(best) ? shape : best))[key];
}

/** @param {Note} note @param {Pick<Peer, 'id' | 'name' | 'install'>[]} peers */
export function describe({ peer, rows, classes, threads, outcome, reason }, peers) {
  const about = peers.find(({ id }) => id === peer);
  const shape = rows && classes ? ` at ${shapeName({ rows, classes })}` : '';
  const on = threads ? `, ${threadsName(threads)}` : '';
  const remedy = outcome === 'missing' && about?.install ? `; to get it: ${about.install}` : '';
  const what = outcome === 'disagrees' ? 'disagrees, and is not timed' : outcome;
  return `${what}: ${about?.name ?? peer}${shape}${on}: ${reason}${remedy}`;
}

/** @param {Results} results @param {string} directory @returns {Promise<string>} the page's file */
export async function writeReport(results, directory) {
  /** @param {string} name @param {string} title @param {Promise<string>} svg */
  const save = async (name, title, svg) => {
    writeFileSync(path.join(directory, `${name}.svg`), `${await svg}\n`);
    return `![${title}](${name}.svg)`;
  };
  const { machine, epsilon, peers, notes, timings, accuracy } = results;
  const page = [
    '# smoothloss beside other libraries',
    `Mean cross entropy of float32 logits with label smoothing ${epsilon} (ε/C to every class) and its gradient by the logits, of the
same data: 10·N(0, 1). ${machineName(machine)}. Times are medians, bars in charts the quartiles, of samples that the peers took in
turn: each is a process of its own, one runs at a time, and all were checked against smoothloss first. Ratios say more than times,
which are the machine's.`,
    `Where the C library is glibc it is told to keep what is freed, so that peers that allocate their outputs get the same pages again.
By default a large array is new pages each time, which on some virtual machines takes them ten to thirty times as long as to compute:
\`MALLOC_MMAP_MAX_=65536 npm run bench:peers\` shows that.`,
    ...(timings.length > 0 ? await timeCharts(results, save) : []),
    ...(accuracy.length > 0 ? await accuracySection(results, save) : []),
    ...timeTables(results),
    ...whoWasCompared(peers),
    ...(notes.length > 0
      ? [`Not compared:\n\n${notes.map((note) => `* ${describe(note, peers)}`).join('\n')}`]
      : []),
    ...(existsSync(path.join(directory, 'instructions.md'))
      ? ['[Instructions per element](instructions.md) says what the kernels execute.']
      : []),
    REPEAT,
  ];
  const file = path.join(directory, 'README.md');
  writeFileSync(file, `${page.join('\n\n')}\n`);
  return file;
}

/** @typedef {(name: string, title: string, svg: Promise<string>) => Promise<string>} Save the chart, for its place on the page */

/** @param {Timing[]} timings @param {string} peer @param {Shape} shape @param {number} threads */
const find = (timings, peer, { rows, classes }, threads) =>
  timings.find(
    (one) => one.peer === peer && one.rows === rows && one.classes === classes && one.threads === threads,
  );

/** @param {Results} results @param {Save} save */
async function timeCharts({ peers, timings }, save) {
  const shapes = shapesIn(timings);
  const most = Math.max(...timings.map(({ threads }) => threads));
  const [rows, classes] = [commonest(shapes, 'rows'), commonest(shapes, 'classes')];
  const ofRows = (/** @type {Shape} */ one) => one.rows === rows;
  const ofClasses = (/** @type {Shape} */ one) => one.classes === classes;
  const growing = (/** @type {Shape} */ one) => ofClasses(one) || (one.rows === 1 && one.classes < classes);

  /**
   * A line for each peer that computes a gradient.
   * @param {{ name: string, title: string, x: string, y: string, threads?: number,
   *   which: (shape: Shape) => boolean, at: (shape: Shape) => number,
   *   value: (ns: number, timing: Timing) => number | undefined }} chart
   */
  const chart = ({ name, title, x, y, threads = 1, which, at, value }) => {
    const series = peers
      .filter(({ gradient }) => gradient)
      .map((peer) => ({
        peer,
        points: timings
          .filter((one) => one.peer === peer.id && one.threads === threads && which(one))
          .toSorted((a, b) => at(a) - at(b))
          .flatMap((one) => {
            const { low, median, high } = one.nsPerCall;
            const [l, m, h] = [low, median, high].map((ns) => value(ns, one));
            return m === undefined ? [] : [{ x: at(one), y: m, low: l, high: h }];
          }),
      }));
    const of = which === growing ? `; one row of up to ${count(classes)} classes, then more rows` : '';
    const subtitle = `loss and gradient${threads === 1 ? ', one thread' : ''}${of}`;
    return save(name, title, drawLines({ title, subtitle, x, y, series }));
  };
  const perElement = (/** @type {number} */ ns, /** @type {Timing} */ one) => ns / elements(one);
  const growth = { x: 'elements (rows × classes)', which: growing, at: elements };
  const page = [
    '## Time per element',
    await chart({
      ...{ name: 'time-by-classes', title: `Time per element, ${count(rows)} rows` },
      ...{ x: 'classes', which: ofRows, at: (one) => one.classes },
      ...{ y: 'ns per element', value: perElement },
    }),
    await chart({
      ...{ name: 'time-by-rows', title: `Time per element, ${count(classes)} classes` },
      ...{ x: 'rows', which: ofClasses, at: (one) => one.rows },
      ...{ y: 'ns per element', value: perElement },
    }),
    '## Memory bandwidth',
    'memcpy of the logits to the gradient reads and writes the same 8 bytes an element, once: that is 100 %.',
    await chart({
      ...{ name: 'bandwidth', title: 'Fraction of the bandwidth of memcpy', ...growth, y: '% of memcpy' },
      value: (ns, one) => {
        const copy = find(timings, 'memcpy', one, 1);
        return copy && (100 * copy.nsPerCall.median) / ns;
      },
    }),
    '## As work grows',
    await chart({
      ...{ name: 'growth', title: 'Time of a call', ...growth, y: 'µs per call', value: (ns) => ns / 1e3 },
    }),
  ];
  if (most === 1) return page;
  const title = `Times as fast with ${most} threads as with one`;
  return [
    ...page,
    '## Threads',
    await chart({
      ...{ name: 'threads', title, ...growth, y: 'times as fast', threads: most },
      value: (ns, one) => {
        const single = find(timings, one.peer, one, 1);
        return single && single.nsPerCall.median / ns;
      },
    }),
  ];
}

/** @param {Results} results @param {Save} save */
async function accuracySection({ epsilon, peers, accuracy }, save) {
  const shapes = shapesIn(accuracy);
  const there = peers.filter(({ id }) => accuracy.some(({ peer }) => peer === id));
  const kind = (/** @type {Shape} */ { classes }) => `${count(classes)} classes`;
  const title = 'Largest error of the gradient against float64';
  const drawn = drawMarks({
    title,
    subtitle: `reduction sum, label smoothing ${epsilon}, logits 10·N(0, 1), float32`,
    x: 'largest absolute error of an element',
    kinds: shapes.map(kind),
    marks: there
      .filter(({ id }) => !id.startsWith('smoothloss-')) // the same bits
      .flatMap((peer) =>
        accuracy.flatMap((one) =>
          one.peer === peer.id && one.gradient !== undefined
            ? [{ peer, kind: kind(one), x: one.gradient }]
            : [],
        ),
      ),
  });
  return [
    '## Accuracy',
    `Against [plain JavaScript](../plain.mjs) in doubles on the same float32 logits: the largest absolute error of an element of the
gradient with reduction sum, and the relative error of the loss as the peer returns it (most return a float32, which is 6e-8 by itself).`,
    await save('accuracy', title, drawn),
    markdownTable(
      ['', ...shapes.flatMap((shape) => [`${shapeName(shape)}: gradient`, 'loss'])],
      there.map(({ id, name }) => [
        name,
        ...shapes.flatMap((shape) => {
          const one = accuracy.find((one) => one.peer === id && shapeName(one) === shapeName(shape));
          return [small(one?.gradient), small(one?.loss)];
        }),
      ]),
    ),
  ];
}

/** @param {Results} results */
function timeTables({ peers, timings }) {
  const shapes = shapesIn(timings);
  return [...new Set(timings.map(({ threads }) => threads))].flatMap((threads) => {
    const median = (/** @type {string} */ id, /** @type {Shape} */ shape) =>
      find(timings, id, shape, threads)?.nsPerCall.median;
    const columns = peers.filter(({ id }) => shapes.some((shape) => median(id, shape)));
    /** @param {string} id @param {Shape} shape */
    const cell = (id, shape) => {
      const [own, ns] = [median('smoothloss', shape), median(id, shape)];
      if (ns === undefined) return '–';
      const ratio = own && id !== 'smoothloss' ? ` (${figure(ns / own)} ×)` : '';
      return `${figure(ns / elements(shape))}${ratio}`;
    };
    return [
      `## Times, ${threadsName(threads)}`,
      'Medians in ns per element, and how many times as long as smoothloss.',
      markdownTable(
        ['rows × classes', ...columns.map(({ name }) => name)],
        shapes.map((shape) => [shapeName(shape), ...columns.map(({ id }) => cell(id, shape))]),
      ),
    ];
  });
}

/** @param {Results['peers']} peers */
function whoWasCompared(peers) {
  /** @param {Pick<Peer, 'tolerance'>} peer */
  const within = ({ tolerance }) => {
    if (!tolerance) return 'not checked';
    return tolerance.loss === 0 ? 'the same bits' : `${tolerance.gradient}; ${tolerance.loss}`;
  };
  return [
    '## Who was compared',
    markdownTable(
      ['', 'version', 'threads', 'its gradient', 'agrees within: gradient of the sum; loss, relative'],
      peers.flatMap(({ version, ...peer }) =>
        version === undefined
          ? []
          : [[peer.name, version, peer.threads ? 'as told' : 'one', peer.outputs, within(peer)]],
      ),
      '---',
    ),
  ];
}

const REPEAT = `## Repeat it

\`\`\`sh
npm ci && npm run build
npm install --no-save --ignore-scripts @tensorflow/tfjs @tensorflow/tfjs-backend-wasm onnxruntime-node
python3 -m venv peers && peers/bin/pip install torch jax
npm run bench:peers -- --python peers/bin/python
\`\`\`

Each of the two installs may be left out, whole or in part: what is not there is named. \`npm run bench:peers -- --help\` tells the
options, \`npm run bench:report\` draws this page anew from [results.json](results.json), which holds all figures.`;

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { json: { type: 'string', default: path.join(import.meta.dirname, 'report', 'results.json') } },
  });
  console.log(await writeReport(JSON.parse(readFileSync(values.json, 'utf8')), path.dirname(values.json)));
}
