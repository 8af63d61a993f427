"""Makes the reference vectors, pytorch-cross-entropy.json and pytorch-family.json, with PyTorch.

    python3 -m venv venv
    venv/bin/pip install torch==2.13.0 numpy
    venv/bin/python test/vectors/generate.py

PyTorch sees every input cast to float64, and its autograd gives the gradient, so that the vectors are right to
about 1e-15 (of the largest logit, if that is above 1).

pytorch-cross-entropy.json is crossEntropy with class indices and float32 logits. The file holds

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

pytorch-family.json, { "torch": version, "cases": [case, ...] }, is all the losses with every kind of targets and
number type. A case there is

    {
      "name":     unique,
      "function": "crossEntropy", "bceWithLogits", "klDiv", "nllLoss" or "smoothLabels",
      "source":   the PyTorch function that gave the numbers, with "by row" or "by element" where masks, weights or
                  the mean's denominator come on top; if there is none, PyTorch's operations by the definition,
      "logits":   { "type": "float32", "float64", "float16" or "bfloat16", "values": [...] }; not for smoothLabels,
      "targets":  { "type": "index", "values": [...] }, { "type": "mixed", "a": [...], "b": [...], "lambda": ... }
                  or dense { "type": "float32" | "float64" | "uint8", "values": [...] },
      "options":  what the function takes, with typed arrays as plain arrays, without `dtype` and `gradient`,
      "expected": as above, and "metrics" and "perRow" where the options ask for them; smoothLabels: { "labels" }
    }

Logits are exact in their type, and float arrays among the options in float32. float64 targets beside other logits
count as their float32 roundings; nothing computed (logitScale, softcap) is rounded on the way.

JSON has no NaN and no infinities: these are the strings "NaN", "Infinity" and "-Infinity", which JavaScript's
Number() reads back. Where PyTorch answers otherwise than the package promises (the gradient of an ignored row
with NaN logits; a class of weight 0 at -Infinity), the case is composed from PyTorch operations that do agree.

"pytorchFloat32Error" says how far PyTorch's own float32 answers are from its float64 ones, on data that
test/support/data.ts reproduces bit by bit.
"""

import hashlib
import itertools
import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

CROSS_ENTROPY_OUTPUT = Path(__file__).with_name('pytorch-cross-entropy.json')
FAMILY_OUTPUT = Path(__file__).with_name('pytorch-family.json')
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


def dump_compact(document):
    """One case a line."""
    lines = [json.dumps(case, separators=(',', ':')) for case in document['cases']]
    return f'{{"torch":{json.dumps(document["torch"])},"cases":[\n' + ',\n'.join(lines) + '\n]}\n'


def write(path, document, compact=False):
    path.write_text(dump_compact(document) if compact else dump(document))
    print(f'{path.name}: {len(document["cases"])} cases, {path.stat().st_size} bytes')


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


def listed(value):
    return value if isinstance(value, list) else [value]


