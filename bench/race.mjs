// @ts-check
// What the benchmarks share: data, and contestants measured side by side.
import os from 'node:os';

/** @param {number} length @param {() => number} random in [0, 1) */
export function logitsOf(length, random) {
  // A sum of uniforms is near enough to normal: 10·N(0, 1).
  return Float32Array.from(
    { length },
    () => 10 * (random() + random() + random() + random() - 2) * Math.sqrt(3),
  );
}

/** mulberry32: the same data in every run. @param {number} seed */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {number[]} sorted @param {number} q */
const quantile = (sorted, q) => sorted[Math.round(q * (sorted.length - 1))];

/** @typedef {{ name: string, run: () => unknown, repeats: number, samples: number[] }} Contestant */

/** Nanoseconds a call. @param {Contestant} contestant */
function sample({ run, repeats }) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) run();
  return Number(process.hrtime.bigint() - start) / repeats;
}

/**
 * In each round every contestant takes one sample, starting with a different one each time.
 * @param {Contestant[]} contestants
 * @param {number} rounds
 * @param {number} sampleMs a sample repeats the call for at least this long
 */
export function race(contestants, rounds, sampleMs = 2) {
  for (const contestant of contestants) {
    // Until the compiler has settled, and long enough to choose the number of repeats.
    let once = Infinity;
    for (const end = performance.now() + 300; performance.now() < end || once === Infinity; ) {
      once = Math.min(once, sample(contestant));
    }
    contestant.repeats = Math.max(1, Math.ceil((sampleMs * 1e6) / once));
  }
  for (let round = 0; round < rounds; round++) {
    contestants.forEach((_, i) => {
      const contestant = contestants[(i + round) % contestants.length];
      contestant.samples.push(sample(contestant));
    });
  }
  return contestants.map(({ name, samples }) => {
    const sorted = samples.toSorted((a, b) => a - b);
    const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(sorted, q));
    return { name, nsPerCall: { low, median, high }, samples: samples.length };
  });
}

export const machine = {
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown CPU',
  cores: os.availableParallelism(),
  platform: `${process.platform}-${process.arch}`,
  node: process.version,
};
