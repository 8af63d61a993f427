// @ts-check
import Fastify from 'fastify';
import { HttpError } from './http-error.mjs';
import { classify } from './model.mjs';

/** @import { Checkpoints } from './checkpoints.mjs' */
/** @import { createMetrics } from './metrics.mjs' */
/** @import { Options } from './options.mjs' */
/** @import { Trainer } from './trainer.mjs' */

const MOST_STEPS = 100;
const MOST_PREDICTIONS = 64;
const MOST_LIKELY = 100;

/**
 * @param {Pick<Options, 'features' | 'classes' | 'maxBatch' | 'bodyLimit' | 'quiet'>} options
 */
function schemas({ features, classes, maxBatch }) {
  // Far from what would overflow; and JSON has no NaN, but 1e999 is Infinity.
  const row = { type: 'array', items: { type: 'number', minimum: -1e6, maximum: 1e6 } };
  const rows = { type: 'array', minItems: 1, items: { ...row, minItems: features, maxItems: features } };
  const label = { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
  return {
    train: {
      type: 'object',
      required: ['features', 'labels'],
      additionalProperties: false,
      properties: {
        features: { ...rows, maxItems: maxBatch },
        labels: { type: 'array', items: label, maxItems: maxBatch }, // their range is the library's to check
        steps: { type: 'integer', minimum: 1, maximum: MOST_STEPS, default: 1 },
      },
    },
    predict: {
      type: 'object',
      required: ['features'],
      additionalProperties: false,
      properties: {
        features: { ...rows, maxItems: MOST_PREDICTIONS },
        top: { type: 'integer', minimum: 1, maximum: MOST_LIKELY, default: Math.min(5, classes) },
      },
    },
  };
}

/** @param {Options} options */
export function createApp(options) {
  return Fastify({
    logger: { level: options.quiet ? 'warn' : 'info' },
    bodyLimit: options.bodyLimit,
    requestTimeout: 30_000, // to send a request; not to answer it
    // What is not as the schema says is refused, never made to fit.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
}

/**
 * @param {ReturnType<typeof createApp>} app
 * @param {object} parts
 * @param {Options} parts.options
 * @param {Trainer} parts.trainer
 * @param {Checkpoints} parts.checkpoints
 * @param {ReturnType<typeof createMetrics>} parts.metrics
 * @param {() => boolean} parts.isStopping
 */
export function addRoutes(app, { options, trainer, checkpoints, metrics, isStopping }) {
  const { features } = options;
  const { train, predict } = schemas(options);

  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    const { method } = request;
    metrics.requests.observe({ method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isStopping()) reply.header('connection', 'close');
  });

  app.post('/train', { schema: { body: train } }, (request, reply) => {
    const body = /** @type {{ features: number[][], labels: number[], steps: number }} */ (request.body);
    const [rows, labels] = [body.features.length, body.labels.length];
    if (labels !== rows) {
      throw new HttpError(
        400,
        'ERR_LENGTH_MISMATCH',
        `labels has length ${labels}: must have ${rows}, one a row`,
      );
    }
    const batch = {
      inputs: flat(body.features, features),
      labels: Int32Array.from(body.labels),
      steps: body.steps,
    };
    // Nobody waits for the outcome any more, so there need not be one.
    const controller = new AbortController();
    reply.raw.once('close', () => {
      if (reply.raw.writableFinished) return;
      controller.abort(new HttpError(499, 'ERR_CLIENT_GONE', 'the client is gone'));
    });
    return trainer.train(batch, controller);
  });

  app.post('/predict', { schema: { body: predict } }, async (request) => {
    const body = /** @type {{ features: number[][], top: number }} */ (request.body);
    // Whatever the training does meanwhile, this is the model as it was after one step and before the next.
    const { parameters } = trainer;
    return {
      step: parameters.step,
      ...(await classify(parameters, flat(body.features, features), body.top)),
    };
  });

  // An answer at all is a sign of life; 200 says that requests are welcome.
  app.get('/health', (_request, reply) => {
    return reply.code(isStopping() ? 503 : 200).send({
      status: isStopping() ? 'stopping' : 'ready',
      step: trainer.parameters.step,
      checkpoint: checkpoints.last?.step ?? null,
      running: trainer.running,
      waiting: trainer.waiting,
    });
  });

  app.get('/metrics', async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}

/**
 * @param {number[][]} rows
 * @param {number} columns
 */
function flat(rows, columns) {
  const data = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    data.set(row, i * columns);
  });
  return data;
}
