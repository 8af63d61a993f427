"""Makes the reference vectors of linearCrossEntropy, pytorch-linear.json, with PyTorch in float64.

    venv/bin/python test/vectors/generate_linear.py

The environment is that of generate.py, and so is the form of numbers. The file holds { "torch": version, "cases": [...] },
and a case is

    {
      "name":         unique,
      "options":      what linearCrossEntropy takes, `linearBias` too, with typed arrays as plain arrays,
      "input":        R·D numbers,
      "linearWeight": C·D numbers,
      "targets":      { "type": "index" or "float32", "values": [...] },
      "expected":     { "loss" (mean, sum) or "losses" (none), "numerator", "denominator", "rows",
                        "gradient": { "input", "linearWeight", "linearBias" (if there is one) } }
    }

Each comes from F.linear and F.cross_entropy, and torch.nn.functional.linear_cross_entropy has to agree: the plain one and,
for indices without label smoothing, the one in chunks. Input, weight and bias are multiples of 1/8 in [-1, 1]: they and the logits
are exact in float32 too, so that only what follows the logits rounds.
"""

import itertools
from pathlib import Path

import generate
import numpy as np
import torch
import torch.nn.functional as F
from generate import class_indices, double, flat, leaf, plain, seed, soft, targets_of, tidy, weights_of

OUTPUT = Path(__file__).with_name('pytorch-linear.json')
IGNORED = -100

cases = []


def eighths(*shape):
    """Multiples of 1/8 in [-1, 1]."""
    return (class_indices(np.prod(shape), 17, seed()).reshape(shape) - 8) / 8


def composed(x, linear_weight, y, linear_bias, **options):
    return F.cross_entropy(F.linear(x, linear_weight, linear_bias), y, **options)


def whole(x, linear_weight, y, linear_bias, **options):
    return F.linear_cross_entropy(x, linear_weight, y, linear_bias=linear_bias, **options)


def chunked(x, linear_weight, y, linear_bias, **options):
    chunks = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(x, linear_weight, y, linear_bias=linear_bias, options=chunks, **options)


def add(name, shape, targets, options, bias):
    rows, features, classes = shape
    options = {'classes': classes, **options}
    data = {'input': eighths(rows, features), 'linearWeight': eighths(classes, features)}
    if bias:
        data['linearBias'] = eighths(classes)
    indexed = targets['type'] == 'index'
    y = torch.tensor(targets['values']) if indexed else double(targets['values']).reshape(rows, classes)
    weight = double(options['weight']) if 'weight' in options else None
    reduction = options.get('reduction', 'mean')
    smoothing = options.get('labelSmoothing', 0.0)
    ignored = options.get('ignoreIndex', IGNORED)

    def run(function, reduction):
        """The loss and the gradients."""
        leaves = {key: leaf(values) for key, values in data.items()}
        rest = {'weight': weight, 'reduction': reduction, 'label_smoothing': smoothing}
        if indexed:
            rest['ignore_index'] = ignored
        loss = function(leaves['input'], leaves['linearWeight'], y, leaves.get('linearBias'), **rest)
        loss.sum().backward()
        return loss.detach().numpy(), {key: value.grad.numpy() for key, value in leaves.items()}

    loss, gradient = run(composed, reduction)
    for function in (whole, chunked) if indexed and smoothing == 0 else (whole,):
        also_loss, also = run(function, reduction)
        np.testing.assert_allclose(also_loss, loss, rtol=1e-13, err_msg=f'{name}: {function.__name__}')
        for key, values in gradient.items():
            np.testing.assert_allclose(also[key], values, rtol=1e-12, atol=1e-15, err_msg=f'{name}: {key}')

    kept = y[y != ignored] if indexed else y
    expected = {'losses': flat(loss)} if reduction == 'none' else {'loss': plain(loss)}
    expected['numerator'] = plain(run(composed, 'sum')[0])
    expected['denominator'] = plain(weight[kept].sum()) if indexed and weight is not None else len(kept)
    expected['rows'] = len(kept)
    expected['gradient'] = {key: flat(values) for key, values in gradient.items()}
    if 'linearBias' in data:
        options['linearBias'] = flat(data['linearBias'])
    arrays = {key: flat(data[key]) for key in ('input', 'linearWeight')}
    cases.append(
        {'name': name, 'options': tidy(options), **arrays, 'targets': tidy(targets), 'expected': expected}
    )


def index(rows, classes):
    return {'type': 'index', 'values': targets_of(rows, classes)}


def grid():
    """Every combination of targets, reduction, smoothing, weights, bias, and of ignored rows or none."""
    rows, features, classes = shape = (3, 4, 5)
    choices = (('index', 'soft'), ('mean', 'sum', 'none'), (0, 0.1), *[(False, True)] * 3)
    for kind, reduction, epsilon, weighted, bias, ignoring in itertools.product(*choices):
        if ignoring and kind == 'soft':
            continue
        options = {'reduction': reduction, 'labelSmoothing': epsilon}
        targets = index(rows, classes) if kind == 'index' else soft(rows, classes)
        words = [kind, reduction, f'smoothing {epsilon}']
        if weighted:
            options['weight'] = weights_of(classes)
            words.append('weights')
        if bias:
            words.append('bias')
        if ignoring:
            ignored = IGNORED if epsilon == 0 else 3
            options['ignoreIndex'] = ignored
            targets['values'] %= 3
            targets['values'][1] = ignored
            words.append(f'ignoring {ignored}')
        add(', '.join(words), shape, targets, options, bias)


def shapes():
    """One of everything, and sums of 257: more than a block of them."""
    for rows, features, classes in ((1, 1, 1), (4, 1, 3), (2, 3, 1), (2, 257, 3), (2, 3, 257), (257, 2, 3)):
        name = f'{rows} x {features} x {classes}'
        options = {'labelSmoothing': 0.1, 'weight': weights_of(classes)}
        add(name, (rows, features, classes), index(rows, classes), options, True)
    ignored = {'type': 'index', 'values': np.full(2, IGNORED)}
    add('all ignored', (2, 3, 4), ignored, {'reduction': 'sum', 'labelSmoothing': 0.1}, True)


if __name__ == '__main__':
    grid()
    shapes()
    generate.write(OUTPUT, {'torch': torch.__version__.split('+')[0], 'cases': cases}, compact=True)
