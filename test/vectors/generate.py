"""Makes the reference vectors for crossEntropy, pytorch-cross-entropy.json, with PyTorch.

    python3 -m venv venv
    venv/bin/pip install torch==2.13.0 numpy
    venv/bin/python test/vectors/generate.py

Every input is a float32 value. PyTorch sees it cast to float64, and its autograd gives the gradient, so that the
vectors are right to about 1e-15. The file holds

    { "torch": version, "cases": [case, ...], "pytorchFloat32Error": { ... } }

and a case is

    {
      "name":     unique,
      "source":   the PyTorch function or the other library's formula that gave the numbers,
      "options":  what crossEntropy takes, with typed arrays as plain arrays,
      "logits":   R rows of rowStride (or classes) numbers, row after row,
      "targets":  R class indices,
      "expected": { "loss" (mean, sum) or "losses" (none), "numerator", "denominator", "rows", "gradient" },
      "notes":    what to mind (some cases),
      "kl":       OpenNMT's own number, the divergence, and the target entropy that makes it the loss (its cases)
    }

JSON has no NaN and no infinities: these are the strings "NaN", "Infinity" and "-Infinity", which JavaScript's
Number() reads back. Where PyTorch answers otherwise than crossEntropy promises (the gradient of an ignored row
with NaN logits; a class of weight 0 at -Infinity), the case is composed from PyTorch operations that do agree.

"pytorchFloat32Error" says how far PyTorch's own float32 answers are from its float64 ones, on data that
test/support/data.ts reproduces bit by bit.
"""

import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

OUTPUT = Path(__file__).with_name('pytorch-cross-entropy.json')
INF = math.inf
NAN = math.nan

# ---------------------------------------------------------------------------------------------------------------
# Data: test/support/data.ts holds the same three functions.


def mulberry32(count, seed, skip=0):
    """`count` multiples of 2^-32 in [0, 1), after the first `skip` of them. The state only counts up by a constant,
    which lets numpy make all of them at once; uint32 arithmetic wraps around as Math.imul does."""
    steps = np.arange(skip + 1, skip + count + 1, dtype=np.uint64) * np.uint64(0x6D2B79F5)
    state = (np.uint64(seed) + steps).astype(np.uint32)
    t = (state ^ (state >> np.uint32(15))) * (state | np.uint32(1))
    t = (t + (t ^ (t >> np.uint32(7))) * (t | np.uint32(61))) ^ t
    return (t ^ (t >> np.uint32(14))).astype(np.float64) / 2**32


def normals(length, seed, scale):
    """`length` values of scale * N(0, 1), nearly: the sum of 12 uniforms less 6. Exact but for the last rounding."""
    values = np.empty(length, dtype=np.float32)
    chunk = 1 << 18
    for start in range(0, length, chunk):
        n = min(chunk, length - start)
        uniforms = mulberry32(12 * n, seed, skip=12 * start).reshape(n, 12)
        values[start : start + n] = scale * (uniforms.sum(axis=1) - 6)
    return values


def class_indices(rows, classes, seed):
    """`rows` class indices, uniform over [0, classes)."""
    return np.floor(mulberry32(rows, seed) * classes).astype(np.int64)


next_seed = 1


def seed():
    global next_seed
    next_seed += 1
    return next_seed


def logits_of(rows, classes):
    """Logits near 3·N(0, 1) as multiples of 1/64, which keeps the file short."""
    return (np.round(normals(rows * classes, seed(), 3) * 64) / 64).astype(np.float32).reshape(rows, classes)


def full_logits_of(rows, classes):
    """Logits near 3·N(0, 1) that use all 24 bits."""
    return normals(rows * classes, seed(), 3).reshape(rows, classes)


def weights_of(count):
    """Weights in [1/8, 2], as multiples of 1/8."""
    return [float(1 + i) / 8 for i in class_indices(count, 16, seed())]


def targets_of(rows, classes):
    return class_indices(rows, classes, seed())


