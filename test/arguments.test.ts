// The promise: whatever is wrong with a call is said, in words that name the argument, before anything is written; and
// no arguments, however strange, read or write memory that is not theirs.

import { tables as errors } from './conformance/errors.js';
import { tables as memory } from './conformance/memory.js';
import { tables as memoryOfAddon } from './conformance/memory-addon.js';
import { suite } from './support/suite.js';

suite(errors);
suite(memory);
suite(memoryOfAddon);
