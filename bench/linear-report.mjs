// @ts-check
// The report of bench:linear: a page and its charts, all of it from linear.json. By itself it draws them anew.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { drawMarks } from './charts.mjs';
import { markdownTable } from './markdown.mjs';
import { figure, machineName, shapeName, threadsName } from './race.mjs';
import { describe, plain, shapesIn, small, whoWasCompared } from './report.mjs';

/** @import { View } from 'vega' */
/** @import { LayerAccuracy, Memory } from './peers/layer.mjs' */
/** @import { Timing } from './peers/measure.mjs' */
/** @import { LayerShape } from './race.mjs' */
/** @import { Results } from './report.mjs' */

/**
 * @typedef {LayerShape & Timing & { gradient: boolean }} LayerTiming gradient: whether those of input and weight were computed
 * @typedef {Pick<Results, 'machine' | 'epsilon' | 'peers' | 'notes'> & { timings: LayerTiming[], memory: Memory[],
 *   accuracy: LayerAccuracy[] }} LayerResults
 */

export const TIME_HEAD = ['ms', '× smoothloss', 'CPU ms', '× smoothloss', 'GFLOP/s', 'samples'];
const MIB = 2 ** 20;

/** @param {LayerTiming} a @param {LayerTiming} b */
const isSameCall = (a, b) =>
  shapeName(a) === shapeName(b) && a.threads === b.threads && a.gradient === b.gradient;

/** @param {LayerTiming} time @param {LayerTiming[]} timings @returns {LayerTiming | undefined} smoothloss's time of the same */
const ownOf = (time, timings) => timings.find((one) => one.peer === 'smoothloss' && isSameCall(one, time));

/** The figures under TIME_HEAD. @param {LayerTiming} time @param {LayerTiming[]} timings */
export function timeCells(time, timings) {
  const { rows, features, classes, gradient, nsPerCall, cpuNsPerCall, samples } = time;
  const own = ownOf(time, timings);
  const ratio = (/** @type {'nsPerCall' | 'cpuNsPerCall'} */ of) =>
    own ? figure(time[of].median / own[of].median) : '';
  const [low, median, high] = [nsPerCall.low, nsPerCall.median, nsPerCall.high].map((ns) => figure(ns / 1e6));
  const operations = 2 * (gradient ? 3 : 1) * rows * features * classes;
  return [
    ...[`${median} [${low}–${high}]`, ratio('nsPerCall')],
    ...[figure(cpuNsPerCall.median / 1e6), ratio('cpuNsPerCall')],
    ...[figure(operations / nsPerCall.median), String(samples)],
  ];
}

/** What was called. @param {{ gradient: boolean, threads: number }} call */
export const callName = ({ gradient, threads }) =>
  `${gradient ? 'Loss and gradients' : 'Loss only'}, ${threadsName(threads)}`;

/** @param {LayerResults} results @param {string} file of the results @returns {Promise<string>} the page's file */
export async function writeLayerReport(results, file) {
  const directory = path.dirname(file);
  const page = await layerPageOf(results, async (name, chart) =>
    writeFileSync(path.join(directory, `${name}.svg`), `${await chart.toSVG()}\n`),
  );
  const written = path.join(directory, 'linear.md');
  writeFileSync(written, page);
  return written;
}

/**
 * The page.
 * @param {LayerResults} results @param {(name: string, chart: View) => unknown} keep what is done with its charts
 */