# ---------------------------------------------------------------------------------------------------------------
# Writing


def plain(value):
    """A number as JSON can hold it; repr of a double has the 17 digits it needs. -0 becomes 0."""
    value = float(value)
    if math.isnan(value):
        return 'NaN'
    if math.isinf(value):
        return 'Infinity' if value > 0 else '-Infinity'
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def flat(values):
    return [plain(v) for v in np.asarray(values).reshape(-1)]


cases = []


def add(name, source, options, logits, targets, expected, **more):
    """Appends a case, after a look at whether the mean and its two parts agree."""
    assert all(case['name'] != name for case in cases), name
    if options.get('reduction', 'mean') == 'mean' and expected['denominator'] > 0:
        mean = expected['numerator'] / expected['denominator']
        assert np.isclose(mean, expected['loss'], rtol=1e-13, atol=0, equal_nan=True), name
    case = {'name': name, 'source': source, 'options': options, 'logits': flat(logits), 'targets': flat(targets)}
    case['expected'] = {k: flat(v) if k in ('losses', 'gradient') else plain(v) for k, v in expected.items()}
    cases.append({**case, **more})


def dump(document):
    """One field a line, so that a change of a case shows as such."""
    lines = []
    for case in document['cases']:
        fields = ',\n'.join(f'      {json.dumps(key)}: {json.dumps(value)}' for key, value in case.items())
        lines.append('    {\n' + fields + '\n    }')
    head = {key: value for key, value in document.items() if key != 'cases'}
    text = json.dumps(head, indent=2)[:-2]
    return text + ',\n  "cases": [\n' + ',\n'.join(lines) + '\n  ]\n}\n'


# ---------------------------------------------------------------------------------------------------------------
# F.cross_entropy itself

CROSS_ENTROPY = 'torch.nn.functional.cross_entropy'


def double(values):
    return torch.tensor(np.asarray(values, dtype=np.float64))


def leaf(logits):
    return double(logits).requires_grad_(True)


def torch_case(name, logits, targets, options, **more):
    """A case whose every number comes from F.cross_entropy; options in crossEntropy's own words."""
    known = {'classes', 'reduction', 'labelSmoothing', 'weight', 'ignoreIndex', 'gradientScale'}
    assert set(options) <= known
    weight = double(options['weight']) if 'weight' in options else None
    reduction = options.get('reduction', 'mean')
    ignored = options.get('ignoreIndex', -100)
    y = torch.tensor(targets)

    def run(reduction):
        x = leaf(logits)
        smoothing = options.get('labelSmoothing', 0.0)
        return x, F.cross_entropy(
            x, y, weight=weight, ignore_index=ignored, reduction=reduction, label_smoothing=smoothing
        )

    x, loss = run(reduction)
    upstream = options.get('gradientScale', 1.0)
    loss.backward(double(upstream).expand(loss.shape))
    kept = y[y != ignored]
    expected = {'losses' if reduction == 'none' else 'loss': loss.detach().numpy()}
    expected['numerator'] = run('sum')[1].item()
    expected['denominator'] = len(kept) if weight is None else weight[kept].sum().item()
    expected['rows'] = len(kept)
    expected['gradient'] = x.grad.numpy()
    add(name, CROSS_ENTROPY, options, logits, targets, expected, **more)


def grid():
    """Every combination of reduction, smoothing, weight and ignored rows."""
    for reduction in ('mean', 'sum', 'none'):
        for epsilon in (0, 0.1, 0.5, 1):
            for weighted in (False, True):
                for ignoring in (False, True):
                    options = {'classes': 4, 'reduction': reduction, 'labelSmoothing': epsilon}
                    targets = targets_of(3, 4)
                    name = f'{reduction}, smoothing {epsilon}'
                    if weighted:
                        options['weight'] = weights_of(4)
                        name += ', weights'
                    if ignoring:
                        ignored = -100 if epsilon < 0.5 else 3
                        options['ignoreIndex'] = ignored
                        targets[:2] %= 3
                        targets[2] = ignored
                        name += f', ignoring {ignored}'
                    torch_case(name, logits_of(3, 4), targets, options)


