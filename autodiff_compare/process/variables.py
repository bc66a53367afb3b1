"""The environment variables of a worker: a short list of the caller's, and those that a run sets itself.

The environment is part of a measurement. With glibc's ``MALLOC_TRIM_THRESHOLD_=65536``, which dask sets, NumPy takes
twelve times the processor time for arrays over 128 KiB; ``JAX_DISABLE_JIT=1`` turns every compiled cell into an error.
A worker therefore inherits nothing by default. It gets:

1. the caller's variables in `_KEPT`, which say where things are and cannot change a number;
2. the caller's variables in `_RECORDED`: library paths and devices, which can, and are recorded;
3. what a run sets itself: threads, hash seed, TensorFlow's switches;
4. what the user passes on by name (``--env NAME[=VALUE]``), which is recorded, and goes before all others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from autodiff_compare.process.environment import ROOT, cpuinfo, memory_bytes


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Variables that say where things are, and how texts are shown. Proxies may hold passwords, so none is recorded.
_KEPT = _names(
    "PATH HOME USER LOGNAME SHELL TMPDIR TMP TEMP TZ TERM LANG LANGUAGE CONDA_PREFIX "
    "HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE "
    "CURL_CA_BUNDLE SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT PROGRAMDATA PROGRAMFILES APPDATA LOCALAPPDATA "
    "USERPROFILE HOMEDRIVE HOMEPATH"
)
_KEPT_BEGINNINGS = ("LC_", "XDG_")
#: Paths of libraries and modules, and the choice of a device: passed on, recorded and compared.
_RECORDED = _names(
    "PYTHONPATH LD_LIBRARY_PATH DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH CUDA_VISIBLE_DEVICES "
    "CUDA_DEVICE_ORDER CUDA_HOME CUDA_PATH NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES ROCM_PATH "
    "HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES"
)
#: Old builds of OpenBLAS compute wrong results or crash on some processors without it; other environments have those.
_FOR_OTHER_PYTHONS = frozenset({"OPENBLAS_CORETYPE"})
#: Beginnings of the names that allocators, threading libraries and frameworks read.
_INFLUENTIAL = tuple(
    _names(
        "MALLOC_ GLIBC_TUNABLES LD_PRELOAD LD_BIND_ LD_AUDIT DYLD_INSERT TCMALLOC JEMALLOC MIMALLOC OMP_ GOMP_ KMP_ "
        "MKL_ OPENBLAS_ GOTO_ BLIS_ VECLIB_ NUMEXPR_ NPY_ NUMPY_ DNNL_ ONEDNN_ XLA_ JAX_ PJRT_ TF_ TORCH PYTORCH_ "
        "ATEN_ NUMBA_ TBB_ KERAS_ CUDA_ CUBLAS_ CUDNN_ NCCL_ NVIDIA_ HIP_ ROCR_ AUTOGRAPH_ PYTHON"
    )
)
#: Names of these kinds that change neither results nor times. TF_CLI_CONFIG_FILE belongs to Terraform.
_HARMLESS = _names(
    "PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONSAFEPATH PYTHONHASHSEED PYTHONIOENCODING PYTHONUTF8 "
    "PYTHONSTARTUP PYTHONBREAKPOINT TF_CLI_CONFIG_FILE"
)
#: Variables that point into the Python environment of this process.
_OF_THIS_PYTHON = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH", "CONDA_PREFIX"})

#: Flags of a processor for which TensorFlow uses oneDNN unless told otherwise. Source: ``DefaultOneDnnPolicy`` in
#: tensorflow/core/util/port.cc; the wheel of 2.21 tests these six and, on ARM, for a Neoverse V1.
_ONEDNN_FLAGS = frozenset({"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"})
_NEOVERSE_V1 = ("0x41", "0xd40")


def worker_environment(
    threads: int,
    given: Mapping[str, str] | None = None,
    *,
    caller: Mapping[str, str] | None = None,
    other_python: bool = False,
) -> dict[str, str]:
    """Return the environment variables of a worker; some libraries read them only when the process starts.

    Parameters
    ----------
    threads
        Threads that each library may use.
    given
        Variables that the user passes on: name -> value.
    caller
        Variables of the caller; by default those of this process.
    other_python
        Whether the worker runs under the Python of another environment, which must not find this one's packages.
    """
    caller, given = os.environ if caller is None else caller, given or {}
    kept = {name: value for name, value in caller.items() if name.upper() in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
    told = {**kept, **recorded_variables(caller=caller, other_python=other_python), **_settings(threads), **given}
    if other_python:
        return {name: value for name, value in told.items() if name not in _OF_THIS_PYTHON or name in given}
    told["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), told.get("PYTHONPATH", "")]))
    return told


def recorded_variables(
    given: Mapping[str, str] | None = None, *, caller: Mapping[str, str] | None = None, other_python: bool = False
) -> dict[str, str]:
    """Return the variables of the caller that reach workers and can change a number, sorted by name.

    Parameters
    ----------
    given, caller
        As in `worker_environment`.
    other_python
        Whether a worker runs under the Python of another environment.
    """
    caller = os.environ if caller is None else caller
    names = _RECORDED | (_FOR_OTHER_PYTHONS if other_python else frozenset())
    found = {name: value for name, value in caller.items() if name in names and value} | dict(given or {})
    return dict(sorted(found.items()))


def withheld_variables(given: Iterable[str] = (), *, caller: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the caller's variables that could change a number and do not reach a worker, sorted."""
    passed = _RECORDED | _HARMLESS | set(given)
    names = os.environ if caller is None else caller
    return sorted(name for name in names if name.startswith(_INFLUENTIAL) and name not in passed)


