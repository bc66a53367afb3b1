"""Planted faults: single-line changes of our engine's rules, and functions of PyTorch whose derivative is altered.

``python -m tests.fuzzing.faults NUMBER ...`` plants one fault each in a process of its own, and prints whether random
programs show it. The programs are those of seed 0 that hold the operation; the others cannot.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import itertools
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
RULES = "autodiff_compare.backends.numpy_autodiff.rules"
#: Programs with the operation that are tried on each fault.
TRIED = 60


@dataclass(frozen=True)
class Line:
    """A change of one line of the engine: the module of the rules, the text before and after, the operation."""

    module: str
    before: str
    after: str
    operation: str


@dataclass(frozen=True)
class Altered:
    """A function of PyTorch whose value is right and whose derivative is altered in one of `WAYS`."""

    operation: str
    way: str


Fault = Line | Altered

FAULTS: tuple[Fault, ...] = (
    # Wrong signs.
    Line(
        "elementwise",
        "np.sin: elementwise(np.sin, lambda ans, x: np.cos(x))",
        "np.sin: elementwise(np.sin, lambda ans, x: -np.cos(x))",
        "sin",
    ),
    Line("elementwise", "lambda ans, x: -np.sin(x)", "lambda ans, x: np.sin(x)", "cos"),
    Line("elementwise", "np.cosh, lambda ans, x: np.sinh(x)", "np.cosh, lambda ans, x: -np.sinh(x)", "cosh"),
    Line("elementwise", "return -g * over(over(y, h), h)", "return g * over(over(y, h), h)", "atan2"),
    Line("linalg", "return -_solve_columns(a, moved, b)", "return _solve_columns(a, moved, b)", "solve"),
    # Lost or wrong terms and factors.
    Line("elementwise", "np.tan, lambda ans, x: 1 + ans * ans", "np.tan, lambda ans, x: 1 - ans * ans", "tan"),
    Line(
        "elementwise",
        "np.arctan, lambda g, ans, x: g / BEYOND(x)",
        "np.arctan, lambda g, ans, x: g * BEYOND(x)",
        "atan",
    ),
    Line(
        "elementwise", "lambda g, ans, x: over(g, np.sqrt(WITHIN(x)))", "lambda g, ans, x: over(g, WITHIN(x))", "asin"
    ),
    Line(
        "elementwise", "lambda g, ans, x: -over(g, np.sqrt(WITHIN(x)))", "lambda g, ans, x: -over(g, WITHIN(x))", "acos"
    ),
    Line("elementwise", "np.sinh, lambda ans, x: np.cosh(x)", "np.sinh, lambda ans, x: ans", "sinh"),
    Line("elementwise", "np.expm1, lambda ans, x: np.exp(x)", "np.expm1, lambda ans, x: ans", "expm1"),
    Line("elementwise", "over(g, 1 + x), steep", "over(g, x), steep", "log1p"),
    Line("elementwise", "_inverse(1 / math.log(2))", "_inverse(math.log(2))", "log2"),
    Line("elementwise", "_inverse(1 / math.log(10))", "_inverse(1 / math.log(2))", "log10"),
    Line("elementwise", "np.square, lambda ans, x: 2 * x", "np.square, lambda ans, x: x", "square"),
    Line("elementwise", "-over(over(g, x), x), steep", "-over(g, x), steep", "reciprocal"),
    Line("elementwise", "return 0.5 * over(g, ans)", "return over(g, ans)", "sqrt"),
    Line("elementwise", "np.hypot(x, 1.0))", "np.hypot(x, 2.0))", "asinh"),
    Line("elementwise", "np.sqrt(x - 1) * np.sqrt(x + 1)", "np.sqrt(x - 1)", "acosh"),
    Line("elementwise", "over(g, WITHIN(x)), steep", "over(g, np.sqrt(WITHIN(x))), steep", "atanh"),
    Line("elementwise", "return over(-g * ans, y)", "return over(-g, y)", "divide"),
    Line(
        "elementwise",
        "lambda g, ans, x, y: _hypot_slope(g, ans, y)",
        "lambda g, ans, x, y: _hypot_slope(g, ans, x)",
        "hypot",
    ),
    Line("elementwise", "-g * np.floor_divide(x, y)", "-g * np.trunc(x / y)", "remainder"),
    Line(
        "elementwise",
        "SHARE(x, y), lambda ans, x, y: SHARE(y, x)",
        "SHARE(x, y), lambda ans, x, y: SHARE(x, y)",
        "logaddexp",
    ),
    Line(
        "elementwise",
        "lambda g, ans, x, low, high: np.where(_inside(x, low, high), g, 0)",
        "lambda g, ans, x, low, high: g",
        "clip",
    ),
    Line("reductions", "expand(_per(g, count) if count else g, x", "expand(g, x", "mean"),
    Line(
        "linalg",
        "total[..., None, None] * _t(np.linalg.inv(a))",
        "total[..., None, None] * np.linalg.inv(a)",
        "slogdet",
    ),
    # Right forwards and wrong in reverse, or the other way round.
    Line("elementwise", "else t * np.sign(x)", "else t", "abs"),
    Line(
        "elementwise",
        "(None, lambda g, ans, c, x, y: np.where(c, g, 0), lambda g, ans, c, x, y: np.where(c, 0, g))",
        "(None, lambda g, ans, c, x, y: np.where(c, g, 0), lambda g, ans, c, x, y: np.where(c, g, 0))",
        "where",
    ),
    Line("arithmetic", "else g * a * 2.0", "else g * a", "multiply"),
    Line("arithmetic", "d *= float(n)", "d *= 2.0", "power"),
    Line(
        "reductions",
        "return expand(g, x, axis, keepdims) * EXCLUSIVE(x, axis=axis)",
        "return expand(g, x, axis, keepdims) * x",
        "prod",
    ),
    Line("linalg", "-(_t(ans) @ g @ _t(ans))", "-(ans @ g @ ans)", "inv"),
    Line(
        "linalg",
        "(_solve_vjp_a, lambda g, ans, a, b: _solve_columns(_t(a), g, b))",
        "(_solve_vjp_a, lambda g, ans, a, b: _solve_columns(a, g, b))",
        "solve",
    ),
    # Wrong axes, places and shapes.
    Line(
        "reductions",
        "return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)",
        "return np.cumsum(g, axis=axis)",
        "cumulative_sum",
    ),
    Line("shapes", "FLIP(g, axis))", "FLIP(g))", "flip"),
    Line("shapes", "ROLL(g, _opposite(shift), axis)", "ROLL(g, shift, axis)", "roll"),
    Line("shapes", "lambda g, ans, x, k=0: TRIL(g, k)", "lambda g, ans, x, k=0: TRIL(g)", "tril"),
    Line("joining", "span = slice(start, stop)", "span = slice(0, stop - start)", "concat"),
    # Wrong at ties.
    Line("elementwise", "np.where(tied, 0.5, wins)", "np.where(tied, 1.0, wins)", "maximum"),
    Line(
        "extremes",
        "return hit.astype(x.dtype) * (1 / np.sum(hit, axis=axis, keepdims=True)).astype(x.dtype)",
        "return hit.astype(x.dtype)",
        "max",
    ),
    # PyTorch: the sign, a factor, digits, a path that is cut, the second order, one mode, a broadcast, an axis.
    Altered("exp", "sign"),
    Altered("cumulative_prod", "sign"),
    Altered("tanh", "factor"),
    Altered("linalg.det", "factor"),
    Altered("std", "factor"),
    Altered("log", "slightly"),
    Altered("linalg.cholesky", "slightly"),
    Altered("sin", "single precision"),
    Altered("cosh", "single precision"),
    Altered("sum", "single precision"),
    Altered("linalg.inv", "single precision"),
    Altered("maximum", "first operand detached"),
    Altered("matmul", "first operand detached"),
    Altered("hypot", "first operand detached"),
    Altered("sqrt", "second order lost"),
    Altered("asinh", "second order lost"),
    Altered("reciprocal", "wrong in reverse"),
    Altered("atan", "wrong in reverse"),
    Altered("tile", "broadcast lost"),
)


# ---- faults of PyTorch


def _shifted(true: Any, by: Any) -> Any:
    """Return the value of ``true`` with the derivative of ``true + by``."""
    return true + (by - by.detach())


def _sign(torch: Any, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    true = f(*args, **kwargs)
    return _shifted(true, -2 * true)


def _factor(torch: Any, f: Callable[..., Any], *args: Any, by: float = 0.1, **kwargs: Any) -> Any:
    true = f(*args, **kwargs)
    return _shifted(true, by * true)


def _single(torch: Any, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    narrow = [a.to(torch.float32) if isinstance(a, torch.Tensor) else a for a in args]
    true = f(*args, **kwargs)
    return _shifted(true.detach(), f(*narrow, **kwargs).to(true.dtype))


def _detached(torch: Any, f: Callable[..., Any], first: Any, *args: Any, **kwargs: Any) -> Any:
    return f(first.detach(), *args, **kwargs)


def _custom(torch: Any, f: Callable[..., Any], x: Any, *, forward: float, reverse: float) -> Any:
    """Return ``f(x)`` with the slope as a constant, times a factor in each mode."""

    class Custom(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            with torch.enable_grad():
                leaf = a.detach().requires_grad_()
                ctx.slope = torch.autograd.grad(f(leaf).sum(), leaf)[0]
            return f(a)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.slope * reverse

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return t * ctx.slope * forward

    return Custom.apply(x)


def _broadcast(torch: Any, f: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """Divide the derivative by the number of copies, as a rule does that takes one copy for all."""
    true = f(x, *args, **kwargs)
    copies = true.numel() / max(x.numel(), 1)
    return _shifted(true.detach(), true / copies)


WAYS: dict[str, Callable[..., Any]] = {
    "sign": _sign,
    "factor": _factor,
    "slightly": functools.partial(_factor, by=1e-3),
    "single precision": _single,
    "first operand detached": _detached,
    "second order lost": functools.partial(_custom, forward=1.0, reverse=1.0),
    "wrong in reverse": functools.partial(_custom, forward=1.0, reverse=-1.0),
    "broadcast lost": _broadcast,
}


class Namespace:
    """A namespace with one function replaced; ``linalg.inv`` names one of a part."""

    def __init__(self, xp: Any, name: str, function: Callable[..., Any]) -> None:
        self._xp = xp
        part, _, rest = name.rpartition(".")
        self._own = {part: Namespace(getattr(xp, part), rest, function)} if part else {rest: function}

    def __getattr__(self, name: str) -> Any:
        return self._own[name] if name in self._own else getattr(self._xp, name)


# ---- faults of the engine


class _Hook(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import one module from a changed source."""

    def __init__(self, module: str, path: pathlib.Path, source: str) -> None:
        self.module, self.path, self.source = module, path, source

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self)
            if fullname == self.module
            else None
        )

    def get_source(self, fullname: str) -> str:
        return self.source

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def changed_source(fault: Line) -> tuple[pathlib.Path, str]:
    """Return the file of a fault and its source with the change, whose text must occur once."""
    path = ROOT / "backends" / "numpy_autodiff" / "rules" / f"{fault.module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(fault.before) == 1, f"{fault.before!r} occurs {source.count(fault.before)} times in {path}"
    return path, source.replace(fault.before, fault.after)