def class_counts():
    for classes, rows in ((1, 3), (2, 3), (3, 3), (10, 3), (33, 2), (100, 2)):
        options = {'classes': classes, 'labelSmoothing': 0.1, 'weight': weights_of(classes)}
        torch_case(f'{classes} classes, mean', full_logits_of(rows, classes), targets_of(rows, classes), options)
        rows -= 1
        options = {'classes': classes, 'reduction': 'none', 'gradientScale': weights_of(rows)}
        if classes > 3:
            options['labelSmoothing'] = 0.5
        torch_case(f'{classes} classes, none', logits_of(rows, classes), targets_of(rows, classes), options)


def minus_infinity():
    masked = logits_of(4, 6)
    masked[0, 2] = masked[1, 0] = masked[1, 5] = masked[3, 4] = -INF
    targets = np.array([1, 2, 3, 4])  # row 3's target is a class at -Infinity
    for epsilon in (0, 0.1):
        options = {'classes': 6, 'labelSmoothing': epsilon}
        torch_case(f'-Infinity logits, mean, smoothing {epsilon}', masked[:3], targets[:3], options)
        options = {'classes': 6, 'labelSmoothing': epsilon, 'reduction': 'none'}
        torch_case(f'-Infinity logits, also the target, none, smoothing {epsilon}', masked, targets, options)
    options = {'classes': 6, 'weight': [1, 2, 0, 0.5, 1, 0], 'reduction': 'sum'}
    torch_case('-Infinity logits under weights of 0, no smoothing', masked[:3], np.array([0, 1, 3]), options)
    only = np.full((1, 4), -INF, dtype=np.float32)
    only[0, 2] = 0.5
    torch_case('all but the target at -Infinity', only, np.array([2]), {'classes': 4})


def not_a_number():
    logits = logits_of(5, 4)
    logits[0, 1] = NAN
    logits[1, 3] = INF
    logits[2] = -INF
    logits[3, :2] = (NAN, -INF)
    targets = np.array([0, 3, 1, 1, 2])
    for epsilon in (0, 0.1):
        for reduction in ('mean', 'none'):
            options = {'classes': 4, 'reduction': reduction, 'labelSmoothing': epsilon}
            torch_case(
                f'NaN, Infinity and all -Infinity, {reduction}, smoothing {epsilon}', logits, targets, options
            )


def all_ignored():
    for epsilon in (0, 0.1):
        for reduction in ('mean', 'sum', 'none'):
            options = {'classes': 3, 'reduction': reduction, 'labelSmoothing': epsilon}
            torch_case(f'all ignored, {reduction}, smoothing {epsilon}', logits_of(2, 3), [-100, -100], options)


def large_logits():
    for epsilon in (0, 0.1):
        options = {'classes': 5, 'labelSmoothing': epsilon}
        offset = (np.round(logits_of(3, 5)) * 8 + 1e8).astype(np.float32)
        torch_case(f'offset 1e8, smoothing {epsilon}', offset, targets_of(3, 5), options)
        torch_case(f'offset -1e8, smoothing {epsilon}', -offset, targets_of(3, 5), options)
        huge = logits_of(3, 5) * np.float32(1e30)
        torch_case(f'logits near 1e30, smoothing {epsilon}', huge, targets_of(3, 5), options)
        limit = np.array([[3e38, -3e38, 1e38, 0, 2e38]], dtype=np.float32)
        torch_case(
            f'max - z beyond float32, smoothing {epsilon}',
            limit,
            [1],
            options,
            notes='the loss is finite in double and Infinity in float32',
        )