export async function layerPageOf({ machine, epsilon, peers, notes, timings, memory, accuracy }, keep) {
  const there = peers.filter(({ version }) => version !== undefined);
  const nameOf = (/** @type {{ peer: string }} */ one) =>
    peers.find(({ id }) => id === one.peer)?.name ?? one.peer;
  /**
   * A chart of some figures of each peer.
   * @template {LayerShape & { peer: string }} T
   * @param {string} name @param {Omit<Parameters<typeof drawMarks>[0], 'kinds' | 'marks'>} chart @param {T[]} figures
   * @param {(one: T) => { kind: string, x: number }[]} marksOf
   */
  const save = async (name, chart, figures, marksOf) => {
    const marks = there.flatMap((peer) =>
      figures
        .filter((one) => one.peer === peer.id)
        .flatMap((one) => marksOf(one).map((mark) => ({ peer, ...mark }))),
    );
    const kinds = [...new Set(marks.map(({ kind }) => kind))];
    await keep(name, await drawMarks({ ...chart, kinds, marks }));
    return `![${chart.title}](${name}.svg)`;
  };
  const steps = timings.filter(({ gradient, threads }) => gradient && threads === 1);
  const times = (/** @type {number} */ n) => `${plain(n)} ×`;
  const page = [
    '# linearCrossEntropy beside other ways to compute an output layer and its loss',
    `Mean cross entropy with label smoothing ${epsilon} of the logits input · linearWeightᵀ, and the gradients of input and weight, in float32.
${machineName(machine)}. Shapes are rows × features × classes; logits are near 3·N(0, 1). Times are medians [quartiles] of samples that
the peers took in turn: each is a process of its own, one runs at a time, and all were checked against smoothloss first. On a machine
that others use too, the CPU time says more than the time: a peer that waits for a CPU does not count it.`,
    ...(steps.length > 0
      ? [
          '## Time',
          await save(
            'linear-time',
            {
              title: 'CPU time of loss and gradients, beside that of smoothloss',
              subtitle: 'One thread, where CPU time is the time of a machine that does nothing else.',
              x: 'times as much CPU time as smoothloss (log scale)',
              ...{ ofMark: (/** @type {number} */ n) => `${figure(n)} ×`, ofTick: times },
            },
            steps,
            (one) => {
              const own = ownOf(one, steps);
              return own
                ? [{ kind: shapeName(one), x: one.cpuNsPerCall.median / own.cpuNsPerCall.median }]
                : [];
            },
          ),
        ]
      : []),
    ...(memory.length > 0
      ? [
          '## Memory',
          `By how much the resident memory of a process grows at most in a call of loss and gradients, one thread, beyond inputs and
gradients, whoever allocates these. The logits of a whole batch have ${shapesIn(memory)
            .map((shape) => `${figure((4 * shape.rows * shape.classes) / MIB)} MiB (${shapeName(shape)})`)
            .join(', ')}.`,
          await save(
            'linear-memory',
            {
              title: 'Memory beyond inputs and gradients',
              subtitle: 'Loss and gradients, one thread.',
              x: 'MiB (log scale)',
              ...{ ofMark: figure, ofTick: plain },
            },
            memory,
            (one) => [{ kind: shapeName(one), x: one.bytes / MIB }],
          ),
          markdownTable(
            ['MiB', ...shapesIn(memory).map(shapeName)],
            there.map(({ id, name }) => [
              name,
              ...shapesIn(memory).map((shape) => {
                const one = memory.find((one) => one.peer === id && shapeName(one) === shapeName(shape));
                return one ? figure(one.bytes / MIB) : '–';
              }),
            ]),
          ),
        ]
      : []),
    ...(accuracy.length > 0
      ? [
          '## Accuracy',
          `Against [plain JavaScript](../plain.mjs) in doubles on the same float32 arrays: the root of the mean square of a gradient's errors,
relative to that of the gradient, and the relative error of the loss.`,
          await save(
            'linear-accuracy',
            {
              title: 'Error of the gradients, against float64',
              subtitle: 'Root of the mean square, relative to that of the gradient.',
              x: 'relative error (log scale)',
            },
            accuracy,
            (one) => [
              { kind: `input, ${shapeName(one)}`, x: one.input },
              { kind: `weight, ${shapeName(one)}`, x: one.linearWeight },
            ],
          ),
          markdownTable(
            ['', 'rows × features × classes', 'gradient of input', 'of weight', 'loss'],
            accuracy.map((one) => [
              nameOf(one),
              shapeName(one),
              ...[one.input, one.linearWeight, one.loss].map(small),
            ]),
          ),
        ]
      : []),
    ...timeTables(timings, nameOf),
    ...whoWasCompared(peers, 'gradients, relative; loss, relative'),
    ...(notes.length > 0
      ? [`Not compared:\n\n${notes.map((note) => `* ${describe(note, peers)}`).join('\n')}`]
      : []),
    REPEAT,
  ];
  return `${page.join('\n\n')}\n`;
}

/** @param {LayerTiming[]} timings @param {(one: LayerTiming) => string} nameOf */
function timeTables(timings, nameOf) {
  const calls = [...new Set(timings.map(callName))];
  return calls.flatMap((call) => {
    const times = timings.filter((one) => callName(one) === call);
    return [
      `## ${call}`,
      markdownTable(
        ['', 'rows × features × classes', ...TIME_HEAD],
        times.map((time) => [nameOf(time), shapeName(time), ...timeCells(time, times)]),
      ),
    ];
  });
}

const REPEAT = `## Repeat it

\`\`\`sh
npm ci && npm run build
npm install --no-save --ignore-scripts koffi @tensorflow/tfjs @tensorflow/tfjs-backend-wasm
python3 -m venv peers && peers/bin/pip install torch
npm run bench:linear -- --python peers/bin/python
\`\`\`

Each of the two installs may be left out, whole or in part, and so may OpenBLAS: what is not there is named.
\`npm run bench:linear -- --help\` tells the options, \`npm run bench:report\` draws this page anew from [linear.json](linear.json),
which holds all figures.`;

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { json: { type: 'string', default: path.join(import.meta.dirname, 'report', 'linear.json') } },
  });
  console.log(await writeLayerReport(JSON.parse(readFileSync(values.json, 'utf8')), values.json));
}