def planted(fault: Fault) -> Any:
    """Return an opened backend with the fault; nothing of the engine may be imported before."""
    if isinstance(fault, Line):
        sys.meta_path.insert(0, _Hook(f"{RULES}.{fault.module}", *changed_source(fault)))
    from autodiff_compare import backends

    backend = backends.load("numpy" if isinstance(fault, Line) else "torch")
    backend.open()
    if isinstance(fault, Altered):
        import torch

        part, _, name = fault.operation.rpartition(".")
        original = getattr(getattr(backend.xp, part) if part else backend.xp, name)
        backend.xp = Namespace(backend.xp, fault.operation, functools.partial(WAYS[fault.way], torch, original))
    return backend


def shows(fault: Fault, tried: int = TRIED) -> str:
    """Plant a fault, and return the first finding that random programs make of it; empty if they make none."""
    backend = planted(fault)
    from autodiff_compare.fuzzing.campaign import SCALAR, VECTOR
    from autodiff_compare.fuzzing.executors import InProcess
    from autodiff_compare.fuzzing.generator import Recipe, programs
    from autodiff_compare.fuzzing.oracle import FINDINGS, Oracle

    executor = InProcess(backend)
    operation = fault.operation.rpartition(".")[2]
    holding = ((n, p) for n, p in programs(0, Recipe()) if operation in p.operations)
    for number, program in itertools.islice(holding, tried):
        operators = SCALAR if program.value.ndim == 0 else VECTOR
        (outcomes,) = executor([(program.source(), tuple(map(str, operators)))], "float64")
        oracle = Oracle(program, "float64")
        for operator, outcome in zip(operators, outcomes, strict=True):
            judgement = oracle.judgement(operator, outcome)
            if judgement.classed in FINDINGS:
                return f"program {number}, {operator}: {judgement.classed}: {judgement.words}"
    return ""


def main() -> None:
    for number in map(int, sys.argv[1:]):
        start = time.process_time()
        found = shows(FAULTS[number])
        print(f"{number}\t{time.process_time() - start:.1f} s\t{found or 'MISSED'}\t{FAULTS[number]}", flush=True)


if __name__ == "__main__":
    main()
