// @ts-check
import { sharedCopy } from '../copy.mjs';

/** @import { Start, Started } from './worker.mjs' */

const SHARED_FROM = 2 ** 20; // elements: waking a thread takes longer than to copy fewer

/** @param {Start} options @returns {Started} */
export function start({ threads }) {
  return {
    version: process.version,
    async prepare({ logits }) {
      if (threads > 1 && logits.length >= SHARED_FROM) {
        const { run, end } = await sharedCopy(threads, logits.length);
        return { run, release: end };
      }
      const copy = new Float32Array(logits.length);
      return { run: () => copy.set(logits) };
    },
  };
}
