// @ts-check
import { UserError } from './options.mjs';
import { count } from './tables.mjs';
import { Tokenizer } from './tokenizer.mjs';

const HELD_OUT = 0.1;
const LEAST_TOKENS = 256;
const MOST_EVALUATED = 4096;

/**
 * Splits a text into the part to learn from and the last tenth, which neither the tokenizer nor the model
 * gets to see, and turns both into tokens.
 * @param {string} text
 * @param {{ vocabulary: number, context: number, batch: number }} options
 */
export function prepareCorpus(text, { vocabulary, context, batch }) {
  const cut = text.indexOf(' ', Math.floor(text.length * (1 - HELD_OUT)));
  const border = cut < 0 ? Math.floor(text.length * (1 - HELD_OUT)) : cut;
  const tokenizer = Tokenizer.train(text.slice(0, border), vocabulary);
  if (tokenizer.size < vocabulary) {
    throw new UserError(
      `the text is too short or too uniform: it gives ${count(tokenizer.size)} kinds of token, ` +
        `and --vocabulary asks for ${count(vocabulary)}`,
    );
  }

  const training = tokenizer.encode(text.slice(0, border));
  const heldOut = tokenizer.encode(text.slice(border));
  const trainingPositions = positions(training, context);
  const heldOutPositions = positions(heldOut, context);
  if (trainingPositions.length < batch || heldOutPositions.length < LEAST_TOKENS) {
    throw new UserError(
      `the text is too short: ${count(training.length)} tokens to train on and ` +
        `${count(heldOut.length)} held out, must be at least ${count(batch + context)} and ${count(LEAST_TOKENS + context)}`,
    );
  }
  return {
    classes: tokenizer.size,
    training: { tokens: training, positions: trainingPositions },
    heldOut: { tokens: heldOut, positions: spread(heldOutPositions, MOST_EVALUATED) },
    /** As many tokens of the training text, for a curve to set beside the one of the held-out text. */
    seen: {
      tokens: training,
      positions: spread(trainingPositions, Math.min(heldOutPositions.length, MOST_EVALUATED)),
    },
  };
}

/**
 * Every position with a full context before it.
 * @param {Uint16Array} tokens
 * @param {number} context
 */
function positions(tokens, context) {
  return Int32Array.from({ length: Math.max(0, tokens.length - context) }, (_, i) => i + context);
}

/**
 * At most `most` of the positions, at equal distances.
 * @param {Int32Array} all
 * @param {number} most
 */
function spread(all, most) {
  if (all.length <= most) return all;
  return Int32Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]);
}
