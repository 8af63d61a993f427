// @ts-check
import { generator } from './random.mjs';

/**
 * @typedef {object} Shape
 * @property {number} vocabulary tokens, the classes of the softmax
 * @property {number} context how many tokens the model looks back
 * @property {number} embedding numbers per token
 * @property {number} hidden hidden units
 * @property {number} batch the most rows that one call takes
 */

/**
 * A next-token model: the embeddings of the last few tokens side by side, a hidden layer, a logit a token.
 *
 *     input  = embed(tokens[t − context … t − 1])      rows × context·embedding
 *     hidden = relu(input · W1ᵀ + b1)                  rows × hidden
 *     logits = hidden · W2ᵀ + b2                       rows × vocabulary
 *
 * The last line, its loss and the gradients of hidden, W2 and b2 are `linearCrossEntropy`'s: it stands between
 * `forward` and `backward`.
 *
 * Nothing but +, −, ×, ÷, √ and comparisons in a fixed order, all of which IEEE 754 defines to the last bit.
 * So the seed, the text and the loss decide every bit of the trained weights.
 */
export class Model {
  /** All parameters, one after another; the arrays below are windows on it. */
  weights;
  #gradients;
  #mean;
  #square;
  #meanDecay = 1;
  #squareDecay = 1;

  /**
   * @param {Shape} shape
   * @param {number} seed
   */
  constructor(shape, seed) {
    const { vocabulary, context, embedding, hidden, batch } = shape;
    const input = context * embedding;
    this.shape = shape;
    const count = vocabulary * embedding + hidden * (input + 1) + vocabulary * (hidden + 1);
    this.weights = new Float32Array(count);
    this.#gradients = new Float32Array(count);
    this.#mean = new Float32Array(count);
    this.#square = new Float32Array(count);

    /** @param {Float32Array} all */
    const split = (all) => {
      let end = 0;
      const next = (/** @type {number} */ length) => {
        end += length;
        return all.subarray(end - length, end);
      };
      return {
        embeddings: next(vocabulary * embedding),
        w1: next(hidden * input),
        b1: next(hidden),
        w2: next(vocabulary * hidden),
        b2: next(vocabulary),
      };
    };
    this.parameters = split(this.weights);
    this.gradients = split(this.#gradients);

    const random = generator(seed);
    const fill = (/** @type {Float32Array} */ array, /** @type {number} */ bound) => {
      for (let i = 0; i < array.length; i++) array[i] = (2 * random() - 1) * bound;
    };
    fill(this.parameters.embeddings, 1);
    fill(this.parameters.w1, Math.sqrt(3 / input));
    fill(this.parameters.w2, Math.sqrt(1 / hidden));

    this.tokens = new Uint16Array(batch * context);
    this.input = new Float32Array(batch * input);
    this.hidden = new Float32Array(batch * hidden);
    this.inputGradient = new Float32Array(batch * input);
  }

  /**
   * The hidden layer, from the tokens before the given positions.
   * @param {Uint16Array} tokens the whole text
   * @param {Int32Array} positions at most `batch`, none before `context`
   * @returns {Float32Array} positions.length × hidden; the next call writes to the same memory
   */
  forward(tokens, positions) {
    const { context, embedding, hidden } = this.shape;
    const { embeddings, w1, b1 } = this.parameters;
    const rows = positions.length;
    const width = context * embedding;

    for (let row = 0; row < rows; row++) {
      for (let back = 0; back < context; back++) {
        const token = tokens[positions[row] - 1 - back];
        this.tokens[row * context + back] = token;
        const from = token * embedding;
        const to = row * width + back * embedding;
        for (let i = 0; i < embedding; i++) this.input[to + i] = embeddings[from + i];
      }
    }
    multiply(this.hidden, matrix(this.input, width), transposed(w1, width), rows, hidden, width);
    addToRows(this.hidden, b1, rows);
    for (let i = 0; i < rows * hidden; i++) if (this.hidden[i] < 0) this.hidden[i] = 0;
    return this.hidden.subarray(0, rows * hidden);
  }

  /**
   * The gradients of the hidden layer's parameters and of the embeddings.
   * @param {Float32Array} gradient of what the last `forward` gave, rows × hidden; set to 0 where a unit was 0
   */
  backward(gradient) {
    const { context, embedding, hidden } = this.shape;
    const { embeddings, w1, b1 } = this.gradients;
    const rows = gradient.length / hidden;
    const width = context * embedding;

    for (let i = 0; i < rows * hidden; i++) if (this.hidden[i] === 0) gradient[i] = 0;
    sumRows(b1, gradient, rows);
    multiply(w1, transposed(gradient, hidden), matrix(this.input, width), hidden, width, rows);
    const above = matrix(gradient, hidden);
    multiply(this.inputGradient, above, matrix(this.parameters.w1, width), rows, width, hidden);

    embeddings.fill(0);
    for (let slot = 0; slot < rows * context; slot++) {
      const to = this.tokens[slot] * embedding;
      const from = slot * embedding;
      for (let i = 0; i < embedding; i++) embeddings[to + i] += this.inputGradient[from + i];
    }
  }

  /**
   * One step of Adam (Kingma and Ba, 2015) with its usual constants.
   * @param {number} rate
   */
  update(rate) {
    this.#meanDecay *= 0.9;
    this.#squareDecay *= 0.999;
    const meanScale = rate / (1 - this.#meanDecay);
    const squareScale = 1 / (1 - this.#squareDecay);
    const [weights, gradients, mean, square] = [this.weights, this.#gradients, this.#mean, this.#square];
    for (let i = 0; i < weights.length; i++) {
      const gradient = gradients[i];
      const m = 0.9 * mean[i] + 0.1 * gradient;
      const s = 0.999 * square[i] + 0.001 * gradient * gradient;
      mean[i] = m;
      square[i] = s;
      weights[i] -= (meanScale * m) / (Math.sqrt(squareScale * s) + 1e-8);
    }
  }
}

/**
 * A matrix in a flat array: the element (i, j) is data[i·down + j·across].
 * @typedef {{ data: Float32Array, down: number, across: number }} View
 */

/** @type {(data: Float32Array, columns: number) => View} */
const matrix = (data, columns) => ({ data, down: columns, across: 1 });

/** @type {(data: Float32Array, columns: number) => View} */
const transposed = (data, columns) => ({ data, down: 1, across: columns });

/**
 * out = a · b, where out is rows × columns and `depth` is what they have in common.
 *
 * Four rows and two columns at a time: eight sums use each number they load several times, which is four
 * times as fast as one sum after the other; 16 sums no longer fit the registers and gain nothing.
 * @param {Float32Array} out
 * @param {View} a
 * @param {View} b
 * @param {number} rows
 * @param {number} columns
 * @param {number} depth
 */
function multiply(out, a, b, rows, columns, depth) {
  const [x, y] = [a.data, b.data];
  const [xDown, xAcross, yDown, yAcross] = [a.down, a.across, b.down, b.across];
  const tiledRows = rows - (rows % 4);
  const tiledColumns = columns - (columns % 2);
  for (let i = 0; i < tiledRows; i += 4) {
    const i0 = i * xDown;
    const i1 = i0 + xDown;
    const i2 = i1 + xDown;
    const i3 = i2 + xDown;
    for (let j = 0; j < tiledColumns; j += 2) {
      const j0 = j * yAcross;
      const j1 = j0 + yAcross;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      let s20 = 0;
      let s21 = 0;
      let s30 = 0;
      let s31 = 0;
      for (let k = 0, p = 0, q = 0; k < depth; k++, p += xAcross, q += yDown) {
        const y0 = y[j0 + q];
        const y1 = y[j1 + q];
        s00 += x[i0 + p] * y0;
        s01 += x[i0 + p] * y1;
        s10 += x[i1 + p] * y0;
        s11 += x[i1 + p] * y1;
        s20 += x[i2 + p] * y0;
        s21 += x[i2 + p] * y1;
        s30 += x[i3 + p] * y0;
        s31 += x[i3 + p] * y1;
      }
      const at = i * columns + j;
      out[at] = s00;
      out[at + 1] = s01;
      out[at + columns] = s10;
      out[at + columns + 1] = s11;
      out[at + 2 * columns] = s20;
      out[at + 2 * columns + 1] = s21;
      out[at + 3 * columns] = s30;
      out[at + 3 * columns + 1] = s31;
    }
  }
  for (let i = 0; i < rows; i++) {
    for (let j = i < tiledRows ? tiledColumns : 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += x[i * xDown + k * xAcross] * y[k * yDown + j * yAcross];
      out[i * columns + j] = sum;
    }
  }
}

/**
 * Adds a vector to every row.
 * @param {Float32Array} out
 * @param {Float32Array} vector
 * @param {number} rows
 */
function addToRows(out, vector, rows) {
  const columns = vector.length;
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < columns; j++) out[row * columns + j] += vector[j];
  }
}

/**
 * out = the sum of the rows.
 * @param {Float32Array} out
 * @param {Float32Array} data
 * @param {number} rows
 */
function sumRows(out, data, rows) {
  const columns = out.length;
  out.fill(0);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < columns; j++) out[j] += data[row * columns + j];
  }
}
