// Each name, since bundlers do not follow `export *` from CommonJS.

export type * from './index.js';
export {
  availableBackends,
  backend,
  bceWithLogits,
  crossEntropy,
  klDiv,
  loadBackend,
  nllLoss,
  setThreads,
  smoothLabels,
} from './index.js';