def confident_rows():
    """lse - z_y cancels in a confident row, in float64 too: here -lp_y = softplus(lse of the others - z_y) instead,
    right to the last digits whatever p_y."""
    margins = [5, 12, 20, 27.625, 40, 60, 80]
    logits = logits_of(len(margins), 6) / 8
    targets = targets_of(len(margins), 6)
    logits[np.arange(len(margins)), targets] = margins
    x = leaf(logits)
    y = torch.tensor(targets)
    others = x.masked_fill(F.one_hot(y, 6).bool(), -INF).logsumexp(1)
    losses = torch.logaddexp(
        torch.zeros(len(margins), dtype=torch.float64), others - x.gather(1, y[:, None])[:, 0]
    )
    losses.sum().backward()
    source = 'torch.logaddexp(0, logsumexp of the other classes - z_y)'
    notes = 'losses from 1e-2 down to 1e-34: compare them relatively'
    expected = {
        'losses': losses.detach().numpy(),
        'numerator': losses.sum().item(),
        'denominator': len(margins),
        'rows': len(margins),
        'gradient': x.grad.numpy(),
    }
    add(
        'confident rows, none', source, {'classes': 6, 'reduction': 'none'}, logits, targets, expected, notes=notes
    )
    torch_case('confident rows, smoothing 0.1', logits, targets, {'classes': 6, 'labelSmoothing': 0.1})
    torch_case('confident and wrong', logits, (targets + 1) % 6, {'classes': 6})


# ---------------------------------------------------------------------------------------------------------------
# Other libraries' label smoothing, in their own arithmetic


def finish(name, source, options, logits, targets, x, loss, rows, **more):
    """A case of reduction 'sum' without weights."""
    loss.backward()
    numbers = {'loss': loss.item(), 'numerator': loss.item(), 'denominator': rows, 'rows': rows}
    add(name, source, options, logits, targets, {**numbers, 'gradient': x.grad.numpy()}, **more)


def fairseq():
    """label_smoothed_nll_loss: eps/(C-1) to every class but the target, as two sums over the batch."""
    pad = 1
    for classes, epsilon in ((7, 0.1), (12, 0.3)):
        logits, targets = logits_of(5, classes), targets_of(5, classes)
        targets[[1, 3]] = (pad, classes - 1)
        x = leaf(logits)
        log_p = x.log_softmax(1)
        kept = [r for r in range(5) if targets[r] != pad]
        nll = -sum(log_p[r, targets[r]] for r in kept)
        smooth = -sum(log_p[r].sum() for r in kept)
        share = epsilon / (classes - 1)
        loss = (1 - epsilon - share) * nll + share * smooth
        options = {'classes': classes, 'reduction': 'sum', 'ignoreIndex': pad}
        options['labelSmoothing'] = {'epsilon': epsilon, 'over': 'others'}
        source = "fairseq's label_smoothed_nll_loss"
        finish(
            f'fairseq, {classes} classes, epsilon {epsilon}', source, options, logits, targets, x, loss, len(kept)
        )


def megatron():
    """Megatron-LM: s = eps·C/(C-1), then (1-s)·nll - s·mean(log p)."""
    classes, epsilon = 9, 0.1
    logits, targets = logits_of(4, classes), targets_of(4, classes)
    x = leaf(logits)
    log_p = x.log_softmax(1)
    s = epsilon * classes / (classes - 1)
    nll = F.nll_loss(log_p, torch.tensor(targets), reduction='none')
    loss = ((1 - s) * nll - s * log_p.mean(1)).sum()
    options = {'classes': classes, 'reduction': 'sum', 'labelSmoothing': {'epsilon': epsilon, 'over': 'others'}}
    finish('Megatron-LM', "Megatron-LM's vocab_parallel_cross_entropy", options, logits, targets, x, loss, 4)


