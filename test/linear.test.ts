// The promise: linearCrossEntropy is crossEntropy of the logits that the layer makes, and its gradients are theirs by the
// chain rule; and both are PyTorch's.

import { tables } from './conformance/linear.js';
import { tables as vectors } from './conformance/vectors-linear.js';
import { suite } from './support/suite.js';

suite(tables);
suite(vectors);
