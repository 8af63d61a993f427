"""The process of a peer that is written in Python. See process.mjs and worker.mjs, whose requests these are."""

import json
import math
import os
import sys
import time

import numpy as np


class Missing(Exception):
    """The peer cannot run here."""


def timed(run, repeats):
    """Nanoseconds a call."""
    start = time.perf_counter_ns()
    for _ in range(repeats):
        run()
    return (time.perf_counter_ns() - start) / repeats


def warm(run, ms):
    """Calls for so long, once at least; returns the nanoseconds of the fastest."""
    end = time.monotonic() + ms / 1e3
    once = timed(run, 1)
    while time.monotonic() < end:
        once = min(once, timed(run, 1))
    return once


def rest():
    """Waits until no thread keeps a CPU busy, as some do for a while after a call: it is the next peer's."""
    for _ in range(200):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.002:
            return


def serve(start):
    """start(threads) returns a version and prepare(arrays..., targets, options), which returns run() and result()."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # stdout is for answers, whatever a library prints
    prepare = run = result = None

    def answer(request, values):
        nonlocal prepare, run, result
        if request == "start":
            version, prepare = start(values["threads"])
            return {"version": version}
        if request == "prepare":
            run = result = None
            with open(values["file"], "rb") as file:
                sizes = values["arrays"].values()
                arrays = [np.fromfile(file, np.float32, math.prod(size)).reshape(size) for size in sizes]
                targets = np.fromfile(file, np.int32)
            run, result = prepare(*arrays, targets, **values["options"])
            return {}
        if request == "verify":
            ns = timed(run, 1)
            loss, *gradients = result()
            with open(values["file"], "ab") as file:
                for gradient in gradients:
                    np.asarray(gradient, np.float32).tofile(file)
            return {"loss": float(loss), "ns": ns}
        if request == "warm":
            return {"ns": warm(run, values["ms"])}
        if request == "sample":
            if values["warmMs"] > 0:
                warm(run, values["warmMs"])
            before = time.process_time_ns()
            ns = timed(run, values["repeats"])
            return {"ns": ns, "cpuNs": (time.process_time_ns() - before) / values["repeats"]}
        raise ValueError(f"request {request}")

    for line in sys.stdin:
        values = json.loads(line)
        try:
            reply = answer(values["request"], values)
        except (ImportError, Missing) as error:
            reply = {"missing": str(error)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        rest()
        print(json.dumps(reply), file=answers, flush=True)
