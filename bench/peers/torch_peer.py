"""PyTorch: F.cross_entropy and its backward, eager or compiled."""

import shutil
import sys

from protocol import Missing, serve


def start(threads):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    compiled = sys.argv[1] == "compile"
    if compiled and not any(map(shutil.which, ("g++", "c++", "clang++", "cl"))):
        raise Missing("no C++ compiler for torch.compile")

    def cross_entropy(x, y):
        return F.cross_entropy(x, y, label_smoothing=0.1)

    def prepare(logits, targets):
        x = torch.from_numpy(logits).requires_grad_()
        y = torch.from_numpy(targets).long()
        function = cross_entropy
        if compiled:
            torch._dynamo.reset()  # one shape after the other, none taken as dynamic
            function = torch.compile(cross_entropy, dynamic=False)
        loss = None

        def run():
            nonlocal loss
            x.grad = None
            value = function(x, y)
            value.backward()
            loss = value.item()

        return run, lambda: (loss, x.grad)

    if compiled:
        import numpy as np

        try:
            prepare(np.zeros((2, 3), np.float32), np.zeros(2, np.int32))[0]()
        except Exception as error:
            raise Missing(f"torch.compile fails: {error}".splitlines()[0]) from error
    # Sums of C terms, and with them its errors, depend on the width of its vectors.
    return f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})", prepare


serve(start)
