// @ts-check
import { HttpError } from './http-error.mjs';
import { descend, layer } from './model.mjs';

/** @import { LinearCrossEntropy, Parameters } from './model.mjs' */

/**
 * @typedef {object} Batch
 * @property {Float32Array} inputs rows × features
 * @property {Int32Array} labels a class per row; -100 for a row that takes no part
 * @property {number} steps how many steps of training to do on it
 */

/** @typedef {{ step: number, loss: number, accuracy: number }} Outcome both measured before the last step */

/**
 * @typedef {object} Job
 * @property {Batch} batch
 * @property {AbortController} controller
 * @property {(outcome: Outcome) => void} resolve
 * @property {(error: unknown) => void} reject
 */

/** What the loss refuses because of what the client sent. */
const REFUSALS = new Set(['ERR_OUT_OF_RANGE', 'ERR_LENGTH_MISMATCH', 'ERR_EMPTY']);

/**
 * Trains on one batch after the other, in the order they came, so that every step starts from what the
 * last one made. `parameters` is replaced as a whole when a step is complete: one that fails or is
 * aborted leaves it as it was.
 */
export class Trainer {
  /** @type {Job[]} */
  #waiting = [];
  /** @type {Job | undefined} */
  #running;
  /** Settled when nothing runs any more. */
  #end = Promise.resolve();
  #stopped = false;
  /** A running mean, in seconds. */
  #usualTime = 0;

  /**
   * @param {Parameters} parameters
   * @param {object} options
   * @param {LinearCrossEntropy} options.linearCrossEntropy
   * @param {number} options.epsilon
   * @param {number} options.rate
   * @param {number} options.queue
   * @param {(outcome: Outcome, seconds: number) => void} options.onStep
   */
  constructor(parameters, options) {
    this.parameters = parameters;
    this.options = options;
  }

  get running() {
    return this.#running ? 1 : 0;
  }

  get waiting() {
    return this.#waiting.length;
  }

  /**
   * @param {Batch} batch
   * @param {AbortController} controller ends the training, waiting or running
   * @returns {Promise<Outcome>}
   */
  train(batch, controller) {
    return new Promise((resolve, reject) => {
      if (this.#stopped) throw stopping();
      if (this.#running && this.#waiting.length >= this.options.queue) throw this.#full();
      const job = { batch, controller, resolve, reject };
      this.#waiting.push(job);
      controller.signal.addEventListener('abort', () => {
        const place = this.#waiting.indexOf(job);
        if (place < 0) return; // the running one sees to itself
        this.#waiting.splice(place, 1);
        reject(controller.signal.reason);
      });
      if (!this.#running) this.#end = this.#work();
    });
  }

  /** Takes no more, and aborts what waits; what runs may finish. */
  stop() {
    this.#stopped = true;
    for (const { controller } of [...this.#waiting]) controller.abort(stopping());
  }

  /** Aborts what runs: complete steps stay. */
  abort() {
    this.#running?.controller.abort(stopping());
  }

  /** Resolves when nothing runs any more. */
  idle() {
    return this.#end;
  }

  #full() {
    const seconds = Math.max(1, Math.ceil(this.#usualTime * (this.#waiting.length + 1)));
    return new HttpError(503, 'ERR_QUEUE_FULL', `the queue is full: ${this.#waiting.length} waiting`, {
      'retry-after': String(seconds),
    });
  }

  async #work() {
    for (let job = this.#waiting.shift(); job; job = this.#waiting.shift()) {
      this.#running = job;
      const { signal } = job.controller;
      const started = performance.now();
      try {
        const outcome = await this.#run(job);
        const seconds = (performance.now() - started) / 1000;
        this.#usualTime = this.#usualTime === 0 ? seconds : 0.8 * this.#usualTime + 0.2 * seconds;
        job.resolve(outcome);
      } catch (error) {
        job.reject(signal.aborted ? signal.reason : error);
      }
      this.#running = undefined;
    }
  }

  /** @param {Job} job */
  async #run({ batch, controller: { signal } }) {
    let outcome = { step: this.parameters.step, loss: Number.NaN, accuracy: Number.NaN };
    for (let i = 0; i < batch.steps; i++) {
      signal.throwIfAborted();
      const started = performance.now();
      outcome = await this.#step(batch, signal);
      this.options.onStep(outcome, (performance.now() - started) / 1000);
    }
    return outcome;
  }

  /**
   * @param {Batch} batch
   * @param {AbortSignal} signal
   */
  async #step({ inputs, labels }, signal) {
    const { parameters } = this;
    const gradient = new Float32Array(parameters.values.length);
    const { loss, accuracy } = await this.#loss(inputs, labels, gradient, signal);
    if (!Number.isFinite(loss)) {
      throw new HttpError(422, 'ERR_NOT_FINITE', `the loss is ${loss}: the model is left as it was`);
    }
    this.parameters = await descend(parameters, gradient, this.options.rate, signal);
    return { step: this.parameters.step, loss, accuracy };
  }

  /**
   * The loss of a batch, and its gradient by the parameters.
   * @param {Float32Array} inputs
   * @param {Int32Array} labels
   * @param {Float32Array} gradient where it is written, laid out as the parameters
   * @param {AbortSignal} signal
   */
  async #loss(inputs, labels, gradient, signal) {
    const { parameters } = this;
    const { epsilon, linearCrossEntropy } = this.options;
    const { linearWeight, linearBias } = layer(parameters);
    try {
      const { loss, metrics } = await linearCrossEntropy(inputs, linearWeight, labels, {
        classes: parameters.classes,
        linearBias,
        labelSmoothing: epsilon,
        gradient: layer({ ...parameters, values: gradient }),
        metrics: true,
        whenEmpty: 'error',
        signal,
      });
      return { loss, accuracy: metrics.accuracy };
    } catch (error) {
      const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code === undefined || !REFUSALS.has(code)) throw error;
      throw new HttpError(400, code, message.replace(/^targets/, 'labels'));
    }
  }
}

const stopping = () => new HttpError(503, 'ERR_STOPPING', 'the server is stopping', { 'retry-after': '5' });