def influential_variables(caller: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of this process that can change a number, for functions that are computed in it."""
    caller = os.environ if caller is None else caller
    return recorded_variables({name: caller[name] for name in withheld_variables(caller=caller)}, caller=caller)


def onednn_by_default(text: str) -> bool:
    """Return whether TensorFlow uses oneDNN unless told otherwise, from the text of ``/proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    model = (fields.get("CPU implementer"), fields.get("CPU part"))
    return bool(_ONEDNN_FLAGS & set(fields.get("flags", "").split())) or model == _NEOVERSE_V1


def onednn_stated(given: Mapping[str, str] | None = None) -> str:
    """Return ``on`` or ``off``: whether workers are told to use oneDNN."""
    return "on" if worker_environment(1, given)["TF_ENABLE_ONEDNN_OPTS"].lower() in ("1", "true") else "off"


def _settings(threads: int) -> dict[str, str]:
    """Return the variables that a run sets itself."""
    per_library = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        # XLA's CPU client sizes its pool by these and ignores the usual XLA_FLAGS recipe.
        "PJRT_NPROC",
        "NPROC",
    )
    fixed = {"TF_NUM_INTEROP_THREADS": "1", "PYTHONHASHSEED": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**_tensorflow_switches(), **dict.fromkeys(per_library, str(threads)), **fixed}


def _tensorflow_switches() -> dict[str, str]:
    """Return the settings that TensorFlow would else choose by the processor.

    oneDNN changes kernels and rounding: the value is what TensorFlow chooses itself, but stated, so that it can be
    recorded. With oneDNN comes an allocator that keeps and counts large blocks only (a gradient for which BFC counts
    12 kB counts as 0), without it one that does neither; BFC keeps and counts all, everywhere. It changes no bit of a
    result (53 cells compared). Small cells take 0.97 to 1.01 of the time (traced and XLA, fastest of 15 to 25 paired
    rounds, with and without oneDNN; the times of eager ones scattered too widely to say more). XLA's gradient of the
    large neural network, which allocates 67 MB in a call, takes 0.52 of the time that it takes without either
    allocator, where each call waits for fresh pages.
    """
    # Without a limit of its own BFC refuses what goes beyond 64 GB, also where the machine has more.
    limit = max(memory_bytes() or 0, 64 << 30) >> 20
    return {
        "TF_CPU_ALLOCATOR_USE_BFC": "1",
        "TF_CPU_BFC_MEM_LIMIT_IN_MB": str(limit),
        "TF_ENABLE_ONEDNN_OPTS": "1" if onednn_by_default(cpuinfo()) else "0",
    }
