"""Custom derivative rules, checkpoints that recompute instead of storing, and constants."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, TraceError, primal
from autodiff_compare.backends.numpy_autodiff.core.transpose import transpose
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import pushed
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import recorded


def custom_rule(
    *, vjp: Sequence[Rule | None] | None = None, jvp: Sequence[Rule | None] | None = None
) -> Callable[[Callable[..., Any]], Primitive]:
    """Decorate a function of arrays with custom derivative rules.

    Parameters
    ----------
    vjp, jvp
        One rule per argument, ``vjp(g, ans, *args)`` and ``jvp(t, ans, *args)``, as explained in
        `autodiff_compare.backends.numpy_autodiff.core.primitive`; None for an argument that is never differentiated.
        One of the two is enough: the other is transposed from it.

    Raises
    ------
    TypeError
        If neither is given.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff_compare.backends.numpy_autodiff import custom_rule, grad
    >>> @custom_rule(vjp=(lambda g, ans, x: np.clip(g, -1, 1),))
    ... def clip_gradient(x):
    ...     return x
    >>> float(grad(lambda x: 5 * clip_gradient(x))(2.0))
    1.0
    """
    if vjp is None and jvp is None:
        raise TypeError("got no rule, expected vjp=(...) or jvp=(...): one rule per argument")

    def decorate(function: Callable[..., Any]) -> Primitive:
        rules = vjp if vjp is not None else [_backward(rule, i) for i, rule in enumerate(jvp or ())]
        return Primitive(function.__name__, function, rules, jvp)

    return decorate


def _backward(rule: Rule | None, i: int) -> Rule | None:
    """Return the VJP rule of argument ``i``, transposed from its JVP rule."""
    if rule is None:
        return None
    return lambda g, ans, *args, **kwargs: transpose(lambda t: rule(t, ans, *args, **kwargs), args[i], g)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``f`` as one call that keeps only its arguments: the backward sweep computes it again.

    Raises
    ------
    TraceError
        When called, if ``f`` uses traced values other than its arguments.
    """

    @functools.wraps(f)
    def checkpointed(*args: Any) -> Any:
        leaves, rebuild = flatten(args)
        form: list[Any] = []

        def flat(*leaves: Any) -> Any:
            out, rebuild_output = flatten(f(*rebuild(list(leaves))))
            form[:] = [rebuild_output]
            return out[0] if len(out) == 1 else tuple(out)

        primitive = Primitive(
            f"checkpoint({f.__name__})", _closed(flat), pull=_pull(flat), push=_push(flat), steep=_perhaps
        )
        out = primitive(*leaves)
        return form[0](list(out) if isinstance(out, tuple) else [out])

    return checkpointed


def _perhaps(*_: Any) -> bool:
    """Return True: what is behind a checkpoint may be steep."""
    return True


def _closed(flat: Callable[..., Any]) -> Callable[..., Any]:
    def values(*leaves: Any) -> Any:
        out = flat(*leaves)
        if any(isinstance(part, Node) for part in (out if isinstance(out, tuple) else (out,))):
            raise TraceError("got a traced value from outside in a checkpoint, expected arguments only: pass it as one")
        return out

    return values


def _of_traced(flat: Callable[..., Any], node: Any) -> tuple[Callable[..., Any], list[Any]]:
    """Return the function of the traced arguments alone, and their values."""
    where = node.call.where

    def partial(*traced: Any) -> Any:
        args = list(node.args)
        for i, x in zip(where, traced, strict=True):
            args[i] = x
        return flat(*args)

    return partial, [node.args[i].primal for i in where]


def _pull(flat: Callable[..., Any]) -> Callable[[Any, Any], None]:
    def pull(node: Any, g: Any) -> None:
        partial, values = _of_traced(flat, node)
        if isinstance(node.primal, tuple):
            g = tuple(
                np.zeros_like(a) if part is None else np.conj(part) for part, a in zip(g, node.primal, strict=True)
            )
        else:
            g = np.conj(g)
        reached = getattr(node, "reached", True)
        masks = reached if isinstance(reached, list) else [reached] * (len(g) if isinstance(g, tuple) else 1)
        for i, d in zip(node.call.where, recorded(partial, values)[1](g, masks), strict=True):
            parent = node.args[i]
            d = np.conj(d)
            parent.flow = d if parent.flow is None else parent.flow + d

    return pull


def _push(flat: Callable[..., Any]) -> Callable[[Any], None]:
    def push(node: Any) -> None:
        partial, values = _of_traced(flat, node)
        flows = [node.args[i].flow for i in node.call.where]
        tangents = [np.zeros_like(x) if t is None else t for t, x in zip(flows, values, strict=True)]
        masks = [
            t is not None and getattr(node.args[i], "reached", True)
            for i, t in zip(node.call.where, flows, strict=True)
        ]
        node.flow = pushed(partial, values, tangents, masks)[1]

    return push


def stop_gradient(x: Any) -> Any:
    """Return ``x`` as a constant at every level of nesting."""
    leaves, rebuild = flatten(x)
    return rebuild([primal(leaf) for leaf in leaves])