class Call:
    """What one call's logits, targets and options say of its R rows and C classes, in float64."""

    def __init__(self, logits, targets, options):
        self.options = options
        self.classes = options['classes']
        self.kind = kind = targets['type']
        self.indexed = kind in ('index', 'mixed')
        stride = options.get('rowStride', self.classes)
        if self.indexed:
            first, second = targets.get('a', targets.get('values')), targets.get('b', targets.get('values'))
            self.rows = len(first)
        elif logits:
            self.rows = math.ceil(np.size(logits['values']) / stride)
        else:
            self.rows = len(targets['values']) // self.classes
        r, k = torch.arange(self.rows)[:, None], torch.arange(self.classes)
        inner = options.get('inner', 1)
        #: [R, C]: where each row and class is in the logits, and in all that is laid out as they are.
        self.places = r * stride + k if inner == 1 else (r // inner * self.classes + k) * inner + r % inner
        self.x = leaf(np.reshape(logits['values'], -1)) if logits else None

        #: [R, C]: the elements that take part, and [R]: the rows that have one.
        mask = options.get('mask', [1] * self.rows)
        by_row = len(mask) == self.rows
        self.part = (double(mask)[:, None].repeat(1, self.classes) if by_row else self.dense(mask)).bool()
        if self.indexed:
            ignored = listed(options.get('ignoreIndex', -100))
            self.part[[r for r in range(self.rows) if first[r] in ignored or second[r] in ignored]] = False
        self.kept = self.part.any(1)

        self.row_weight = double(options.get('rowWeight', [1] * self.rows))
        weight = options.get('weight', [1] * self.classes)
        by_class = len(weight) == self.classes
        #: [R, C], as pos_weight.
        self.weight = double(weight).repeat(self.rows, 1) if by_class else self.dense(weight)
        self.pos_weight = double(options.get('posWeight', [1] * self.classes)).repeat(self.rows, 1)
        #: [R]: the two classes of a target, 0 in ignored rows, and the first one's share. [R, C]: the target.
        if self.indexed:
            self.a, self.b = (torch.tensor([int(y) for y in ys]) * self.kept for ys in (first, second))
            self.share = double(targets.get('lambda', 1)).expand(self.rows)
            self.t = self.pair(self.onehot(self.a), self.onehot(self.b))
        else:
            rounds = kind == 'float64' and logits and logits['type'] != 'float64'
            self.t = self.dense(np.asarray(targets['values'], dtype=np.float32 if rounds else np.float64))

    def dense(self, values):
        """[R, C] numbers from row after row of them, or from the layout of the logits."""
        contiguous = len(values) == self.rows * self.classes and 'inner' not in self.options
        return double(values).reshape(self.rows, self.classes) if contiguous else double(values)[self.places]

    def onehot(self, y):
        return F.one_hot(y, self.classes).double()

    def pair(self, of_a, of_b):
        return self.share[:, None] * of_a + (1 - self.share[:, None]) * of_b

    def smoothed(self):
        """[R, C]: t' = (1 - eps)·t + eps·u."""
        smoothing = self.options.get('labelSmoothing', 0)
        smoothing = smoothing if isinstance(smoothing, dict) else {'epsilon': smoothing}
        epsilon = double(smoothing['epsilon']).expand(self.rows)[:, None]
        mass = double(smoothing.get('prior', [1] * self.classes)).repeat(self.rows, 1)
        mass[:, smoothing.get('exclude', [])] = 0

        def distribution(mass):
            return F.normalize(mass, p=1, dim=1)

        u = distribution(mass)
        if smoothing.get('over') == 'others':
            u = self.pair(*(distribution(mass * (1 - self.onehot(y))) for y in (self.a, self.b)))
        return torch.lerp(self.t, u, epsilon)

    def z(self, part):
        """The logits of some rows or elements, scaled and capped."""
        z = self.options.get('logitScale', 1) * self.x[self.places[part]]
        cap = self.options.get('softcap')
        return z if cap is None else cap * torch.tanh(z / cap)


class Terms(NamedTuple):
    """The losses of the rows or elements that take part, with their weights, before the reduction."""

    losses: torch.Tensor
    #: The row of each.
    row: torch.Tensor
    #: Where each is in `losses` with reduction 'none', which is that long.
    place: torch.Tensor
    length: int


def row_terms(call, losses):
    row = call.kept.nonzero()[:, 0]
    return Terms(call.row_weight[call.kept] * losses, row, row, call.rows)


def element_terms(call, losses):
    """losses: of the elements that take part, in order."""
    row = call.part.nonzero()[:, 0]
    return Terms(call.row_weight[row] * losses, row, call.places[call.part], call.x.numel())


def times(factor, values):
    """The product, 0 where the factor is, whatever the value."""
    return factor * values.masked_fill(factor == 0, 0)


def class_losses(call, log_p):
    """-Σ w t' lp of the rows that take part, or with form 'kl' the divergence."""
    smoothed, weight = call.smoothed()[call.kept], call.weight[call.kept]
    losses = -times(weight * smoothed, log_p).sum(1)
    if call.options.get('form') == 'kl':
        losses = losses + (weight * torch.xlogy(smoothed, smoothed)).sum(1)
    return losses


def cross_entropy(call):
    z = call.z(call.kept)
    losses = class_losses(call, z.log_softmax(1))
    if 'zLoss' in call.options:
        losses = losses + call.options['zLoss'] * z.logsumexp(1) ** 2
    return row_terms(call, losses)


def nll_loss(call):
    return row_terms(call, class_losses(call, call.x[call.places[call.kept]]))


def smoothed_binary(call):
    """[R, C]: bceWithLogits' t', the elements' targets smoothed."""
    smoothing = call.options.get('labelSmoothing', 0)
    smoothing = smoothing if isinstance(smoothing, dict) else {'epsilon': smoothing}
    return torch.lerp(call.t, torch.full_like(call.t, smoothing.get('toward', 0.5)), smoothing['epsilon'])


def softplus(z):
    """F.softplus is z itself beyond a threshold; this is right to the last digits."""
    return -F.logsigmoid(-z)


def bce_with_logits(call):
    z, smoothed = call.z(call.part), smoothed_binary(call)
    positive = call.pos_weight * smoothed
    losses = times(positive[call.part], softplus(-z)) + times((1 - smoothed)[call.part], softplus(z))
    return element_terms(call, call.weight[call.part] * losses)


def kl_div(call):
    x, t = call.x[call.places[call.part]], call.t[call.part]
    coefficient, log_t = (t.exp(), t) if call.options.get('logTarget') else (t, t.log())
    return element_terms(call, call.weight[call.part] * times(coefficient, log_t - x))


DEFINITIONS = {
    'crossEntropy': cross_entropy,
    'bceWithLogits': bce_with_logits,
    'klDiv': kl_div,
    'nllLoss': nll_loss,
}


def denominator_of(function, call):
    """What the mean divides by."""
    elementwise = function in ('bceWithLogits', 'klDiv')
    default = 'elements' if elementwise else 'weight' if call.indexed else 'rows'
    normalizer = call.options.get('normalizer', default)
    if call.options.get('reduction') == 'batchmean':
        normalizer = 'rows'
    if normalizer == 'weight' and elementwise:
        return (call.row_weight[:, None] * call.weight)[call.part].sum().item()
    if normalizer == 'weight':
        return (call.row_weight * (call.weight * call.t).sum(1))[call.kept].sum().item()
    return {
        'elements': int(call.part.sum()),
        'rows': int(call.kept.sum()),
        'all': call.rows * (call.classes if elementwise else 1),
    }.get(normalizer, normalizer)


def reduced(call, terms, denominator, loss=None):
    """The result's numbers and autograd's gradient. loss: the mean or sum, where it is known already."""
    numerator = terms.losses.sum()
    expected = {'numerator': numerator.item(), 'denominator': denominator, 'rows': int(call.kept.sum())}
    reduction = call.options.get('reduction', 'mean')
    scale = double(call.options.get('gradientScale', 1))
    if reduction == 'none':
        scaled = (terms.losses * (scale[terms.row] if scale.ndim else scale)).sum()
        expected['losses'] = np.zeros(terms.length)
        expected['losses'][terms.place.numpy()] = terms.losses.detach().numpy()
    else:
        if loss is None:
            loss = numerator if reduction == 'sum' else numerator / denominator
        scaled = loss * scale
        empty = call.options.get('whenEmpty') == 'zero' and denominator == 0 and reduction != 'sum'
        expected['loss'] = 0 if empty else loss.item()
    expected['gradient'] = torch.autograd.grad(scaled, call.x)[0].numpy()
    return expected


def defined(function, call):
    return reduced(call, DEFINITIONS[function](call), denominator_of(function, call))


COMPOSED = 'torch.log_softmax and autograd, composed by the definition'


def by_index(logits, targets, options):
    values = {'type': 'float32', 'values': logits}
    return defined('crossEntropy', Call(values, {'type': 'index', 'values': targets}, options))


def composed_case(name, logits, targets, options):
    add(name, COMPOSED, options, logits, targets, by_index(logits, targets, options))


def check_composed():
    """Every finite case above that has a function behind it comes out of the definition too."""
    read = {'NaN': NAN, 'Infinity': INF, '-Infinity': -INF}
    for case in cases:
        expected = case['expected']
        if not all(isinstance(g, (int, float)) for g in expected['gradient']) or not expected['rows']:
            continue
        logits = np.array([read.get(v, v) for v in case['logits']])
        again = by_index(logits, case['targets'], case['options'])
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
# The whole family: PyTorch's own functions, what else a result holds, and a case of it


def against_classes(call, pick, loss):
    """loss(class indices), and of a mixed target either class's by its share, as MixUp has it."""
    a, b = (pick(y.masked_fill(~call.kept, -100)) for y in (call.a, call.b))
    if call.kind == 'index':
        return loss(a)
    share = pick(call.share)
    return share * loss(a) + (1 - share) * loss(b)


def own_cross_entropy(call, pick, reduction):
    z, epsilon = pick(call.z(...)), call.options.get('labelSmoothing', 0)

    def loss(target):
        return F.cross_entropy(z, target, weight=call.weight[0], reduction=reduction, label_smoothing=epsilon)

    return against_classes(call, pick, loss) if call.indexed else loss(pick(call.t))


def own_nll_loss(call, pick, reduction):
    x = pick(call.z(...))
    return against_classes(call, pick, lambda y: F.nll_loss(x, y, weight=call.weight[0], reduction=reduction))


def own_bce_with_logits(call, pick, reduction):
    of_elements = (smoothed_binary(call), call.weight, call.pos_weight)
    target, weight, pos_weight = (pick(values) for values in of_elements)
    return F.binary_cross_entropy_with_logits(
        pick(call.z(...)), target, weight=weight, pos_weight=pos_weight, reduction=reduction
    )


def own_kl_div(call, pick, reduction):
    log_target = call.options.get('logTarget', False)
    return F.kl_div(pick(call.z(...)), pick(call.t), reduction=reduction, log_target=log_target)


OWN = {
    'crossEntropy': ('F.cross_entropy', own_cross_entropy),
    'bceWithLogits': ('F.binary_cross_entropy_with_logits', own_bce_with_logits),
    'klDiv': ('F.kl_div', own_kl_div),
    'nllLoss': ('F.nll_loss', own_nll_loss),
}


def has_own(function, call):
    """Whether PyTorch's function has the losses of a call's rows or elements, as they are here. Where infinities
    meet factors of 0 it says NaN, and the package 0. F.binary_cross_entropy_with_logits adds z to log(1 + e^-z),
    which leaves no digits of the loss of a confident element."""
    smoothing = call.options.get('labelSmoothing', 0)
    if not (call.x.isfinite().all() and call.t.isfinite().all()):
        return False
    if function == 'bceWithLogits' and call.z(...).abs().max() > 16:
        return False
    if function in ('crossEntropy', 'nllLoss') and (isinstance(smoothing, dict) or 'form' in call.options):
        return False
    return not (function == 'nllLoss' and smoothing) and 'zLoss' not in call.options


def own(function, call):
    """What PyTorch's function says: the losses of rows or elements, as Terms; the mean or sum with its own
    reduction, if the call has nothing that the function lacks; and which function."""
    name, run = OWN[function]
    by_row = function in ('crossEntropy', 'nllLoss')
    some = call.kept if by_row else call.part
    losses = run(call, lambda values: values[some], 'none')
    # F.kl_div has no weights; batchmean divides by N of N-C-d, and here by rows.
    losses = losses * call.weight[some] if function == 'klDiv' else losses
    terms = (row_terms if by_row else element_terms)(call, losses)

    reduction, inner = call.options.get('reduction', 'mean'), call.options.get('inner', 1)
    lacking = {'rowWeight', 'normalizer', 'weight' if function == 'klDiv' else 'rowWeight'}
    can_ignore = by_row and call.kind == 'index'
    if call.kind == 'mixed' or lacking & call.options.keys() or not (some.all() or can_ignore):
        return terms, None, f'{name}, {"by row" if by_row else "by element"}'

    def arranged(values):
        """N-C-d of [R, C], N-d of [R]."""
        if inner == 1 or reduction == 'batchmean':
            return values
        values = values.reshape(-1, inner, *values.shape[1:])
        return values.transpose(1, 2) if values.ndim == 3 else values

    loss = run(call, arranged, reduction)
    return terms, None if reduction == 'none' else loss, name


def first_largest(rows):
    """The argmax, the first of several; NaN is none."""
    return np.argmax(np.where(np.isnan(rows), -INF, rows), axis=1)


def per_row(call, kept, fill=0):
    """One number a row of the numbers of those that take part."""
    values = np.full(call.rows, fill, dtype=np.float64)
    values[call.kept.numpy()] = kept
    return values


@torch.no_grad()
def row_numbers(function, call):
    """What the metrics are means of, and perRow without its loss."""
    z, t = call.z(call.kept), call.t[call.kept]
    if function == 'klDiv':
        return {}, {}
    if function == 'bceWithLogits':
        return binary_numbers(call)
    prediction = first_largest(z.numpy())
    right = prediction == first_largest(t.numpy())
    if function == 'nllLoss':
        nll = -times(t, z).sum(1).numpy()
        rows = {'nll': per_row(call, nll), 'prediction': per_row(call, prediction, -1)}
        return {'nll': nll, 'accuracy': right}, rows
    log_p = z.log_softmax(1)
    undefined = log_p.isnan().any(1)
    lse, nll, entropy = (
        values.masked_fill(undefined, NAN).numpy()
        for values in (z.logsumexp(1), -times(t, log_p).sum(1), -times(log_p.exp(), log_p).sum(1))
    )
    z_loss = call.options['zLoss'] * lse**2 if 'zLoss' in call.options else np.zeros(len(lse))
    metrics = {'nll': nll, 'accuracy': right, 'entropy': entropy, 'zLoss': z_loss}
    rows = {name: per_row(call, values) for name, values in (('nll', nll), ('lse', lse), ('entropy', entropy))}
    return metrics, {**rows, 'prediction': per_row(call, prediction, -1)}


def added_by_row(call, row, values):
    return torch.zeros(call.rows, dtype=torch.float64).index_add(0, row, values).numpy()


def binary_numbers(call):
    z, t, part = call.z(call.part), call.t[call.part], call.part
    nll = times(t, softplus(-z)) + times(1 - t, softplus(z))
    entropy = times(z.sigmoid(), softplus(-z)) + times((-z).sigmoid(), softplus(z))
    elements = {'nll': nll, 'accuracy': ((z > 0) == (t > 0.5)).double(), 'entropy': entropy}
    row = part.nonzero()[:, 0]
    sums = {name: added_by_row(call, row, elements[name]) for name in ('nll', 'entropy')}
    return {name: values.numpy() for name, values in elements.items()}, sums


def tidy(value):
    """Nested dictionaries and lists of numbers as JSON can hold them."""
    if isinstance(value, dict):
        return {key: tidy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [tidy(item) for item in value]
    return value if isinstance(value, (str, bool)) else plain(value)


family_cases = []


def family_case(function, name, logits, targets, options):
    """Appends a case, PyTorch's own numbers where it has them, which the definition has to agree with."""
    call = Call(logits, targets, options)
    denominator = denominator_of(function, call)
    terms, source = DEFINITIONS[function](call), None
    expected = reduced(call, terms, denominator)
    if has_own(function, call):
        terms, loss, source = own(function, call)
        composed, expected = expected, reduced(call, terms, denominator, loss)
        size = max(1, np.abs(expected['gradient']).max(), np.abs(call.x.detach().numpy()).max())
        for key, value in expected.items():
            np.testing.assert_allclose(
                value, composed[key], rtol=1e-13, atol=1e-14 * size, err_msg=f'{name}: {key}'
            )

    metrics, rows = row_numbers(function, call)
    if options.get('metrics'):
        expected['metrics'] = {key: np.mean(values) if len(values) else NAN for key, values in metrics.items()}
    if 'perRow' in options:
        rows['loss'] = added_by_row(call, terms.row, terms.losses.detach())
        expected['perRow'] = {key: rows[key] for key in options['perRow']}
    add_family_case(function, name, source, options, expected, targets, logits)


def labels_case(name, targets, options):
    call = Call(None, targets, options)
    labels = call.smoothed() * call.kept[:, None]
    add_family_case('smoothLabels', name, None, options, {'labels': labels.numpy()}, targets)


def add_family_case(function, name, source, options, expected, targets, logits=None):
    name = f'{function} {name}' if logits else f'{function}: {name}'
    assert all(case['name'] != name for case in family_cases), name
    inputs = {'targets': tidy(targets), 'options': tidy(options)}
    if logits:
        inputs = {'logits': {'type': logits['type'], 'values': flat(logits['values'])}, **inputs}
    expected = {
        key: tidy(value) if isinstance(value, dict) else flat(value) if np.ndim(value) else plain(value)
        for key, value in expected.items()
    }
    origin = {'source': source} if source else {}
    family_cases.append({'name': name, 'function': function, **origin, **inputs, 'expected': expected})


# ---------------------------------------------------------------------------------------------------------------
# The whole family: its data

TYPES = ('float32', 'float64', 'float16', 'bfloat16')


def numbers(type, values):
    """The nearest values that the type has."""
    rounded = double(values).to(getattr(torch, type)).double().numpy()
    return {'type': type, 'values': rounded}


def some_logits(type, rows, classes):
    """Near 2·N(0, 1): quarters, and in float64 every third number with all the digits it can hold."""
    values = np.round(normals(rows * classes, seed(), 2).astype(np.float64) * 4) / 4
    if type == 'float64':
        values[::3] += mulberry32(values.size, seed())[::3] / 4
    return numbers(type, values)


def some_log_probs(type, rows, classes):
    """Likewise, with eighths. They add up to about 1."""
    x = double(some_logits('float32', rows, classes)['values']).reshape(rows, classes).log_softmax(1).numpy()
    values = (np.floor(x * 8) / 8).reshape(-1)
    if type == 'float64':
        values[::3] -= mulberry32(values.size, seed())[::3] / 8
    return numbers(type, values)


def padded(logits, rows, classes, stride, last=True):
    """The same logits with 99 between the rows, and behind the last one or not."""
    values = np.full((rows, stride), 99.0)
    values[:, :classes] = logits['values'].reshape(rows, classes)
    values = values.reshape(-1)
    return {'type': logits['type'], 'values': values if last else values[: len(values) - stride + classes]}


def index(*values):
    return {'type': 'index', 'values': list(values)}


def mixed(a, b, share):
    return {'type': 'mixed', 'a': list(a), 'b': list(b), 'lambda': share}


def soft(rows, classes, type='float32'):
    """Distributions, some of their probabilities 0: eighths, or for float64 quotients with all their digits."""
    counts = np.stack([np.bincount(class_indices(8, classes, seed()), minlength=classes) for _ in range(rows)])
    if type == 'float64':
        counts = counts * (1 + mulberry32(counts.size, seed()).reshape(counts.shape))
        return {'type': type, 'values': (counts / counts.sum(axis=1, keepdims=True)).reshape(-1)}
    return {'type': type, 'values': counts.reshape(-1) / 8}


def fractions(count, type='float32'):
    """Independent targets in [0, 1], quarters."""
    return {'type': type, 'values': class_indices(count, 5, seed()) / 4}


def bits(count):
    return {'type': 'uint8', 'values': class_indices(count, 2, seed())}


def log_of(targets):
    """Logarithms of probabilities, those of 0 far below, exact in float32."""
    p = np.maximum(targets['values'], 2.0**-10)
    return {'type': 'float32', 'values': np.round(np.log(p) * 8) / 8}


# ---------------------------------------------------------------------------------------------------------------
# The whole family: every loss with every option in every number type

CE_ROWS = ['loss', 'nll', 'lse', 'entropy', 'prediction']
PRIOR = [0.5, 0.25, 2, 0]
ROW_WEIGHT = [0.5, 2, 1.25]
SCALES = [1.5, -0.5, 3]


def features(targets, options, type):
    """What of the API a call uses: kinds of targets and options, in float64 each option with each kind."""
    kind = targets['type'] if targets['type'] in ('index', 'mixed') else 'dense'
    found = {(targets['type'], np.ndim(targets.get('lambda', 0)))}
    smoothing = options.get('labelSmoothing')
    for name, value in (options | (smoothing if isinstance(smoothing, dict) else {})).items():
        form = value if isinstance(value, str) else np.shape(value) if name == 'mask' else np.ndim(value)
        found.add((kind if type == 'float64' else 'any', name, form))
    return found


had = {}


def adder(function, type, make, special=False):
    """case(...), which adds a case, and strided(...), logits with gaps. To keep the file small only float32 gets
    every case. Other types get those that are the first with some option, or use everything. Special cases go to
    float64 too, and those of infinities and NaN to float16 and bfloat16 by turns."""
    turn = itertools.cycle(('float16', 'bfloat16'))
    seen = had.setdefault((function, type), set())

    def case(name, targets, classes=4, logits=None, **options):
        new = features(targets, options, type) - seen
        seen.update(new)
        wanted = type == 'float32' or new or 'everything' in name
        if special:
            infinite = not np.isfinite(logits['values']).all()
            wanted = wanted or type == 'float64' or infinite and next(turn) == type
        if not wanted:
            return
        indices = targets.get('a', targets['values'] if targets['type'] == 'index' else None)
        rows = len(indices) if indices else len(targets['values']) // classes
        logits = logits or make(type, rows, classes)
        family_case(function, f'{type}: {name}', logits, targets, {'classes': classes, **options})

    def strided(rows, last):
        return padded(make(type, rows, 4), rows, 4, 6, last)

    return case, strided


def cross_entropy_cases(type):
    case, strided = adder('crossEntropy', type, some_logits)

    # Class indices
    case('index', index(2, 0))
    case('index, smoothing, weight, ignored', index(1, -100, 2), labelSmoothing=0.1, weight=weights_of(4))
    case('index, zLoss, smoothing', index(3, 1), labelSmoothing=0.1, zLoss=0.0625)
    case('index, zLoss, rowWeight, sum', index(0, 2, 2), zLoss=1e-4, rowWeight=ROW_WEIGHT, reduction='sum')
    case('index, logitScale', index(1, 0), logitScale=0.5, labelSmoothing=0.1)
    case('index, softcap', index(2, 1), softcap=3)
    case('index, logitScale, softcap, zLoss', index(0, 3), logitScale=2.5, softcap=5, zLoss=0.125)
    case('index, inner', index(0, 2, 1, 1), classes=3, inner=2, labelSmoothing=0.25, ignoreIndex=2)
    smoothing = {'epsilon': 0.2, 'over': 'others', 'exclude': 1, 'prior': PRIOR}
    case('index, kl', index(2, 0, 3), labelSmoothing=smoothing, form='kl', weight=weights_of(4))
    case(
        'index, metrics, perRow',
        index(1, 7, 3, 0),
        labelSmoothing=0.1,
        weight=weights_of(4),
        rowWeight=[*ROW_WEIGHT, 1],
        ignoreIndex=[7, 3],
        zLoss=0.0625,
        metrics=True,
        perRow=CE_ROWS,
    )

    # Soft targets
    case('soft', soft(2, 4))
    case('soft float64', soft(2, 4, 'float64'))
    case('soft, smoothing, weight', soft(2, 4), labelSmoothing=0.1, weight=weights_of(4))
    case('soft, smoothing over all', soft(2, 4, 'float64'), labelSmoothing={'epsilon': 0.3, 'over': 'all'})
    smoothing = {'epsilon': 0.25, 'prior': PRIOR, 'exclude': [1]}
    case(
        'soft, prior, exclude, rowWeight, mask',
        soft(3, 4),
        labelSmoothing=smoothing,
        rowWeight=ROW_WEIGHT,
        mask=[1, 0, 1],
    )
    case('soft, epsilon per row, sum', soft(3, 4), labelSmoothing={'epsilon': [0, 0.5, 1]}, reduction='sum')
    case('soft, none', soft(2, 4), reduction='none', labelSmoothing=0.1)
    case(
        'soft, none, gradientScale per row, mask',
        soft(3, 4),
        reduction='none',
        gradientScale=SCALES,
        mask=[1, 1, 0],
    )
    for normalizer in ('weight', 'rows', 'all', 2.5):
        case(
            f'soft, normalizer {normalizer}',
            soft(3, 4),
            weight=weights_of(4),
            rowWeight=ROW_WEIGHT,
            mask=[0, 1, 1],
            normalizer=normalizer,
            gradientScale=4,
        )
    case('soft, kl', soft(2, 4), form='kl')
    case('soft, kl, smoothing, weight', soft(2, 4, 'float64'), form='kl', labelSmoothing=0.1, weight=weights_of(4))
    inner = {'classes': 3, 'inner': 2}
    case('soft, inner', soft(4, 3), **inner, labelSmoothing=0.1, weight=weights_of(3))
    case('soft, inner, mask, none', soft(4, 3, 'float64'), **inner, mask=[1, 1, 0, 1], reduction='none')
    case('soft, rowStride, targets without gaps', soft(2, 4), logits=strided(2, True), rowStride=6)
    targets = padded(soft(2, 4), 2, 4, 6, False)
    case('soft, rowStride, targets laid out as the logits', targets, logits=strided(2, False), rowStride=6)
    case('soft, zLoss, logitScale, softcap', soft(2, 4), zLoss=0.0625, logitScale=1.5, softcap=4)
    case('soft, metrics, perRow', soft(3, 4), metrics=True, perRow=CE_ROWS, labelSmoothing=0.1, mask=[1, 0, 1])
    everything = {
        'labelSmoothing': {'epsilon': [0.5, 0.125, 0.25, 1], 'prior': [1, 0.5, 2, 1], 'exclude': [3]},
        'weight': weights_of(4),
        'rowWeight': [0.25, 3, 1, 1.5],
        'mask': [1, 1, 0, 1],
        'form': 'kl',
        'logitScale': 1.25,
        'softcap': 6,
        'zLoss': 0.03125,
        'normalizer': 'weight',
        'gradientScale': 16,
        'metrics': True,
        'perRow': CE_ROWS,
    }
    inner = {'classes': 4, 'inner': 2}
    case('soft, everything', soft(4, 4, 'float64'), **inner, **everything)

    # Mixed targets
    a, b = [0, 3, 2], [1, 3, 0]
    case('mixed', mixed(a, b, 0.3))
    case('mixed, lambda per row', mixed(a, b, [0.25, 0.5, 1]))
    case(
        'mixed, lambda 0, 1 and 1/2',
        mixed([0, 1, 2], [2, 0, 1], [0, 1, 0.5]),
        metrics=True,
        perRow=['prediction', 'nll'],
    )
    case('mixed, smoothing, weight', mixed(a, b, [0.25, 0.875, 0.5]), labelSmoothing=0.1, weight=weights_of(4))
    case('mixed, over others', mixed(a, b, 0.3), labelSmoothing={'epsilon': 0.2, 'over': 'others'})
    smoothing = {'epsilon': [0.125, 1, 0.5], 'over': 'others', 'exclude': [1], 'prior': [1, 3, 0.5, 2]}
    case(
        'mixed, over others, exclude, prior, none',
        mixed(a, b, [0.25, 0.5, 0.125]),
        labelSmoothing=smoothing,
        reduction='none',
    )
    case(
        'mixed, ignored, mask, rowWeight',
        mixed([0, 9, 2, 1, 3], [1, 2, -1, 3, 0], 0.6),
        ignoreIndex=[9, -1],
        mask=[1, 1, 1, 1, 0],
        rowWeight=[0.5, 1, 1, 2, 1],
        weight=weights_of(4),
    )
    case('mixed, kl, weight, sum', mixed(a, b, 0.75), form='kl', weight=weights_of(4), reduction='sum')
    inner = {'classes': 3, 'inner': 2}
    case('mixed, inner, zLoss', mixed([0, 1, 2, 2], [1, 1, 0, 2], 0.7), **inner, zLoss=0.0625)
    case(
        'mixed, metrics, perRow', mixed(a, b, [0.75, 0.5, 0.25]), metrics=True, perRow=CE_ROWS, labelSmoothing=0.1
    )
    for normalizer in ('rows', 'all', 6):
        case(
            f'mixed, normalizer {normalizer}',
            mixed(a, b, [0.25, 0.5, 0.875]),
            weight=weights_of(4),
            ignoreIndex=3,
            normalizer=normalizer,
            gradientScale=0.5,
        )
    case(
        'mixed, rowStride, logitScale, softcap',
        mixed([1, 0], [2, 3], 0.1),
        logits=strided(2, True),
        rowStride=6,
        logitScale=0.75,
        softcap=2.5,
    )
    everything = {
        'labelSmoothing': {'epsilon': 0.3, 'over': 'others', 'prior': [1, 0.5, 2, 1], 'exclude': 3},
        'weight': weights_of(4),
        'rowWeight': [0.25, 3, 1, 1.5],
        'ignoreIndex': 3,
        'mask': [1, 0, 1, 1],
        'zLoss': 0.03125,
        'normalizer': 'weight',
        'gradientScale': [2, -1, 4, 0.5],
        'reduction': 'none',
        'metrics': True,
        'perRow': CE_ROWS,
        'rowStride': 6,
    }
    case(
        'mixed, everything',
        mixed([2, 0, 3, 1], [0, 1, 1, 2], [0.125, 1, 0.5, 0.75]),
        logits=strided(4, False),
        **everything,
    )


BCE_ROWS = ['loss', 'nll', 'entropy']


def bce_cases(type):
    case, strided = adder('bceWithLogits', type, some_logits)

    element_mask = [1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1]
    case('dense', fractions(8))
    case('dense float64', soft(2, 4, 'float64') if type == 'float64' else fractions(8, 'float64'))
    case('dense Uint8', bits(8))
    case('index', index(2, 0))
    case('index, ignored', index(1, -100, 3), weight=weights_of(4))
    case('weight, posWeight', fractions(8), weight=weights_of(4), posWeight=weights_of(4))
    case(
        'weight per element, posWeight, sum',
        bits(12),
        weight=weights_of(12),
        posWeight=weights_of(4),
        reduction='sum',
    )
    case('smoothing', bits(8), labelSmoothing=0.1, posWeight=weights_of(4))
    case('smoothing toward 1/C, index', index(3, 0), labelSmoothing={'epsilon': 0.2, 'toward': 0.25})
    case('smoothing toward 1', fractions(8), labelSmoothing={'epsilon': 0.3, 'toward': 1})
    case('smoothing toward 0', fractions(8), labelSmoothing={'epsilon': 0.75, 'toward': 0})
    case('smoothing, epsilon 1', bits(8), labelSmoothing={'epsilon': 1})
    case('none', fractions(8), reduction='none', weight=weights_of(4), gradientScale=2)
    case(
        'none, gradientScale per row, mask per element, rowWeight',
        fractions(12),
        reduction='none',
        gradientScale=SCALES,
        mask=element_mask,
        rowWeight=ROW_WEIGHT,
    )
    for normalizer in ('elements', 'rows', 'weight', 'all', 7.5):
        case(
            f'mask, normalizer {normalizer}',
            fractions(12),
            mask=[1, 0, 1],
            weight=weights_of(4),
            rowWeight=ROW_WEIGHT,
            normalizer=normalizer,
        )
    for normalizer in ('rows', 'weight'):
        case(
            f'mask and weight per element, normalizer {normalizer}',
            bits(12),
            mask=element_mask,
            weight=weights_of(12),
            posWeight=weights_of(4),
            rowWeight=ROW_WEIGHT,
            normalizer=normalizer,
        )
    case(
        'index, ignored, mask per element, normalizer rows',
        index(7, 2, 0),
        ignoreIndex=[7, 5],
        mask=[1] * 7 + [0] * 5,
        normalizer='rows',
    )
    inner = {'classes': 3, 'inner': 2}
    case('inner', fractions(12), **inner, weight=weights_of(3), posWeight=weights_of(3))
    case(
        'inner, weight and mask per element',
        bits(12),
        **inner,
        weight=weights_of(12),
        mask=element_mask,
        reduction='none',
    )
    case('inner, index, mask', index(2, 0, 1, 1), **inner, mask=[1, 0, 1, 1], labelSmoothing=0.1)
    case(
        'rowStride, targets without gaps',
        fractions(8),
        logits=strided(2, True),
        rowStride=6,
        posWeight=weights_of(4),
    )
    values = {key: padded(fractions(8), 2, 4, 6, False) for key in ('targets', 'weight')}
    case(
        'rowStride, targets and weight laid out as the logits, none',
        values['targets'],
        logits=strided(2, False),
        rowStride=6,
        weight=list(values['weight']['values']),
        mask=[1, 1, 0, 1, 0, 1, 0, 1],
        reduction='none',
    )
    case('logitScale, softcap', fractions(8), logitScale=1.5, softcap=4)
    case('metrics, perRow', bits(8), labelSmoothing=0.1, posWeight=weights_of(4), metrics=True, perRow=BCE_ROWS)
    case('metrics, perRow, index', index(2, -100, 1), weight=weights_of(4), metrics=True, perRow=BCE_ROWS)
    everything = {
        'labelSmoothing': {'epsilon': 0.2, 'toward': 0.125},
        'posWeight': weights_of(4),
        'rowWeight': [0.5, 2, 1.25, 1],
        'logitScale': 0.75,
        'softcap': 3,
        'gradientScale': 8,
        'metrics': True,
        'perRow': BCE_ROWS,
    }
    mask, inner = [*element_mask, 0, 1, 1, 1], {'classes': 4, 'inner': 2}
    case('everything', fractions(16), **inner, **everything, mask=mask, weight=weights_of(16), normalizer='weight')
    case(
        'everything, index',
        index(2, 0, 4, 1),
        logits=strided(4, False),
        rowStride=6,
        **everything,
        ignoreIndex=4,
        weight=weights_of(4),
    )


def kl_div_cases(type):
    case, strided = adder('klDiv', type, some_log_probs)

    for reduction in ('mean', 'batchmean', 'sum', 'none'):
        case(reduction, soft(2, 4), reduction=reduction)
        if reduction != 'sum':
            case(f'logTarget, {reduction}', log_of(soft(2, 4)), reduction=reduction, logTarget=True)
    case('float64 targets', soft(2, 4, 'float64') if type == 'float64' else {**soft(2, 4), 'type': 'float64'})
    case('weight, batchmean', soft(2, 4), reduction='batchmean', weight=weights_of(4))
    case('weight, logTarget, sum', log_of(soft(2, 4)), reduction='sum', weight=weights_of(4), logTarget=True)
    case('mask, batchmean', soft(3, 4), mask=[0, 1, 1], reduction='batchmean')
    case(
        'mask, rowWeight, none, gradientScale per row',
        soft(3, 4),
        mask=[1, 1, 0],
        rowWeight=ROW_WEIGHT,
        reduction='none',
        gradientScale=SCALES,
    )
    for normalizer in ('elements', 'rows', 'weight', 'all', 5):
        case(
            f'mask, rowWeight, weight, normalizer {normalizer}',
            soft(3, 4),
            mask=[1, 0, 1],
            rowWeight=ROW_WEIGHT,
            weight=weights_of(4),
            normalizer=normalizer,
        )
    inner = {'classes': 3, 'inner': 2}
    case('inner', soft(4, 3), **inner)
    case('inner, batchmean', soft(4, 3), **inner, reduction='batchmean')
    case(
        'inner, logTarget, mask, none',
        log_of(soft(4, 3)),
        **inner,
        logTarget=True,
        mask=[1, 0, 1, 1],
        reduction='none',
    )
    case(
        'rowStride, targets without gaps, none', soft(2, 4), logits=strided(2, True), rowStride=6, reduction='none'
    )
    targets = padded(soft(2, 4), 2, 4, 6, False)
    case('rowStride, targets laid out as the logits', targets, logits=strided(2, False), rowStride=6)
    case('perRow', soft(3, 4), perRow=['loss'], mask=[1, 0, 1], rowWeight=ROW_WEIGHT, weight=weights_of(4))
    everything = {
        'weight': weights_of(4),
        'rowWeight': ROW_WEIGHT,
        'mask': [0, 1, 1],
        'gradientScale': 3,
        'rowStride': 6,
    }
    case(
        'everything',
        log_of(soft(3, 4)),
        logits=strided(3, False),
        logTarget=True,
        perRow=['loss'],
        normalizer='weight',
        **everything,
    )


NLL_ROWS = ['loss', 'nll', 'prediction']


def nll_cases(type):
    case, strided = adder('nllLoss', type, some_log_probs)

    for reduction in ('mean', 'sum', 'none'):
        case(f'index, {reduction}', index(2, 0), reduction=reduction)
        case(
            f'index, weight, ignored, {reduction}',
            index(1, 2, 3),
            reduction=reduction,
            weight=weights_of(4),
            ignoreIndex=2,
        )
    case('index, smoothing', index(0, 1), labelSmoothing=0.1)
    opennmt = {'labelSmoothing': {'epsilon': 0.1, 'over': 'others', 'exclude': 0}, 'ignoreIndex': 0}
    case("index, OpenNMT's", index(3, 0, 1), **opennmt, form='kl', reduction='sum')
    smoothing = {'epsilon': [0.25, 1, 0.5], 'prior': PRIOR, 'exclude': [0, 3]}
    case('index, epsilon per row, prior, exclude', index(2, 3, 0), labelSmoothing=smoothing)
    case(
        'index, kl, prior, weight',
        index(2, 1),
        labelSmoothing={'epsilon': 0.2, 'prior': PRIOR},
        form='kl',
        weight=weights_of(4),
    )
    case(
        'index, none, gradientScale per row, mask',
        index(3, 1, 9),
        reduction='none',
        gradientScale=SCALES,
        mask=[1, 1, 0],
    )
    for normalizer in ('weight', 'rows', 'all', 0.5):
        case(
            f'index, rowWeight, mask, weight, normalizer {normalizer}',
            index(1, 0, 2),
            rowWeight=ROW_WEIGHT,
            mask=[1, 0, 1],
            weight=weights_of(4),
            normalizer=normalizer,
        )
    inner = {'classes': 3, 'inner': 2}
    case('index, inner', index(0, 2, 1, 1), **inner, weight=weights_of(3), ignoreIndex=2)
    case('index, inner, smoothing, none', index(1, 2, 0, 2), **inner, labelSmoothing=0.25, reduction='none')
    case('index, rowStride', index(1, 3), logits=strided(2, False), rowStride=6, labelSmoothing=0.1)
    case(
        'index, metrics, perRow',
        index(1, -100, 2),
        metrics=True,
        perRow=NLL_ROWS,
        labelSmoothing=0.1,
        rowWeight=ROW_WEIGHT,
    )
    a, b = [0, 3, 2], [1, 3, 0]
    case('mixed', mixed(a, b, 0.3))
    case(
        'mixed, lambda per row, over others, weight',
        mixed(a, b, [0.25, 0.5, 1]),
        labelSmoothing={'epsilon': 0.2, 'over': 'others'},
        weight=weights_of(4),
    )
    case(
        'mixed, kl, ignored, sum',
        mixed(a, b, [0.25, 0.5, 0.875]),
        labelSmoothing=0.1,
        ignoreIndex=1,
        form='kl',
        reduction='sum',
    )
    case('mixed, metrics, perRow', mixed(a, b, [0.75, 0.5, 0.25]), metrics=True, perRow=NLL_ROWS)
    everything = {
        'labelSmoothing': {'epsilon': 0.3, 'over': 'others', 'prior': [1, 0.5, 2, 1], 'exclude': 3},
        'weight': weights_of(4),
        'rowWeight': ROW_WEIGHT,
        'mask': [1, 0, 1],
        'form': 'kl',
        'normalizer': 'rows',
        'gradientScale': 0.25,
        'metrics': True,
        'perRow': NLL_ROWS,
        'rowStride': 6,
    }
    case('mixed, everything', mixed([2, 0, 3], [0, 1, 1], [0.125, 1, 0.5]), logits=strided(3, True), **everything)


def smooth_labels_cases():
    def case(name, targets, smoothing, classes=4, **options):
        labels_case(name, targets, {'classes': classes, 'labelSmoothing': smoothing, **options})

    prior = [1, 3, 0.5, 2]
    every = {'epsilon': [0.25, 1, 0.5], 'over': 'others', 'exclude': [1], 'prior': prior}
    a, b = [0, 3, 2], [1, 3, 0]
    kinds = {'index': index(2, 0, 3), 'mixed': mixed(a, b, [0.25, 0.5, 1])}
    for kind, targets in kinds.items():
        case(f'{kind}, no smoothing', targets, 0)
        case(f'{kind}, number', targets, 0.1)
        case(f'{kind}, over others', targets, {'epsilon': 0.2, 'over': 'others'})
        case(f'{kind}, exclude', targets, {'epsilon': 0.25, 'exclude': [0, 2]})
        case(f'{kind}, prior', targets, {'epsilon': 0.25, 'prior': PRIOR})
        case(f'{kind}, epsilon per row', targets, {'epsilon': [0, 0.125, 1]})
        case(f'{kind}, everything', targets, every, mask=[1, 1, 0])
    case('index, ignored', index(-100, 1, 2), 0.1)
    case('index, several ignored, mask', index(3, 1, 0, 99), 0.1, ignoreIndex=[3, -1], mask=[1, 1, 1, 0])
    case('mixed, lambda for all', mixed(a, b, 0.3), {'epsilon': 0.2, 'over': 'others'})
    case('mixed, ignored', mixed([0, 3, 2], [3, 1, 0], 0.3), 0.1, ignoreIndex=3)
    case('one class', index(0, 0), 0.1, classes=1)
    for type in ('float32', 'float64'):
        case(f'soft {type}, no smoothing', soft(3, 4, type), 0)
        case(f'soft {type}, number', soft(3, 4, type), 0.1)
        case(
            f'soft {type}, prior, exclude',
            soft(3, 4, type),
            {'epsilon': [0.5, 0, 1], 'prior': PRIOR, 'exclude': 2},
        )
        case(f'soft {type}, mask', soft(3, 4, type), 0.2, mask=[1, 0, 1])
    case('soft, unnormalised', {'type': 'float32', 'values': [0, 0, 0, 0, 1, 2, 0.5, 0]}, 0.25)


#: Per type a large number, and an offset with the distance of the numbers there.
LARGE = {'float32': 1e38, 'float64': 1e300, 'float16': 6e4, 'bfloat16': 1e38}
OFFSETS = {'float32': (1e8, 8), 'float64': (1e8, 2**-20), 'float16': (3e4, 16), 'bfloat16': (1e8, 2**19)}


def changed(logits, classes, at):
    """The logits with {(row, class or ...): value}."""
    values = logits['values'].reshape(-1, classes).copy()
    for place, value in at.items():
        values[place] = value
    return {'type': logits['type'], 'values': values.reshape(-1)}


def special_cross_entropy_cases(type):
    add_case, _ = adder('crossEntropy', type, some_logits, special=True)

    def case(name, logits, targets, classes=4, **options):
        add_case(name, targets, classes=classes, logits=logits, **options)

    none = {'reduction': 'none', 'perRow': CE_ROWS}
    a_third_masked = changed(some_logits(type, 3, 4), 4, {(0, 1): -INF, (1, 3): -INF, (2, 0): -INF, (2, 1): -INF})
    where_finite = {'type': 'float32', 'values': [0.5, 0, 0.25, 0.25, 0, 1, 0, 0, 0, 0, 0.375, 0.625]}
    case('soft, -Infinity where the target is 0', a_third_masked, where_finite, **none)
    somewhere = changed(some_logits(type, 2, 4), 4, {(0, 1): -INF, (1, 1): -INF})
    targets = {'type': 'float32', 'values': [0.5, 0, 0.25, 0.25, 0, 0.5, 0.5, 0]}
    case('soft, smoothing onto -Infinity, and a target there', somewhere, targets, labelSmoothing=0.1, **none)
    spread = {'type': 'float32', 'values': [0.5, 0, 0.25, 0.25] * 2}
    case(
        'soft, -Infinity excluded, kl', somewhere, spread, labelSmoothing={'epsilon': 0.1, 'exclude': 1}, form='kl'
    )
    case('soft, -Infinity where the weight is 0', somewhere, targets, labelSmoothing=0.1, weight=[1, 0, 2, 0.5])
    case(
        'mixed, -Infinity at one of the two, or neither',
        somewhere,
        mixed([0, 2], [1, 3], 0.25),
        zLoss=0.0625,
        **none,
    )
    case('mixed, lambda 1, -Infinity at the second', somewhere, mixed([0, 2], [1, 1], 1), metrics=True)
    case(
        'index, softcap, infinities',
        changed(some_logits(type, 2, 4), 4, {(0, 1): -INF, (1, 2): INF}),
        index(1, 0),
        softcap=3,
    )

    undefined = {(0, 1): NAN, (1, 3): INF, (2, ...): -INF, (3, 0): NAN, (3, 1): -INF, (4, ...): NAN}
    undefined = changed(some_logits(type, 6, 4), 4, undefined)
    everywhere = {'type': 'float32', 'values': [0.25] * 24}
    case('soft, NaN, Infinity, all -Infinity', undefined, everywhere, **none)
    case('index, NaN, Infinity, all -Infinity', undefined, index(0, 3, 1, 1, 0, 2), labelSmoothing=0.1, **none)
    case(
        'soft, undefined rows masked',
        undefined,
        everywhere,
        mask=[0, 0, 0, 0, 0, 1],
        softcap=4,
        metrics=True,
        zLoss=0.125,
    )
    case(
        'mixed, undefined rows ignored',
        undefined,
        mixed([7] * 5 + [1], [1, 1, 7, 0, 7, 2], 0.5),
        ignoreIndex=7,
        perRow=CE_ROWS,
    )

    offset, step = OFFSETS[type]
    far = np.round(normals(12, seed(), 3).astype(np.float64)) * step + offset
    case(f'soft, offset {offset:g}', numbers(type, far), soft(3, 4), labelSmoothing=0.1, weight=[1, 2, 0.5, 1])
    case(f'mixed, offset {-offset:g}', numbers(type, -far), mixed([0, 1, 2], [3, 3, 0], 0.25), reduction='none')
    large = LARGE[type]
    huge = numbers(type, [large, -large, 0, large / 4, -large, -large, large, large, 0, 1, 2, -large])
    case(f'soft, logits of {large:g}', huge, soft(3, 4), labelSmoothing=0.1)
    case(f'mixed, logits of {large:g}', huge, mixed([0, 3, 2], [1, 2, 3], 0.75), reduction='none', perRow=CE_ROWS)
    case(f'index, softcap, logits of {large:g}', huge, index(1, 2, 3), softcap=30)

    one = some_logits(type, 3, 1)
    case(
        'one class, soft',
        one,
        {'type': 'float32', 'values': [1, 0.5, 0]},
        1,
        labelSmoothing=0.1,
        metrics=True,
        perRow=CE_ROWS,
    )
    case('one class, mixed, zLoss', one, mixed([0] * 3, [0] * 3, 0.5), 1, labelSmoothing=0.1, zLoss=0.25)
    for reduction in ('mean', 'none'):
        rest = {'reduction': reduction, 'metrics': True, 'perRow': CE_ROWS}
        case(f'soft, all masked, {reduction}', some_logits(type, 2, 4), soft(2, 4), mask=[0, 0], **rest)
    nothing = mixed([0, -100], [-100, 2], 0.5)
    case('mixed, all ignored', some_logits(type, 2, 4), nothing)
    case('mixed, all ignored, zero', some_logits(type, 2, 4), nothing, whenEmpty='zero')
    case('soft, all masked, normalizer all', some_logits(type, 2, 4), soft(2, 4), mask=[0, 0], normalizer='all')
    unusual = {'type': 'float64', 'values': [0, 0, 0, 0, 1, 2, 0.5, 0, 0.125, 0, 0, 0.25]}
    for name, options in {
        'smoothing': {'labelSmoothing': 0.25},
        'kl, weight': {'labelSmoothing': 0.25, 'weight': [1, 2, 0.5, 0.25], 'form': 'kl'},
        'normalizer weight': {'weight': [1, 2, 0.5, 0.25], 'normalizer': 'weight', 'metrics': True},
    }.items():
        case(
            f'soft, rows that do not add up to 1, {name}',
            some_logits(type, 3, 4),
            unusual,
            **options,
            perRow=['loss', 'nll'],
        )


def special_bce_cases(type):
    add_case, _ = adder('bceWithLogits', type, some_logits, special=True)

    def case(name, logits, targets, classes=4, **options):
        add_case(name, targets, classes=classes, logits=logits, **options)

    none = {'reduction': 'none', 'perRow': BCE_ROWS}
    infinite = changed(some_logits(type, 2, 4), 4, {(0, 0): INF, (0, 1): -INF, (1, 2): -INF, (1, 3): INF})
    agreeing = {'type': 'uint8', 'values': [1, 0, 1, 0, 0, 1, 0, 1]}
    case('infinities that agree', infinite, agreeing, posWeight=[2, 0.5, 1, 3], metrics=True)
    case('infinities, smoothing', infinite, agreeing, labelSmoothing=0.1, **none)
    case('infinities that disagree', infinite, {'type': 'float32', 'values': [0, 0, 1, 0, 0, 1, 0.5, 0]}, **none)
    case('infinities, softcap', infinite, fractions(8), softcap=3)
    case('infinities, index', infinite, index(0, 3), metrics=True)
    case('NaN', changed(some_logits(type, 2, 4), 4, {(0, 1): NAN}), agreeing, **none)
    hidden = changed(some_logits(type, 2, 4), 4, {(0, 1): NAN, (1, 0): INF, (1, 3): -INF})
    case(
        'NaN and infinities masked',
        hidden,
        agreeing,
        mask=[1, 0, 1, 1, 0, 1, 1, 0],
        softcap=5,
        metrics=True,
        perRow=BCE_ROWS,
    )
    case('NaN in an ignored row', hidden, index(-100, 3), mask=[1, 1, 1, 1, 0, 1, 1, 1], normalizer='rows')
    margins = numbers(type, [5, -5, 12, -12, 20, -20, 40, -40, 80, -80, 100, -100])
    sure = {'type': 'uint8', 'values': [1, 0] * 6}
    case('confident, losses down to 1e-44', margins, sure, reduction='none')
    case('confident and wrong', margins, {'type': 'uint8', 'values': [0, 1] * 6}, perRow=['loss'])
    offset, step = OFFSETS[type]
    far = numbers(type, np.round(normals(4, seed(), 3).astype(np.float64)) * step + offset)
    case(f'offset {offset:g}', far, fractions(4), posWeight=[2, 0.5, 1, 3])
    large = LARGE[type]
    case(f'logits of {large:g}', numbers(type, [large, -large, 0, large / 2]), fractions(4), reduction='none')
    case('one class', some_logits(type, 3, 1), bits(3), 1, mask=[1, 0, 1], posWeight=[2.5], perRow=BCE_ROWS)
    for reduction in ('mean', 'none'):
        rest = {'reduction': reduction, 'metrics': True, 'perRow': BCE_ROWS}
        case(f'all masked, {reduction}', some_logits(type, 2, 4), bits(8), mask=[0] * 8, **rest)
    case('all ignored, zero', some_logits(type, 2, 4), index(-100, -100), whenEmpty='zero')
    case('all masked, normalizer all', some_logits(type, 2, 4), bits(8), mask=[0, 0], normalizer='all')


def special_linear_cases(type):
    """klDiv and nllLoss."""

    add_kl, _ = adder('klDiv', type, some_log_probs, special=True)
    add_nll, _ = adder('nllLoss', type, some_log_probs, special=True)

    def kl(name, logits, targets, classes=4, **options):
        add_kl(name, targets, classes=classes, logits=logits, **options)

    def nll(name, logits, targets, classes=4, **options):
        add_nll(name, targets, classes=classes, logits=logits, **options)

    holes = changed(some_log_probs(type, 2, 4), 4, {(0, 1): -INF, (1, 0): -INF})
    apart = {'type': 'float32', 'values': [0.5, 0, 0.25, 0.25, 0, 0.5, 0.5, 0]}
    kl('-Infinity where the target is 0', holes, apart)
    kl('-Infinity where the target is not', holes, {'type': 'float32', 'values': [0.25] * 8}, reduction='none')
    logs = {'type': 'float32', 'values': [-1, -INF, -0.5, -2, -INF, -0.75, -INF, -1.5]}
    kl('logTarget, -Infinity', holes, logs, logTarget=True)
    kl(
        'NaN and Infinity where the target is 0',
        changed(holes, 4, {(0, 1): NAN, (1, 0): INF}),
        apart,
        reduction='none',
    )
    hidden = changed(holes, 4, {(1, ...): NAN})
    kl('a masked row of NaN', hidden, apart, mask=[1, 0], perRow=['loss'])
    unusual = {'type': 'float32', 'values': [0, 0, 0, 0, 1, 2, 0.5, 0]}
    kl('rows that do not add up to 1', some_log_probs(type, 2, 4), unusual, reduction='batchmean', perRow=['loss'])
    kl('one class', some_logits(type, 3, 1), {'type': 'float32', 'values': [1, 0.5, 0]}, 1)
    for reduction in ('mean', 'batchmean', 'none'):
        kl(f'all masked, {reduction}', some_log_probs(type, 2, 4), soft(2, 4), mask=[0, 0], reduction=reduction)
    kl('all masked, zero', some_log_probs(type, 2, 4), soft(2, 4), mask=[0, 0], whenEmpty='zero')
    kl('all masked, normalizer 4', some_log_probs(type, 2, 4), soft(2, 4), mask=[0, 0], normalizer=4)

    nll('-Infinity and NaN beside the target', changed(holes, 4, {(1, 3): NAN}), index(2, 1))
    nll('-Infinity at a target', holes, index(1, 2), reduction='none')
    nll(
        'NaN at a target, smoothing',
        changed(holes, 4, {(0, 1): NAN}),
        index(1, 2),
        labelSmoothing=0.1,
        reduction='none',
    )
    smoothing = {'epsilon': 0.1, 'exclude': [0, 1]}
    nll('-Infinity excluded, kl', holes, mixed([2, 3], [3, 1], 0.5), labelSmoothing=smoothing, form='kl')
    nll('-Infinity where the weight is 0', holes, index(1, 3), weight=[0, 0, 2, 1], labelSmoothing=0.1)
    nll(
        'an ignored row of NaN',
        hidden,
        index(0, -100),
        labelSmoothing={'epsilon': 0.1, 'exclude': 1},
        perRow=NLL_ROWS,
    )
    nll('one class', some_logits(type, 3, 1), index(0, 0, 0), 1, labelSmoothing=0.1, metrics=True)
    for reduction in ('mean', 'none'):
        rest = {'reduction': reduction, 'metrics': True, 'perRow': NLL_ROWS}
        nll(f'all ignored, {reduction}', some_log_probs(type, 2, 4), index(-100, -100), **rest)
    nll('all masked, zero', some_log_probs(type, 2, 4), mixed([0, 9], [1, 2], 0.5), mask=[0, 0], whenEmpty='zero')


def family():
    for type in TYPES:
        cross_entropy_cases(type)
        bce_cases(type)
        kl_div_cases(type)
        nll_cases(type)
        special_cross_entropy_cases(type)
        special_bce_cases(type)
        special_linear_cases(type)
    smooth_labels_cases()


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
    version = torch.__version__.split('+')[0]
    document = {'torch': version, 'pytorchFloat32Error': float32_error(), 'cases': cases}
    write(CROSS_ENTROPY_OUTPUT, document)
    for result in document['pytorchFloat32Error']['results']:
        print(result)

    warnings.filterwarnings(
        'ignore', message="reduction: 'mean' divides the total loss"
    )  # F.kl_div's, about 'mean'
    family()
    write(FAMILY_OUTPUT, {'torch': version, 'cases': family_cases}, compact=True)


if __name__ == '__main__':
    if sys.argv[1:] == ['--float32-error']:
        print(json.dumps(float32_error_here()))
    else:
        main()