def opennmt():
    """LabelSmoothingLoss: KLDivLoss(reduction='sum') against eps/(C-2) everywhere but 1-eps at the target and 0 at
    the pad. The cross entropy is that divergence plus the target's entropy, the same for every row."""
    pad = 0
    for classes, epsilon in ((8, 0.1), (11, 0.25)):
        logits, targets = logits_of(5, classes), 1 + targets_of(5, classes - 1)
        targets[2] = pad
        x = leaf(logits)
        target = torch.full((5, classes), epsilon / (classes - 2), dtype=torch.float64)
        target[:, pad] = 0
        target.scatter_(1, torch.tensor(targets)[:, None], 1 - epsilon)
        target[torch.tensor(targets) == pad] = 0
        divergence = F.kl_div(x.log_softmax(1), target, reduction='sum')
        entropy = -4 * ((1 - epsilon) * math.log(1 - epsilon) + epsilon * math.log(epsilon / (classes - 2)))
        options = {'classes': classes, 'reduction': 'sum', 'ignoreIndex': pad}
        options['labelSmoothing'] = {'epsilon': epsilon, 'over': 'others', 'exclude': pad}
        kl = {'loss': divergence.item(), 'targetEntropy': entropy}
        source = "OpenNMT-py's LabelSmoothingLoss, plus the entropy of its target"
        name = f'OpenNMT, {classes} classes, epsilon {epsilon}'
        finish(name, source, options, logits, targets, x, divergence + entropy, 4, kl=kl)


# ---------------------------------------------------------------------------------------------------------------
# Everything PyTorch has no function for, composed from its operations


def composed(logits, targets, options):
    """The definition of crossEntropy over the contributing rows: the result's properties, and autograd's gradient."""
    classes = options['classes']
    stride = options.get('rowStride', classes)
    ignored = options.get('ignoreIndex', -100)
    ignored = ignored if isinstance(ignored, list) else [ignored]
    mask = options.get('mask', [1] * len(targets))
    kept = [r for r in range(len(targets)) if mask[r] and targets[r] not in ignored]
    y = torch.tensor([int(targets[r]) for r in kept], dtype=torch.int64)

    smoothing = options.get('labelSmoothing', 0)
    smoothing = smoothing if isinstance(smoothing, dict) else {'epsilon': smoothing}
    epsilon = double(smoothing['epsilon'])
    epsilon = (epsilon[kept] if epsilon.ndim else epsilon.expand(len(kept)))[:, None]
    onehot = F.one_hot(y, classes).double()
    u = double(smoothing.get('prior', [1] * classes)).expand(len(kept), classes).clone()
    u[:, smoothing.get('exclude', [])] = 0
    if smoothing.get('over') == 'others':
        u = u * (1 - onehot)
    u = F.normalize(u, p=1, dim=1)
    weight = double(options.get('weight', [1] * classes))
    row_weight = double(options.get('rowWeight', [1] * len(targets)))[kept]
    coefficients = weight * torch.lerp(onehot, u, epsilon)

    x = leaf(np.asarray(logits).reshape(len(targets), stride))
    log_p = x[kept, :classes].log_softmax(1)
    losses = -row_weight * (coefficients * log_p.masked_fill(coefficients == 0, 0)).sum(1)
    numerator = losses.sum()
    normalizer = options.get('normalizer', 'weight')
    denominator = {
        'weight': (row_weight * weight[y]).sum().item(),
        'rows': len(kept),
        'all': len(targets),
    }.get(normalizer, normalizer)

    expected = {'numerator': numerator.item(), 'denominator': denominator, 'rows': len(kept)}
    reduction = options.get('reduction', 'mean')
    scale = double(options.get('gradientScale', 1))
    if reduction == 'none':
        (losses * (scale[kept] if scale.ndim else scale)).sum().backward()
        every = np.zeros(len(targets))
        every[kept] = losses.detach().numpy()
        expected['losses'] = every
    else:
        loss = numerator / denominator if reduction == 'mean' else numerator
        (loss * scale).backward()
        expected['loss'] = loss.item()
    expected['gradient'] = x.grad.numpy()
    return expected


