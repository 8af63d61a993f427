// The promise: what is ignored, empty, infinite or NaN counts as the documentation says, to the exact zero.

import { tables } from './conformance/semantics.js';
import { suite } from './support/suite.js';

suite(tables);
