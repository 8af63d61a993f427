// The way of every call, with or without a promise: check the arguments, have a kernel compute the batch, make a result of
// the sums.

import { prepareElements } from './arguments/element-losses.js';
import { FUNCTIONS, type FunctionName, type Rules } from './arguments/functions.js';
import { prepareLayer } from './arguments/linear-losses.js';
import type { Outcome, Prepared } from './arguments/prepare.js';
import { prepareRows } from './arguments/row-losses.js';
import { type PreparedLabels, prepareSmoothLabels } from './arguments/smooth-labels.js';
import type { Floats, Sums } from './batch.js';
import { fromNames } from './objects.js';

/** A call that is checked: of a loss, or of smoothLabels. */
export type Checked = Prepared | PreparedLabels;
/** What the result of a call is made of, beside the sums. */
export type Ended = Outcome | Pick<PreparedLabels, 'labels'>;
/** Computes a checked call, and returns what the function returns. */
export type Run = (rules: Rules, call: Checked) => unknown;
type Bound = (first: unknown, second: unknown, third: unknown, fourth: unknown) => unknown;

interface AnyResult {
  loss?: number;
  losses?: Floats;
  gradient?: unknown;
  numerator: number;
  denominator: number;
  rows: number;
  metrics?: object;
  perRow?: object;
}

// Returns the same bits for every NaN: those of ∞ − ∞ depend on the CPU.
function oneNaN(x: number): number {
  return Number.isNaN(x) ? NaN : x;
}

function lossOf(outcome: Outcome, sum: number): AnyResult {
  const numerator = oneNaN(sum);
  const { reduction, rows, losses, gradient, perRow } = outcome;
  const denominator = oneNaN(outcome.denominator);
  const totals = { numerator, denominator, rows };
  let result: AnyResult;
  if (losses !== null) {
    result = { losses, ...totals };
  } else if (reduction === 'sum') {
    result = { loss: numerator, ...totals };
  } else {
    const loss = denominator === 0 ? outcome.empty : oneNaN(numerator / denominator);
    result = { loss, numerator, denominator, rows };
  }
  if (gradient !== null) result.gradient = gradient;
  if (perRow !== null) result.perRow = perRow;
  return result;
}

/** Makes what the function returns. */
export function resultOf(rules: Rules, ended: Ended, sums: Sums): unknown {
  if (rules.of === 'labels') return (ended as PreparedLabels).labels;
  const outcome = ended as Outcome;
  const result = lossOf(outcome, sums.numerator);
  if (outcome.metrics) result.metrics = metricsOf(rules, sums, outcome.parts);
  return result;
}

// Each kind has a closure of its own, which calls its own checks: one for all kinds took 4 % longer on a call of one row. A
// literal gives the function its name.
function bound(name: string, rules: Rules, run: Run): Bound {
  switch (rules.of) {
    case 'rows':
      return {
        [name]: (logits: unknown, targets: unknown, options: unknown) =>
          run(rules, prepareRows(rules, logits, targets, options)),
      }[name];
    case 'layer':
      return {
        [name]: (input: unknown, linearWeight: unknown, targets: unknown, options: unknown) =>
          run(rules, prepareLayer(rules, input, linearWeight, targets, options)),
      }[name];
    case 'elements':
      return {
        [name]: (logits: unknown, targets: unknown, options: unknown) =>
          run(rules, prepareElements(rules, logits, targets, options)),
      }[name];
    case 'labels':
      return {
        [name]: (targets: unknown, options: unknown) =>
          run(rules, prepareSmoothLabels(rules, targets, options)),
      }[name];
  }
}

/** Every function: checks its arguments, and has `run` answer. */
export function bindAll(run: Run): Record<string, Bound> {
  return fromNames(Object.keys(FUNCTIONS) as FunctionName[], (name) => bound(name, FUNCTIONS[name], run));
}

/** The mean over `parts` rows or elements; NaN, 0 / 0, if there are none. */
function mean(sum: number, parts: number): number {
  return oneNaN(sum / parts);
}

function metricsOf({ metrics }: Rules, sums: Sums, parts: number): object {
  return fromNames(metrics, (name) => mean(name === 'accuracy' ? sums.correct : sums[name], parts));
}