COMPOSED = 'torch.log_softmax and autograd, composed by the definition'


def composed_case(name, logits, targets, options):
    add(name, COMPOSED, options, logits, targets, composed(logits, targets, options))


def check_composed():
    """Every finite case above that has a function behind it comes out of composed() too."""
    read = {'NaN': NAN, 'Infinity': INF, '-Infinity': -INF}
    for case in cases:
        expected = case['expected']
        if not all(isinstance(g, (int, float)) for g in expected['gradient']) or not expected['rows']:
            continue
        logits = np.array([read.get(v, v) for v in case['logits']])
        again = composed(logits, case['targets'], case['options'])
        for key, value in expected.items():
            value = [read.get(v, v) for v in value] if isinstance(value, list) else read.get(value, value)
            np.testing.assert_allclose(again[key], np.reshape(value, np.shape(again[key])), rtol=1e-13, atol=1e-15)


def by_definition():
    def smoothing(**more):
        return {'classes': 6, 'labelSmoothing': {'epsilon': 0.2, **more}}

    def six(name, options, targets=None):
        composed_case(name, logits_of(4, 6), targets_of(4, 6) if targets is None else targets, options)

    prior = [0.5, 0, 3, 1.25, 0.125, 2]
    epsilons = [0, 0.125, 0.75, 1]

    # The smoothing distribution
    six('over all, as an object', smoothing(over='all'))
    six('over others', smoothing(over='others'))
    six('over others, epsilon 1', {'classes': 6, 'labelSmoothing': {'epsilon': 1, 'over': 'others'}})
    six('over others, weights', {**smoothing(over='others'), 'weight': weights_of(6)})
    two = {'classes': 2, 'labelSmoothing': {'epsilon': 0.25, 'over': 'others'}}
    composed_case('over others, 2 classes', logits_of(3, 2), [0, 1, 1], two)
    six('exclude one', smoothing(exclude=2), [0, 2, 5, 2])
    six('exclude several', smoothing(exclude=[0, 3, 5]), [3, 1, 0, 4])
    six('exclude several, over others', smoothing(exclude=[5, 1], over='others'), [0, 1, 5, 4])
    six('exclude a class twice', smoothing(exclude=[4, 4]), [4, 0, 1, 2])
    six('prior', smoothing(prior=prior))
    six('prior, over others', smoothing(prior=prior, over='others'), [0, 1, 2, 5])
    six('prior, exclude', smoothing(prior=prior, exclude=[2, 4]), [2, 0, 4, 1])
    six(
        'prior, over others, exclude, weights',
        {**smoothing(prior=prior, over='others', exclude=0), 'weight': weights_of(6)},
        [0, 2, 3, 5],
    )
    six('prior on one class', smoothing(prior=[0, 0, 0, 4, 0, 0]), [3, 0, 3, 5])
    six('epsilon per row', smoothing(epsilon=epsilons))
    six(
        'epsilon per row, over others, weights, none',
        {**smoothing(epsilon=epsilons, over='others'), 'weight': weights_of(6), 'reduction': 'none'},
    )
    six('epsilon per row, prior, exclude', smoothing(epsilon=epsilons, prior=prior, exclude=[5]))

    # Which rows take part
    row_weight = {'rowWeight': [0.5, 2, 0.125, 1.75]}
    mask = {'mask': [1, 0, 1, 1]}
    six('row weights', {**smoothing(), **row_weight})
    six('row weights, class weights', {**smoothing(), **row_weight, 'weight': weights_of(6)})
    six('row weights, sum', {**smoothing(), **row_weight, 'reduction': 'sum'})
    six('row weights, none', {**smoothing(), **row_weight, 'reduction': 'none'})
    six('a row weight of 0', {**smoothing(), 'rowWeight': [1, 0, 2, 0.5]})
    six('mask', {**smoothing(), **mask})
    six('mask over a target out of range', {**smoothing(), **mask, 'reduction': 'none'}, [2, 99, 0, 5])
    six('mask and ignoreIndex', {**smoothing(), **mask, 'ignoreIndex': 4}, [4, 4, 0, 5])
    six('several ignored indices', {**smoothing(), 'ignoreIndex': [-1, 3]}, [3, 1, -1, 2])
    holes = logits_of(4, 6)
    holes[1], holes[2, 3], holes[3] = NAN, INF, -INF
    composed_case(
        'ignored and masked rows of NaN, Infinity and -Infinity',
        holes,
        [1, -100, 2, -100],
        {**smoothing(), 'mask': [1, 1, 0, 1]},
    )

    # The mean's denominator
    for normalizer in ('weight', 'rows', 'all', 2.5):
        options = {
            **smoothing(),
            **row_weight,
            'weight': weights_of(6),
            'ignoreIndex': 0,
            'normalizer': normalizer,
        }
        six(f'normalizer {normalizer}', options, [5, 0, 2, 1])
    six('normalizer 64, sum', {**smoothing(), 'normalizer': 64, 'reduction': 'sum'})
    six('nothing left, normalizer all', {**smoothing(), 'normalizer': 'all'}, [-100] * 4)
    six('nothing left, normalizer 8', {**smoothing(), 'normalizer': 8, 'mask': [0] * 4})
    nothing = {'loss': 0, 'numerator': 0, 'denominator': 0, 'rows': 0, 'gradient': np.zeros((2, 6))}
    for normalizer in ('weight', 'rows'):
        options = {**smoothing(), 'normalizer': normalizer, 'whenEmpty': 'zero'}
        name = f'nothing left, normalizer {normalizer}, zero'
        add(name, "whenEmpty 'zero'", options, logits_of(2, 6), [-100, -100], nothing)

    # The upstream gradient
    six('gradientScale, mean', {**smoothing(), 'gradientScale': 3.5})
    six('gradientScale, sum', {**smoothing(), 'gradientScale': -0.25, 'reduction': 'sum'})
    six('gradientScale, none', {**smoothing(), 'gradientScale': 2, 'reduction': 'none'})
    scales = {'gradientScale': [1, -2, 0, 0.375], 'reduction': 'none'}
    six('gradientScale per row', {**smoothing(), **scales})
    six(
        'gradientScale per row, row weights, weights, ignored',
        {**smoothing(), **scales, **row_weight, 'weight': weights_of(6), 'ignoreIndex': 1},
        [0, 4, 5, 1],
    )

    # -Infinity where no mass is
    masked = logits_of(3, 6)
    masked[:, 4] = -INF
    composed_case('-Infinity at an excluded class', masked, [0, 3, 5], smoothing(exclude=4))
    composed_case('-Infinity where the prior is 0', masked, [0, 3, 5], smoothing(prior=[1, 2, 1, 0, 0, 1]))
    composed_case(
        '-Infinity where the weight is 0', masked, [0, 3, 5], {**smoothing(), 'weight': [1, 2, 1, 1, 0, 0.5]}
    )
    masked[1, 3] = -INF
    options = {**smoothing(exclude=4), 'reduction': 'none'}
    composed_case('-Infinity at an excluded class and at a target', masked, [0, 3, 5], options)

    # The gap between rows: what it holds does not matter
    padded = np.full((4, 9), 99, dtype=np.float32)
    padded[:, :6] = logits_of(4, 6)
    padded[1, 6:] = (NAN, INF, -INF)
    composed_case('rowStride', padded, [0, 5, 2, -100], {**smoothing(), 'rowStride': 9})
    composed_case('rowStride, none', padded, [1, 4, 3, 0], {**smoothing(), 'rowStride': 9, 'reduction': 'none'})

    everything = {
        'classes': 33,
        'labelSmoothing': {
            'epsilon': [0.5, 0.25, 0.0625, 1, 0.125],
            'over': 'others',
            'exclude': [0, 7, 32],
            'prior': weights_of(33),
        },
        'weight': weights_of(33),
        'rowWeight': [1, 0.25, 3, 1.5, 0.75],
        'ignoreIndex': [-1, 2],
        'mask': [1, 1, 0, 1, 1],
        'normalizer': 'rows',
        'gradientScale': 128,
        'rowStride': 35,
    }
    composed_case('everything at once', logits_of(5, 35), [7, 2, 11, 32, 20], everything)


