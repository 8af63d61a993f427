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
/** @import { View } from 'vega' */
/** @import { Quartiles, Shape } from './race.mjs' */

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
export const small = (/** @type {number | undefined} */ n) => (n ? n.toExponential(1) : String(n ?? ''));
/** @template {Shape} T @param {T[]} list */
export const shapesIn = (list) => [...new Map(list.map((one) => [shapeName(one), one])).values()];

/** The value that comes with the most shapes: those that were measured to be a line. @param {Shape[]} shapes @param {'rows' | 'classes'} key */
function commonest(shapes, key) {
  const times = (/** @type {Shape} */ shape) => shapes.filter((one) => one[key] === shape[key]).length;
  return shapes.reduce((best, shape) => (times(shape) > times(best) ? shape : best))[key];
}

/** @param {Note} note @param {Pick<Peer, 'id' | 'name' | 'install'>[]} peers */
export function describe({ peer, rows, features, classes, threads, gradient, outcome, reason }, peers) {
  const about = peers.find(({ id }) => id === peer);
  const shape = rows && classes ? ` at ${shapeName({ rows, ...(features && { features }), classes })}` : '';
  const on = `${threads ? `, ${threadsName(threads)}` : ''}${gradient === false ? ', loss only' : ''}`;
  const remedy = outcome === 'missing' && about?.install ? `; to get it: ${about.install}` : '';
  const what = outcome === 'disagrees' ? 'disagrees, and is not timed' : outcome;
  return `${what}: ${about?.name ?? peer}${shape}${on}: ${reason}${remedy}`;
}

/** @param {Results} results @param {string} directory @returns {Promise<string>} the page's file */
export async function writeReport(results, directory) {
  const page = await pageOf(
    results,
    existsSync(path.join(directory, 'instructions.md')),
    async (name, chart) => writeFileSync(path.join(directory, `${name}.svg`), `${await chart.toSVG()}\n`),
  );
  const file = path.join(directory, 'README.md');
  writeFileSync(file, page);
  return file;
}

/**
 * The page.
 * @param {Results} results @param {boolean} instructions whether there is a page of them beside it
 * @param {(name: string, chart: View) => unknown} keep what is done with its charts
 */
export async function pageOf(results, instructions, keep) {
  /** @type {Save} */
  const save = async (name, title, draw) => {
    await keep(name, await draw({ title }));
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
    ...(instructions ? ['[Instructions per element](instructions.md) says what the kernels execute.'] : []),
    REPEAT,
  ];
  return `${page.join('\n\n')}\n`;
}

/** @typedef {(name: string, title: string, draw: (named: { title: string }) => Promise<View>) => Promise<string>} Save the chart, for its place on the page */

/** @param {Timing[]} timings @param {string} peer @param {Shape} shape @param {number} threads */
const find = (timings, peer, { rows, classes }, threads) =>
  timings.find(
    (one) => one.peer === peer && one.rows === rows && one.classes === classes && one.threads === threads,
  );

export const plain = (/** @type {number} */ n) => (n >= 1 ? count(n) : String(n));
/** 100, 1k, 10M. @param {number} n */
function short(n) {
  if (n >= 1e6) return `${count(n / 1e6)}M`;
  return n >= 1e3 ? `${count(n / 1e3)}k` : plain(n);
}
/** @param {number} ns */
function duration(ns) {
  const [unit, name] = [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'µs'],
  ].find(([unit]) => ns >= Number(unit)) ?? [1, 'ns'];
  return `${plain(ns / Number(unit))} ${name}`;
}

/** @typedef {{ y: number, low: number, high: number, remark?: string }} Value */

/** @param {Quartiles} quartiles @param {(ns: number) => number} of @returns {Value} */
const each = ({ low, median, high }, of) => ({ y: of(median), low: of(low), high: of(high) });

/**
 * How many times as fast a call is with several threads as with one: the ratio of the medians, between what the quartiles
 * of both allow.
 * @param {Timing[]} timings @param {Timing} several @returns {Value | undefined}
 */
function gainOf(timings, several) {
  const single = find(timings, several.peer, several, 1);
  if (!single) return undefined;
  const [one, many] = [single.nsPerCall, several.nsPerCall];
  const y = one.median / many.median;
  const beyond = y > BEYOND * several.threads;
  return {
    ...{ y, low: one.low / many.high, high: one.high / many.low },
    ...(beyond && { remark: `${figure(y)} ×` }),
  };
}

const BEYOND = 1.1; // a gain of so much more than the number of threads is marked and looked into

