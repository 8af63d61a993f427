// Browsers and edge runtimes have no addon. `#host` leads here under the conditions browser, workerd and edge-light.

import type { FoundAddon } from '../native.js';

export const platform = 'browser';

export function loadAddon(): FoundAddon {
  return { reason: 'browsers and edge runtimes load no native addons' };
}

export function environment(_name: string): string | undefined {
  return undefined;
}

export function warn(_message: string, _code: string): void {}

/** Resolves in the turn of a message, if the runtime has messages: timers wait 4 ms. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof MessageChannel === 'undefined') {
      setTimeout(resolve, 0);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    const onmessage = () => {
      port1.close();
      resolve();
    };
    Object.assign(port1, { onmessage }); // Node's types know no such property
    port2.postMessage(undefined);
  });
}

export function processors(): number {
  return 1;
}