# ---------------------------------------------------------------------------------------------------------------
# PyTorch's own float32 error


def float32_error_data():
    for classes in (32_000, 128_256):
        rows, logits_seed, targets_seed = 32, classes, classes + 1
        logits = normals(rows * classes, logits_seed, 10).reshape(rows, classes)
        targets = class_indices(rows, classes, targets_seed)
        about = {
            'rows': rows,
            'classes': classes,
            'logitsSeed': logits_seed,
            'targetsSeed': targets_seed,
            'logitsSha256': hashlib.sha256(logits.astype('<f4').tobytes()).hexdigest(),
            'targetsSha256': hashlib.sha256(targets.astype('<i4').tobytes()).hexdigest(),
        }
        yield about, logits, targets


def gradient_and_losses(logits, y, epsilon, dtype):
    x = torch.tensor(logits, dtype=dtype, requires_grad=True)
    F.cross_entropy(x, y, reduction='sum', label_smoothing=epsilon).backward()
    losses = F.cross_entropy(x, y, reduction='none', label_smoothing=epsilon)
    return x.grad.double(), losses.detach().double()


def float32_error_here():
    """The errors of the kernels that PyTorch chose in this process."""
    torch.set_num_threads(1)
    results = []
    for about, logits, targets in float32_error_data():
        y = torch.tensor(targets)
        for epsilon in (0, 0.1):
            gradient, losses = gradient_and_losses(logits, y, epsilon, torch.float32)
            true_gradient, true_losses = gradient_and_losses(logits, y, epsilon, torch.float64)
            results.append(
                {
                    'cpuCapability': torch.backends.cpu.get_cpu_capability(),
                    'rows': about['rows'],
                    'classes': about['classes'],
                    'labelSmoothing': epsilon,
                    'gradientAbsolute': (gradient - true_gradient).abs().max().item(),
                    'lossRelative': ((losses - true_losses) / true_losses).abs().max().item(),
                }
            )
    return results