/** @param {Results} results @param {Save} save */
async function timeCharts({ peers, timings }, save) {
  const shapes = shapesIn(timings);
  const most = Math.max(...timings.map(({ threads }) => threads));
  const [rows, classes] = [commonest(shapes, 'rows'), commonest(shapes, 'classes')];
  const ofRows = (/** @type {Shape} */ one) => one.rows === rows;
  const ofClasses = (/** @type {Shape} */ one) => one.classes === classes;
  const growing = (/** @type {Shape} */ one) => ofClasses(one) || (one.rows === 1 && one.classes < classes);
  const drawn = peers.filter(({ gradient }) => gradient);

  /**
   * The line of a peer.
   * @param {Results['peers'][number]} peer @param {(shape: Shape) => boolean} which @param {(shape: Shape) => number} at
   * @param {(timing: Timing) => Value | undefined} value
   */
  const line = (peer, which, at, value, threads = 1) => ({
    peer,
    points: timings
      .filter((one) => one.peer === peer.id && one.threads === threads && which(one))
      .toSorted((a, b) => at(a) - at(b))
      .flatMap((one) => {
        const found = value(one);
        return found ? [{ x: at(one), ...found }] : [];
      }),
  });
  const perElement = (/** @type {Timing} */ one) => each(one.nsPerCall, (ns) => ns / elements(one));
  const ofMemcpy = (/** @type {Timing} */ one) => {
    const copy = find(timings, 'memcpy', one, 1);
    return copy && each(one.nsPerCall, (ns) => (100 * copy.nsPerCall.median) / ns);
  };
  const LINES = 'Loss and gradient, one thread. A line ends where a call would take too long to be measured.';
  const GROWING = `One row of up to ${count(classes)} classes, then more rows of as many.`;
  const size = { title: 'elements (rows × classes)', label: short };
  const nsPerElement = { title: 'time per element (ns, log scale)', label: plain };

  const page = [
    '## Time per element',
    await save(
      'time-by-classes',
      `Time per element of ${count(rows)} rows, by the number of classes`,
      ({ title }) =>
        drawLines({
          ...{ title, subtitle: LINES },
          ...{ x: { title: 'classes', label: plain }, y: nsPerElement },
          panels: [{ lines: drawn.map((peer) => line(peer, ofRows, (one) => one.classes, perElement)) }],
        }),
    ),
    await save(
      'time-by-rows',
      `Time per element of ${count(classes)} classes, by the number of rows`,
      ({ title }) =>
        drawLines({
          ...{ title, subtitle: LINES },
          ...{ x: { title: 'rows', label: plain }, y: nsPerElement },
          panels: [{ lines: drawn.map((peer) => line(peer, ofClasses, (one) => one.rows, perElement)) }],
        }),
    ),
    '## Memory bandwidth',
    'memcpy of the logits to the gradient reads and writes the same 8 bytes an element, once: that is 100 %.',
    await save('bandwidth', 'Bandwidth, as a share of what memcpy reaches', ({ title }) =>
      drawLines({
        ...{ title, subtitle: [LINES, GROWING] },
        ...{ x: size, y: { title: 'share of the bandwidth of memcpy (%, log scale)', label: plain } },
        panels: [{ lines: drawn.map((peer) => line(peer, growing, elements, ofMemcpy)) }],
      }),
    ),
    '## As work grows',
    await save('growth', 'Time of a call, from the smallest to the largest', ({ title }) =>
      drawLines({
        ...{ title, subtitle: [LINES, GROWING] },
        ...{ x: size, y: { title: 'time of a call (log scale)', label: duration } },
        ...{ columns: 3, width: 150, height: 190, spacing: { row: 46, column: 92 } },
        panels: families(drawn).map(([family, members]) => ({
          title: family,
          lines: members.map(({ peer, name }) => ({
            ...line(peer, growing, elements, (one) => each(one.nsPerCall, (ns) => ns)),
            name,
          })),
        })),
      }),
    ),
  ];
  if (most === 1) return page;
  const title = most === 2 ? 'Speed-up from a second thread' : `Speed-up with ${most} threads`;
  const told = drawn.filter(({ threads }) => threads);
  return [
    ...page,
    '## Threads',
    await save('threads', title, ({ title }) =>
      drawLines({
        title,
        subtitle: [
          `Loss and gradient. ${GROWING}`,
          'Bars: what the quartiles of both times allow.',
          `Hollow, with its figure: more than ${most} threads can give; the report says what is known.`,
        ],
        ...{ x: size, y: { title: 'times as fast', label: (value) => `${plain(value)} ×` } },
        ...{ columns: 4, width: 170, height: 150, rules: [1, most], spacing: { row: 46, column: 16 } },
        panels: told.map((peer) => ({
          ...{ title: peer.name, named: false },
          lines: [line(peer, growing, elements, (one) => gainOf(timings, one), most)],
        })),
      }),
    ),
    ...gainsBeyond({ peers, timings }, most),
  ];
}

/**
 * The peers by library, each library's beside smoothloss and memcpy.
 * @param {Results['peers']} peers @returns {[string, { peer: Results['peers'][number], name: string }[]][]}
 */
