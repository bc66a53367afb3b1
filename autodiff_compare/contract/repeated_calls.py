"""Clauses about calls that are repeated, as a clock repeats them: each is complete, and the same as the first.

The clock takes thousands of calls of one prepared callable. Their time counts only if every one of them computes what
was judged: when `block` returns, from the arguments of the call, into memory of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autodiff_compare.backends import Unsupported
from autodiff_compare.contract.clause import Broken, Clause, close
from autodiff_compare.timing import suspicion
from autodiff_compare.timing.clock import Timed
from autodiff_compare.vocabulary import Operator

#: Calls after which a result must still be that of the first.
_CALLS = 120
#: Seconds that a result which is not complete has to arrive in.
_LATE_S = 0.05
#: Multiplications in a function whose computation takes longer than reading its result.
_LONG = 300


def _prepared(b: Any, f: Callable[..., Any], x: Any) -> Callable[..., Any]:
    """Return a prepared gradient, or the value where the backend derives its gradient."""
    native = b.native & {Operator.GRADIENT, Operator.VALUE}
    if not native:
        raise Unsupported("neither value nor gradient is native")
    operator = Operator.GRADIENT if Operator.GRADIENT in native else Operator.VALUE
    run: Callable[..., Any] = b.prepare(operator, f, [x], argnums=(0,))
    return run


def _arrays(b: Any, out: Any) -> list[Any]:
    return [np.asarray(b.to_numpy(leaf)) for leaf in (out if isinstance(out, tuple) else (out,))]


def _cubes(b: Any) -> Callable[[Any], Any]:
    """Return sum(x^3), whose gradient is 3 x^2."""
    return lambda x: b.xp.sum(x * x * x)


def _calls(b: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the argument and the result of each of `_CALLS` calls."""
    x = b.to_var(np.array([1.0, -2.0, 0.5]))
    run = _prepared(b, _cubes(b), x)
    for _ in range(_CALLS):
        yield x, b.block(run(x))


def _complete(b: Any) -> None:
    for _, out in zip(range(3), (out for _, out in _calls(b)), strict=False):
        at_once = [leaf.copy() for leaf in _arrays(b, out)]
        time.sleep(_LATE_S)
        for now, later in zip(at_once, _arrays(b, out), strict=True):
            if now.tobytes() != later.tobytes():
                raise Broken("got a result that changed after block had returned, expected a complete one")


def _same_each_time(b: Any) -> None:
    first: list[bytes] = []
    for number, (_, out) in enumerate(_calls(b), 1):
        bits = [leaf.tobytes() for leaf in _arrays(b, out)]
        first = first or bits
        if bits != first:
            raise Broken(f"got another result in call {number} than in the first, expected the same bits")


def _inputs_kept(b: Any) -> None:
    for number, (x, _) in enumerate(_calls(b), 1):
        if not np.array_equal(b.to_numpy(x), [1.0, -2.0, 0.5]):
            raise Broken(f"got inputs that call {number} changed, expected the numbers they were given")


def _own_memory(b: Any) -> None:
    one, two = (b.to_var(np.array(v)) for v in ([1.0, -2.0], [3.0, 4.0]))
    run = _prepared(b, _cubes(b), one)
    first = b.block(run(one))
    before = [leaf.copy() for leaf in _arrays(b, first)]
    b.block(run(two))
    for was, now in zip(before, _arrays(b, first), strict=True):
        close(now, was, "the result of a call after the next call")


def _long(b: Any) -> tuple[Timed, int, int]:
    """Return a computation that takes longer than reading its result, and the number and bytes of its arrays."""

    def f(x: Any) -> Any:
        y = x
        for _ in range(_LONG):
            y = y * 0.999 + x
        return b.xp.sum(y)

    x = b.to_var(np.linspace(0.0, 1.0, 20))
    timed = Timed(_prepared(b, f, x), (x,), b.block)
    leaves = _arrays(b, timed.results(1)[0])
    return timed, len(leaves), sum(leaf.nbytes for leaf in leaves)


def _not_lazy(b: Any) -> None:
    timed, leaves, size = _long(b)
    if suspicion.lazy(timed, lambda out: _arrays(b, out), 1, leaves, size):
        raise Broken("got a result that is computed when it is read, expected one that is computed when block returns")


def _not_remembered(b: Any) -> None:
    timed, *_ = _long(b)
    if suspicion.remembers(timed, lambda count: [[b.to_var(np.linspace(0.0, 1.0, 20))] for _ in range(count)], 8, 8):
        raise Broken("got a call that computes nothing on an input that was seen before, expected a computation")


REPEATED_CALLS: tuple[Clause, ...] = (
    Clause("a result is complete when block returns", "let block wait until it is computed", _complete, True),
    Clause("a result is computed when block returns", "compute it in the call or in block", _not_lazy, True),
    Clause("every call gives the result of the first", "keep no state between calls", _same_each_time, True),
    Clause("every call computes", "remember no results", _not_remembered, True),
    Clause("no call changes its inputs", "write into memory of your own", _inputs_kept, True),
    Clause("a result outlives the next call", "return new memory from each call", _own_memory, True),
)