def float32_error():
    """Sums of C terms depend on the width of PyTorch's vectors: a process for each set of kernels there is here."""
    results = []
    for capability in ('avx2', 'avx512'):
        environment = {**os.environ, 'ATEN_CPU_CAPABILITY': capability}
        command = [sys.executable, __file__, '--float32-error']
        found = json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
        results += [result for result in found if result not in results]
    return {
        'torch': torch.__version__,
        'about': 'F.cross_entropy on one thread: the largest |float32 gradient - float64 gradient| with reduction sum, '
        'and the largest relative error of a row loss. The logits are normals(rows * classes, logitsSeed, 10), the '
        'targets classIndices(rows, classes, targetsSeed) of test/support/data.ts.',
        'data': [about for about, _, _ in float32_error_data()],
        'results': results,
    }


def main():
    grid()
    class_counts()
    minus_infinity()
    not_a_number()
    all_ignored()
    large_logits()
    confident_rows()
    fairseq()
    megatron()
    opennmt()
    check_composed()
    by_definition()
    document = {'torch': torch.__version__.split('+')[0], 'pytorchFloat32Error': float32_error(), 'cases': cases}
    OUTPUT.write_text(dump(document))
    print(f'{len(cases)} cases, {OUTPUT.stat().st_size} bytes')
    for result in document['pytorchFloat32Error']['results']:
        print(result)


if __name__ == '__main__':
    if sys.argv[1:] == ['--float32-error']:
        print(json.dumps(float32_error_here()))
    else:
        main()
