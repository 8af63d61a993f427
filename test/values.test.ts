// The promise: the values are those of the definition, to the accuracy that support/tolerance.ts states.

import { tables } from './conformance/values.js';
import { suite } from './support/suite.js';

suite(tables);
