"""PyTorch: F.linear and F.cross_entropy, or F.linear_cross_entropy in chunks, and their backward."""

import sys

from protocol import serve


def start(threads):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)

    def eager(x, weight, y, epsilon):
        return F.cross_entropy(F.linear(x, weight), y, label_smoothing=epsilon)

    def chunked(x, weight, y, epsilon):
        options = torch.nn.LinearCrossEntropyOptions()
        return F.linear_cross_entropy(x, weight, y, label_smoothing=epsilon, options=options)

    function = {"eager": eager, "chunked": chunked}[sys.argv[1]]

    def prepare(values, weights, targets, epsilon, gradient):
        x = torch.from_numpy(values).requires_grad_(gradient)
        weight = torch.from_numpy(weights).requires_grad_(gradient)
        y = torch.from_numpy(targets).long()
        loss = None

        def run():
            nonlocal loss
            x.grad = weight.grad = None
            value = function(x, weight, y, epsilon)
            if gradient:
                value.backward()
            loss = value.item()

        return run, lambda: (loss, x.grad, weight.grad) if gradient else (loss,)

    return f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})", prepare


serve(start)
