// The promise: what is ignored, empty, infinite or NaN counts as the documentation says, to the exact zero.

import { tables } from './conformance/semantics.js';
import { tables as arrays } from './conformance/semantics-arrays.js';
import { tables as elements } from './conformance/semantics-elements.js';
import { tables as family } from './conformance/semantics-family.js';
import { tables as layouts } from './conformance/semantics-layouts.js';
import { tables as softmax } from './conformance/semantics-softmax.js';
import { suite } from './support/suite.js';

suite(tables);
suite(family);
suite(softmax);
suite(elements);
suite(layouts);
suite(arrays);
