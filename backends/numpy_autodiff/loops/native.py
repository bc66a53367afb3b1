"""Kernels as callables: machine code by `numba`, kept on disk, or plain Python for tests."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.loops import pointwise

Kernel = Callable[..., Any]


def python(text: str, name: str, types: str) -> Kernel:  # noqa: ARG001 - one signature for all builders
    """Return a kernel as a plain Python function."""
    scope: dict[str, Any] = {"np": np, **pointwise.CALLED}
    exec(compile(text, f"<{name}>", "exec"), scope)

    def run(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return scope[name](*args)

    return run


def compiled(text: str, name: str, types: str) -> Kernel:
    """Compile a kernel for this process alone."""
    scope: dict[str, Any] = {"np": np, **_called()}
    exec(compile(text, f"<{name}>", "exec"), scope)
    return _entry(scope[name], types, cache=False)


def cached(text: str, name: str, types: str) -> Kernel:
    """Compile a kernel, or load its machine code from the user's cache folder.

    The key is a digest of its source, of the functions that it calls, and of the versions of Python, NumPy and numba.
    Numba itself adds the processor.
    """
    import numba

    own = pathlib.Path(pointwise.__file__).read_bytes() + pathlib.Path(__file__).read_bytes()
    versions = f"{sys.version}{np.__version__}{numba.__version__}"
    key = hashlib.blake2b(f"{text}{types}{versions}".encode() + own, digest_size=16).hexdigest()
    try:
        path = _written(cache_folder() / f"loops_{key}.py", text)
    except OSError:
        return compiled(text, name, types)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(np=np, **_called())
    # No bytecode beside it: the folder holds sources and machine code.
    exec(compile(text, str(path), "exec"), vars(module))
    # Numba asks for the module by its name when it loads machine code.
    sys.modules[path.stem] = module
    return _entry(vars(module)[name], types, cache=True)


def cache_folder() -> pathlib.Path:
    """Return the folder of this user's machine code, made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "autodiff-compare" / "loops"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _written(path: pathlib.Path, text: str) -> pathlib.Path:
    """Write a source once: numba takes a new date for a new source."""
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    return path


def _entry(function: Kernel, types: str, *, cache: bool) -> Kernel:
    """Compile a function for one list of types, and return its entry without the search for types at each call."""
    import numba

    made = numba.njit(types, error_model="numpy", cache=cache)(function)
    (found,) = made.overloads.values()
    entry: Kernel = found.entry_point
    return entry


@functools.cache
def _called() -> Mapping[str, Any]:
    """Return the functions that kernels call, for numba."""
    from numba.extending import intrinsic, register_jitable

    called = {name: register_jitable(f) for name, f in pointwise.CALLED.items()}
    called["accumulate"] = intrinsic(_accumulate)
    called["greatest"] = intrinsic(functools.partial(_extreme, "maximum"))
    called["least"] = intrinsic(functools.partial(_extreme, "minimum"))
    return MappingProxyType(called)


def _accumulate(typing: Any, total: Any, x: Any) -> Any:  # noqa: ARG001
    """Add with leave to reassociate, for this addition alone, so that a loop of them can use vector registers."""
    if total != x:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.fadd(*args, flags=("reassoc",))

    return total(total, x), generate


def _extreme(name: str, typing: Any, most: Any, x: Any) -> Any:  # noqa: ARG001
    """Return LLVM's maximum or minimum, which passes nan on, and which a loop can use in vector registers."""
    from llvmlite import ir

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        kind = args[0].type
        function = builder.module.declare_intrinsic(f"llvm.{name}", [kind], ir.FunctionType(kind, [kind, kind]))
        return builder.call(function, args)

    return most(most, x), generate


#: How a kernel is made -> what makes it.
BUILDERS: Mapping[str, Callable[[str, str, str], Kernel]] = MappingProxyType(
    {"cached": cached, "compiled": compiled, "python": python}
)
