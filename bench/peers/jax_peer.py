"""JAX: value_and_grad of the loss written with one logsumexp and no one-hot rows, jitted."""

import os

from protocol import serve


def start(threads):
    # XLA sizes its thread pool by the CPUs that the process may use when it starts.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp

    def loss(x, y):
        lse = jax.nn.logsumexp(x, axis=1)
        target = jnp.take_along_axis(x, y[:, None], axis=1)[:, 0]
        return jnp.mean(lse - 0.9 * target - 0.1 * jnp.mean(x, axis=1))

    both = jax.jit(jax.value_and_grad(loss))

    def prepare(logits, targets):
        x, y = jnp.asarray(logits), jnp.asarray(targets)
        last = None

        def run():
            nonlocal last
            last = jax.block_until_ready(both(x, y))

        return run, lambda: last

    return jax.__version__, prepare


serve(start)