function families(peers) {
  const of = ({ name = '' }) => name.split(', ')[0];
  const references = peers.filter(({ id }) => ['memcpy', 'smoothloss'].includes(id));
  const libraries = [...new Set(peers.filter(({ id }) => id !== 'memcpy').map(of))];
  return libraries.map((library) => {
    const own = peers.filter((peer) => of(peer) === library && !references.includes(peer));
    return [
      library,
      [...references, ...own].map((peer) => ({
        peer,
        name: references.includes(peer) ? peer.name : peer.name.split(', ').slice(1).join(', ') || peer.name,
      })),
    ];
  });
}

/**
 * What is on record about gains that the number of threads does not explain.
 * @param {Pick<Results, 'peers' | 'timings'>} results @param {number} most
 */
function gainsBeyond({ peers, timings }, most) {
  const beyond = timings.filter((one) => one.threads === most && gainOf(timings, one)?.remark);
  if (beyond.length === 0) return [];
  /** @param {Timing | undefined} timing */
  const time = (timing) => {
    if (!timing) return '–';
    const [l, m, h] = [timing.nsPerCall.low, timing.nsPerCall.median, timing.nsPerCall.high].map((ns) =>
      figure(ns / elements(timing)),
    );
    return `${m} [${l}–${h}], ${timing.samples}`;
  };
  /** The shapes of as many classes with fewer and with more rows. @param {Timing} timing */
  const beside = (timing) => {
    const same = timings
      .filter(
        ({ peer, threads, classes }) => peer === timing.peer && threads === 1 && classes === timing.classes,
      )
      .toSorted((a, b) => a.rows - b.rows);
    const at = same.findIndex(({ rows }) => rows === timing.rows);
    return [same[at - 1], same[at + 1]]
      .map((one) => (one ? `${figure(one.nsPerCall.median / elements(one))} (${count(one.rows)} rows)` : ''))
      .filter(Boolean)
      .join('; ');
  };
  return [
    `Gains well above ${most} are more than ${most} threads can give, even where the caches of ${most} CPUs hold what one does not. What
is on record about them (those in the chart are hollow there): all times with one thread were measured before those with ${most}, on
a machine that others use too. Where memcpy gains as much, or one thread took longer per element than with fewer rows and with more,
that time was slow, and not ${most} threads fast. Where samples are few or quartiles far apart, calls of one kind differ by a multiple: so
they do for peers that allocate their gradient, when some calls get new pages. The least gain that the quartiles allow is the one to
count on. Nanoseconds per element [quartiles], samples:`,
    markdownTable(
      [
        'rows × classes',
        'peer',
        'times as fast',
        'memcpy too',
        'one thread',
        threadsName(most),
        'one thread, fewer and more rows',
      ],
      beyond.map((timing) => {
        const { y, low, high } = /** @type {Value} */ (gainOf(timings, timing));
        const copy = find(timings, 'memcpy', timing, most);
        const copied = copy && gainOf(timings, copy);
        return [
          shapeName(timing),
          peers.find(({ id }) => id === timing.peer)?.name ?? timing.peer,
          `${figure(y)} [${figure(low)}–${figure(high)}]`,
          copied ? figure(copied.y) : '–',
          time(find(timings, timing.peer, timing, 1)),
          time(timing),
          beside(timing),
        ];
      }),
    ),
  ];
}

/** @param {Shape[]} shapes */
const rowsOf = (shapes) => [...new Set(shapes.map(({ rows }) => count(rows)))].join(' or ');

/** @param {Results} results @param {Save} save */
async function accuracySection({ epsilon, peers, accuracy }, save) {
  const shapes = shapesIn(accuracy);
  const there = peers.filter(({ id }) => accuracy.some(({ peer }) => peer === id));
  const kind = (/** @type {Shape} */ { classes }) => `${count(classes)} classes`;
  const title = 'Largest error of an element of the gradient, against float64';
  const kernels = peers.some(({ version }) => version?.includes('avx512')) ? ', CPU with AVX-512' : '';
  const drawn = (/** @type {{ title: string }} */ { title }) =>
    drawMarks({
      title,
      subtitle: `${rowsOf(shapes)} rows of logits 10·N(0, 1), label smoothing ${epsilon}, reduction sum, float32${kernels}.`,
      x: 'largest absolute error of an element (the gradient lies in [−1, 1])',
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
gradient with reduction sum, and the relative error of the loss as the peer returns it (most return a float32, which is 6e-8 by itself).
Sums in float32 depend on the data and on the width of vectors: with AVX2, PyTorch's error is about twice that with AVX-512. The
[The table of accuracy](../../docs/same-bits.md#accuracy) is of logits of another seed, and has both.`,
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

/** @param {Results['peers']} peers @param {string} [measure] of the tolerances */
export function whoWasCompared(peers, measure = 'gradient of the sum; loss, relative') {
  /** @param {Pick<Peer, 'tolerance'>} peer */
  const within = ({ tolerance }) => {
    if (!tolerance) return 'not checked';
    return tolerance.loss === 0 ? 'the same bits' : `${tolerance.gradient}; ${tolerance.loss}`;
  };
  return [
    '## Who was compared',
    markdownTable(
      ['', 'version', 'threads', 'its gradient', `agrees within: ${measure}`],
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
