"""Kernels as callables: machine code by `numba`, kept on disk, or plain Python for tests."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import os
import pathlib
import sys
import tempfile
import types
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.loops import pointwise

Kernel = Callable[..., Any]
#: Makes a kernel from its source, its name, and the types of its parameters and results as numba writes them.
Build = Callable[[str, str, Sequence[str], Sequence[str]], Kernel]


def python(text: str, name: str, parameters: Sequence[str], results: Sequence[str]) -> Kernel:  # noqa: ARG001
    """Return a kernel as a plain Python function."""
    scope: dict[str, Any] = {"np": np, **pointwise.CALLED}
    exec(compile(text, f"<{name}>", "exec"), scope)

    def run(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return scope[name](*args)

    return run


def compiled(text: str, name: str, parameters: Sequence[str], results: Sequence[str]) -> Kernel:
    """Compile a kernel for this process alone."""
    scope = {"kernel": _intrinsic(text, parameters, results)}
    exec(compile(_call(text, name), f"<{name}>", "exec"), scope)
    return _entry(scope[name], parameters, cache=False)


def cached(text: str, name: str, parameters: Sequence[str], results: Sequence[str]) -> Kernel:
    """Compile a kernel, or load its machine code from the user's cache folder.

    The key is a digest of its source, of what translates it, and of the versions of Python, NumPy and numba. Numba adds
    the processor to it.
    """
    numba = importlib.import_module("numba")
    own = b"".join(p.read_bytes() for p in sorted(pathlib.Path(__file__).parent.glob("*.py")))
    told = f"{text}{parameters}{results}{sys.version}{np.__version__}{numba.__version__}"
    key = hashlib.blake2b(told.encode() + own, digest_size=16).hexdigest()
    call = "".join(f"# {line}\n" for line in text.splitlines()) + _call(text, name)
    try:
        path = _written(cache_folder() / f"loops_{key}.py", call)
    except OSError:
        return compiled(text, name, parameters, results)
    # Numba finds machine code by the file of a function, and asks for its module by name when it loads it.
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    vars(module)["kernel"] = _intrinsic(text, parameters, results)
    sys.modules[path.stem] = module
    exec(compile(call, str(path), "exec"), vars(module))
    try:
        return _entry(vars(module)[name], parameters, cache=True)
    except Exception:
        # The disk is full, or a file was cut short when the machine stopped: numba would fail on it for ever.
        _forget(path)
        return compiled(text, name, parameters, results)


def _forget(path: pathlib.Path) -> None:
    """Remove the machine code of a source, so that the next process writes it anew: the index before what it names."""
    with contextlib.suppress(OSError):
        for end in ("nbi", "nbc"):
            for file in (path.parent / "__pycache__").glob(f"{path.stem}.*.{end}"):
                file.unlink(missing_ok=True)


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


def _parameters(text: str) -> str:
    (definition,) = ast.parse(text).body
    assert isinstance(definition, ast.FunctionDef)
    return ", ".join(a.arg for a in definition.args.args)


def _call(text: str, name: str) -> str:
    """Return the source of the function that numba compiles: one call of the kernel."""
    names = _parameters(text)
    return f"def {name}({names}):\n    return kernel({names})\n"


def _intrinsic(text: str, parameters: Sequence[str], results: Sequence[str]) -> Any:
    """Return a kernel as a function that numba knows the instructions of."""
    numba = importlib.import_module("numba")
    extending = importlib.import_module("numba.extending")
    machine = importlib.import_module("autodiff_compare.backends.numpy_autodiff.loops.machine")
    kinds = [getattr(numba.types, kind) for kind in results]
    result = numba.types.none if not kinds else kinds[0] if len(kinds) == 1 else numba.types.Tuple(kinds)
    scope = {"result": result, "generate": machine.code(text, parameters, results)}
    names = _parameters(text)
    exec(f"def kernel(typing, {names}):\n    return result({names}), generate\n", scope)
    return extending.intrinsic(scope["kernel"])


def _entry(function: Kernel, parameters: Sequence[str], *, cache: bool) -> Kernel:
    """Compile a function for one list of types, and return its entry without the search for types at each call."""
    numba = importlib.import_module("numba")
    made = numba.njit(f"({''.join(f'{kind}, ' for kind in parameters)})", error_model="numpy", cache=cache)(function)
    (found,) = made.overloads.values()
    entry: Kernel = found.entry_point
    return entry


#: How a kernel is made -> what makes it.
BUILDERS: Mapping[str, Build] = MappingProxyType({"cached": cached, "compiled": compiled, "python": python})
