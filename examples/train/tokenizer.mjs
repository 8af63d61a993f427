// @ts-check
import { Buffer } from 'node:buffer';

/**
 * Words and numbers with the space before them, punctuation, white space: no token crosses their borders.
 * The bound on the length keeps the work small where a text has no spaces.
 */
const PIECE = / ?\p{L}{1,32}| ?\p{N}{1,32}| ?[^\s\p{L}\p{N}]{1,32}|\s{1,32}/gu;

/** One number for a pair of tokens; both are below 2^16. */
const pairKey = (/** @type {number} */ left, /** @type {number} */ right) => left * 65536 + right;

/**
 * Byte-level byte pair encoding: tokens 0 to 255 are the bytes, so that any text can be encoded, and every
 * further token joins the two neighbours that stood side by side most often when it was learnt.
 */
export class Tokenizer {
  /** @type {Map<number, number>} The token a pair becomes; a smaller token was learnt earlier. */
  #merges = new Map();
  /** @type {Map<string, number[]>} */
  #cache = new Map();

  /** The number of tokens: the classes of the softmax. */
  get size() {
    return 256 + this.#merges.size;
  }

  /**
   * Learns up to `size` tokens; fewer if no pair of neighbours occurs twice any more.
   * @param {string} text
   * @param {number} size 256 to 65,536
   */
  static train(text, size) {
    const tokenizer = new Tokenizer();

    /** @type {Map<string, number>} */
    const occurrences = new Map();
    for (const [piece] of text.matchAll(PIECE)) occurrences.set(piece, (occurrences.get(piece) ?? 0) + 1);
    const words = Array.from(occurrences, ([piece, count]) => ({ tokens: [...Buffer.from(piece)], count }));

    /** @type {Map<number, { count: number, words: Set<typeof words[number]> }>} */
    const pairs = new Map();
    const addPairs = (/** @type {typeof words[number]} */ word, /** @type {1 | -1} */ sign) => {
      for (let i = 1; i < word.tokens.length; i++) {
        const key = pairKey(word.tokens[i - 1], word.tokens[i]);
        const pair = pairs.get(key) ?? { count: 0, words: new Set() };
        pair.count += sign * word.count;
        pair.words.add(word);
        pairs.set(key, pair);
        if (pair.count === 0) pairs.delete(key);
      }
    };
    for (const word of words) addPairs(word, 1);

    while (tokenizer.size < size) {
      let best = -1;
      let bestCount = 1;
      for (const [key, { count }] of pairs) {
        if (count > bestCount || (count === bestCount && key < best)) [best, bestCount] = [key, count];
      }
      const affected = pairs.get(best)?.words;
      if (!affected) break;
      const token = tokenizer.size;
      for (const word of affected) {
        addPairs(word, -1);
        word.tokens = join(word.tokens, best, token);
        addPairs(word, 1);
      }
      tokenizer.#merges.set(best, token);
    }
    return tokenizer;
  }

  /**
   * @param {string} text
   * @returns {Uint16Array}
   */
  encode(text) {
    /** @type {number[]} */
    const tokens = [];
    for (const [piece] of text.matchAll(PIECE)) {
      const encoded = this.#cache.get(piece) ?? this.#encodePiece(piece);
      this.#cache.set(piece, encoded);
      for (const token of encoded) tokens.push(token);
    }
    return Uint16Array.from(tokens);
  }

  /** @param {string} piece */
  #encodePiece(piece) {
    let tokens = [...Buffer.from(piece)];
    for (;;) {
      let best = -1;
      let bestToken = Infinity;
      for (let i = 1; i < tokens.length; i++) {
        const key = pairKey(tokens[i - 1], tokens[i]);
        const token = this.#merges.get(key) ?? Infinity;
        if (token < bestToken) [best, bestToken] = [key, token];
      }
      if (best < 0) return tokens;
      tokens = join(tokens, best, bestToken);
    }
  }
}

/**
 * The tokens with every occurrence of one pair, from the left, replaced by one token.
 * @param {number[]} tokens
 * @param {number} key
 * @param {number} token
 */
function join(tokens, key, token) {
  /** @type {number[]} */
  const joined = [];
  for (let i = 0; i < tokens.length; i++) {
    if (i + 1 < tokens.length && pairKey(tokens[i], tokens[i + 1]) === key) {
      joined.push(token);
      i++;
    } else {
      joined.push(tokens[i]);
    }
  }
  return joined;
}
