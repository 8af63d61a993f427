// @ts-check
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DELAYS = [50, 90, 99, 100];

/**
 * @param {object} sources
 * @param {() => { step: number, queued: number }} sources.training
 * @param {() => { step: number, time: number } | undefined} sources.checkpoint
 */
export function createMetrics({ training, checkpoint }) {
  const registry = new Registry();
  const registers = [registry];
  /** @type {(name: string, help: string, read: () => number) => unknown} */
  const gauge = (name, help, read) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });

  gauge('model_step', 'Steps of training in the model.', () => training().step);
  gauge('training_queue_length', 'Trainings that wait.', () => training().queued);
  gauge('checkpoint_step', 'Step of the last whole checkpoint.', () => checkpoint()?.step ?? NaN);
  gauge('checkpoint_age_seconds', 'Time since the last whole checkpoint.', () => {
    return (Date.now() - (checkpoint()?.time ?? NaN)) / 1000;
  });

  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  new Gauge({
    name: 'event_loop_delay_seconds',
    help: 'From one turn of the event loop to the next, its timer of 1 ms included; since the last scrape.',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const percent of DELAYS) {
        const nanoseconds = percent === 100 ? delay.max : delay.percentile(percent);
        this.set({ quantile: String(percent / 100) }, delay.count === 0 ? NaN : nanoseconds / 1e9);
      }
      delay.reset();
    },
  });

  return {
    registry,
    requests: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Requests, and how long they took.',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
      registers,
    }),
    steps: new Histogram({
      name: 'training_step_duration_seconds',
      help: 'Steps of training since the start, and how long they took.',
      buckets: SECONDS,
      registers,
    }),
    loss: new Gauge({ name: 'training_loss', help: 'Loss of the last batch.', registers }),
    accuracy: new Gauge({ name: 'training_accuracy', help: 'Accuracy on the last batch.', registers }),
    checkpoints: new Histogram({
      name: 'checkpoint_duration_seconds',
      help: 'Checkpoints written since the start, and how long they took.',
      buckets: SECONDS,
      registers,
    }),
    failures: new Counter({
      name: 'checkpoint_failures_total',
      help: 'Checkpoints that could not be written.',
      registers,
    }),
  };
}
