// The promise: the values are those of the definition, to the accuracy that support/tolerance.ts states.

import { tables as family } from './conformance/family.js';
import { tables as values } from './conformance/values.js';
import { tables as edges } from './conformance/values-edges.js';
import { tables as vectors } from './conformance/vectors.js';
import { suite } from './support/suite.js';

suite(vectors);
suite(values);
suite(edges);
suite(family);
