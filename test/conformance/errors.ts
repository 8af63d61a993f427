// What is refused: for each wrong call the class, the code and the whole message, and that nothing was written.

import { tables as arrays } from './errors/arrays.js';
import { tables as family } from './errors/family.js';
import { tables as linear } from './errors/linear.js';
import { tables as options } from './errors/options.js';
import { tables as targets } from './errors/targets.js';
import type { Table } from './table.js';

export const tables: Table[] = [...options, ...arrays, ...targets, ...family, ...linear];
