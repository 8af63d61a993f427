export type * from './arrays.js';
export type * from './functions.js';
export type { DtypeNeeded } from './inference.js';
export type * from './options.js';
export type * from './results.js';
