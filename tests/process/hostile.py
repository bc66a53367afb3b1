"""Environment variables of a caller that change what libraries compute or how long it takes, and a trial of each.

    python -m tests.process.hostile [NAME ...]

runs ``check`` under each variable and times a gradient in a worker that is started under it, in turn with one that is
not. It prints a table: whether the verdicts are the same, whether the worker's environment is, whether the variable is
named, and the processor time of a call as a ratio. It takes some seconds a variable.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from autodiff_compare.process.client import WorkerClient
from autodiff_compare.process.environment import ROOT
from autodiff_compare.process.variables import recorded_variables, withheld_variables, worker_environment

#: Variable -> a value that does harm. Sources: the manuals of glibc, GCC's and LLVM's OpenMP, MKL, OpenBLAS, oneDNN,
#: XLA, JAX, TensorFlow, PyTorch, NumPy and CPython.
HOSTILE: Mapping[str, str] = {
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_MMAP_THRESHOLD_": "4096",
    "MALLOC_TOP_PAD_": "0",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_PERTURB_": "85",
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4096",
    "LD_PRELOAD": "/nowhere/lib.so",
    "LD_AUDIT": "/nowhere/audit.so",
    "LD_BIND_NOW": "1",
    "OMP_NUM_THREADS": "8",
    "OMP_PROC_BIND": "true",
    "OMP_SCHEDULE": "dynamic,1",
    "OMP_WAIT_POLICY": "active",
    "GOMP_CPU_AFFINITY": "0",
    "GOMP_SPINCOUNT": "infinite",
    "KMP_AFFINITY": "compact",
    "KMP_BLOCKTIME": "infinite",
    "KMP_DUPLICATE_LIB_OK": "TRUE",
    "MKL_NUM_THREADS": "8",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DEBUG_CPU_TYPE": "5",
    "OPENBLAS_NUM_THREADS": "8",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENBLAS_L2_SIZE": "65536",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 FMA3",
    "NPY_PROMOTION_STATE": "legacy",
    "NUMEXPR_NUM_THREADS": "8",
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_CPU_NAME": "generic",
    "TBB_NUM_THREADS": "8",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "DNNL_VERBOSE": "2",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "JAX_DISABLE_JIT": "1",
    "JAX_ENABLE_X64": "0",
    "JAX_DEBUG_NANS": "1",
    "JAX_PLATFORMS": "tpu",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "PJRT_NPROC": "8",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "TF_NUM_INTRAOP_THREADS": "8",
    "TF_DETERMINISTIC_OPS": "1",
    "TORCH_LOGS": "+dynamo",
    "TORCHDYNAMO_DISABLE": "1",
    "TORCHINDUCTOR_CACHE_DIR": "/nowhere",
    "PYTORCH_JIT": "0",
    "ATEN_CPU_CAPABILITY": "default",
    "PYTHONHASHSEED": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONMALLOC": "debug",
    "PYTHONDEVMODE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONTRACEMALLOC": "10",
    "PYTHONPROFILEIMPORTTIME": "1",
}
#: Variables that reach workers because libraries and modules are found by them: they are named.
PASSED_ON: Mapping[str, str] = {
    "LD_LIBRARY_PATH": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "CUDA_VISIBLE_DEVICES": "",
}

#: 200 000 numbers: temporary arrays beyond the allocator's first threshold, where its settings cost most.
OBJECTIVE = """
import numpy as np

x = np.linspace(-1.0, 1.0, 200_000)


def objective(x, xp):
    return xp.sum((2 * x + 1) ** 2 - x)
"""
_CALLS, _VISITS, _MORE = 4, 6, 30
#: Processor times that differ by no more than this are equal.
_WITHIN = 0.1


def named(caller: Mapping[str, str]) -> set[str]:
    """Return the variables of a caller that a run names: those that it withholds, and those that it records."""
    return {*withheld_variables(caller=caller), *recorded_variables(caller=caller)}


def checked(folder: pathlib.Path, environment: Mapping[str, str], *what: str) -> list[tuple[str, str, str]]:
    """Run ``check`` with further variables in the caller's environment; return cell, status and how it was verified."""
    out = ["--json", "--out", str(folder / "runs")]
    command = [sys.executable, "-m", "autodiff_compare", "check", *what, *out]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert rows, done.stderr
    return [(row["cell_id"], row["status"], row["reference"]) for row in rows]


@contextmanager
def worker(source: pathlib.Path, environment: Mapping[str, str]) -> Iterator[WorkerClient]:
    """Start a worker with further variables in this process, which holds the gradient of a file ready."""
    with mock.patch.dict(os.environ, environment):
        client = WorkerClient("numpy", 1)
    what = {"source": str(source), "problem": source.stem, "size": "small", "dtype": "float64", "seed": 0}
    try:
        client.request("open", 120.0)
        client.request("cell", 120.0, operator="gradient", **what)
        yield client
    finally:
        client.close()


def processor_seconds(client: WorkerClient) -> float:
    """Return the processor time of a visit (Linux)."""

    def spent() -> int:
        return int(pathlib.Path(f"/proc/{client._process.pid}/schedstat").read_text().split()[0])

    before = spent()
    client.request("visit", 120.0, calls=_CALLS)
    return (spent() - before) * 1e-9


def ratio(source: pathlib.Path, environment: Mapping[str, str]) -> float:
    """Return the processor time under some variables over that without: of the cheapest visits, made in turn.

    Neighbours in the caches make a visit dearer and never cheaper. More visits are made while the ratio is far from
    one: a difference that is due to the variable stays.
    """
    cheapest, visits = [float("inf")] * 2, 0
    with worker(source, environment) as hostile, worker(source, {}) as clean:
        while visits < _VISITS or (visits < _MORE and abs(cheapest[0] / cheapest[1] - 1) > _WITHIN):
            spent = [processor_seconds(client) for client in (hostile, clean)]
            cheapest, visits = [min(pair) for pair in zip(cheapest, spent, strict=True)], visits + 1
    return cheapest[0] / cheapest[1]


def main(names: list[str]) -> None:
    """Print the table of the variables, of all by default."""
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        source = folder / "mine.py"
        source.write_text(OBJECTIVE, encoding="utf-8")
        what = ("matyas", "-b", "numpy", "-o", "value", "-o", "gradient")
        clean = checked(folder, {}, *what)
        print("| variable | verdicts | environment of the worker | processor time |\n|---|---|---|---|")
        for name, value in (HOSTILE | PASSED_ON).items():
            if names and name not in names:
                continue
            verdicts = "the same" if checked(folder, {name: value}, *what) == clean else "OTHER"
            caller = {**os.environ, name: value}
            same = worker_environment(1, caller=caller) == worker_environment(1)
            reaches = ("the same" if same else "another") + (", named" if name in named(caller) else "")
            print(f"| `{name}={value}` | {verdicts} | {reaches} | {ratio(source, {name: value}):.3f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
