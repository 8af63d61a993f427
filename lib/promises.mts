export type * from './promises.js';
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
} from './promises.js';
