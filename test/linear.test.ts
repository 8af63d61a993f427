// The promise: linearCrossEntropy is crossEntropy of the logits that the layer makes, and its gradients are theirs by the
// chain rule.

import { tables } from './conformance/linear.js';
import { suite } from './support/suite.js';

suite(tables);
