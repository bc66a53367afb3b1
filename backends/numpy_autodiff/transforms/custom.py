"""Custom derivative rules, and constants.

The function and the rules are the user's, so that nothing is taken for granted here: Python numbers become NumPy's,
arrays of the recording are passed as read-only views, and a value that would lose its derivative is refused.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule, apply
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, TraceError, is_inexact, primal
from autodiff_compare.backends.numpy_autodiff.core.transpose import transpose


def custom_rule(
    *, vjp: Sequence[Rule | None] | None = None, jvp: Sequence[Rule | None] | None = None
) -> Callable[[Callable[..., Any]], Primitive]:
    """Decorate a function of arrays or numbers with custom derivative rules.

    The function gets plain values, and returns an array, a number, or a tuple of them. Integers among several outputs
    are constants. Everything it differentiates is an argument: a traced value that it takes from outside is refused.

    Parameters
    ----------
    vjp, jvp
        One rule per argument, ``vjp(g, ans, *args)`` and ``jvp(t, ans, *args)``, as explained in
        `autodiff_compare.backends.numpy_autodiff.core.primitive`; None for an argument that is never differentiated.
        One of the two is enough: the other is transposed from it.

    Raises
    ------
    TypeError
        If neither is given. When called, if an argument is a container of traced values, or the output is no number.
    TraceError
        When called, if the output depends on a traced value that is not an argument.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from autodiff_compare.backends.numpy_autodiff import custom_rule, grad
    >>> @custom_rule(vjp=(lambda g, ans, x: np.clip(g, -1, 1),))
    ... def clip_gradient(x):
    ...     return x
    >>> float(grad(lambda x: 5 * clip_gradient(x))(2.0))
    1.0
    >>> sine = custom_rule(vjp=(lambda g, ans, x: g * np.cos(x),))(math.sin)
    >>> float(grad(sine)(0.0))
    1.0
    """
    if vjp is None and jvp is None:
        raise TypeError("got no rule, expected vjp=(...) or jvp=(...): one rule per argument")

    def decorate(function: Callable[..., Any]) -> Primitive:
        name = getattr(function, "__name__", type(function).__name__)
        jvps = None if jvp is None else [_guarded(rule) for rule in jvp]
        vjps = (
            [_guarded(rule) for rule in vjp] if vjp is not None else [_backward(r, i) for i, r in enumerate(jvps or ())]
        )
        return Primitive(name, _traced(function, name), vjps, jvps, entry=functools.partial(_enter, function))

    return decorate


def _backward(rule: Rule | None, i: int) -> Rule | None:
    """Return the VJP rule of argument ``i``, transposed from its JVP rule."""
    if rule is None:
        return None

    def vjp(g: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(ans, tuple):
            return transpose(lambda t: rule(t, ans, *args, **kwargs), args[i], g)
        # The transpose of t -> (J_1 t, ..., J_n t) is the sum of those of its parts.
        parts = [
            transpose(lambda t, k=k: rule(t, ans, *args, **kwargs)[k], args[i], part)  # type: ignore[misc]
            for k, part in enumerate(g)
            if part is not None
        ]
        return sum(parts[1:], parts[0]) if parts else None

    return vjp


# Calls --------------------------------------------------------------------------------------------


def _enter(function: Callable[..., Any], primitive: Primitive, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call the function itself where no argument is traced, else the primitive."""
    if kwargs and any(map(_holds_traced, kwargs.values())):
        args, kwargs = _by_position(function, primitive.name, args, kwargs)
    traced = False
    for i, a in enumerate(args):
        if isinstance(a, Node):
            traced = True
        elif _holds_traced(a):
            raise TypeError(
                f"got traced values within argument {i} of {primitive.name} (a {type(a).__name__}), which has a "
                "derivative rule per argument: pass each of them as an argument of its own"
            )
    return apply(primitive, args, kwargs) if traced else function(*args, **kwargs)


def _holds_traced(x: Any) -> bool:
    if isinstance(x, np.ndarray):
        return x.dtype.kind == "O" and any(isinstance(part, Node) for part in x.flat)
    return isinstance(x, Node) or (isinstance(x, (tuple, list, dict)) and any(map(_holds_traced, flatten(x)[0])))


def _by_position(
    function: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Move traced keyword arguments to their positions, where the rules are."""
    rest = kwargs
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        args, rest = bound.args, bound.kwargs
    except (TypeError, ValueError):
        pass
    for key, value in rest.items():
        if _holds_traced(value):
            raise TypeError(f"got a traced value as {key}= of {name}, expected it by position: rules go by position")
    return args, rest


# What is the user's -------------------------------------------------------------------------------


def read_only(x: Any) -> Any:
    """Return an array as a read-only view, and a tuple or list with such parts; a write would change the recording."""
    if isinstance(x, np.ndarray):
        view = x.view()
        view.setflags(write=False)
        return view
    if isinstance(x, tuple):
        return type(x)._make(map(read_only, x)) if hasattr(x, "_make") else tuple(map(read_only, x))
    return list(map(read_only, x)) if x.__class__ is list else x


def _traced(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the function for calls with traced arguments, of which it gets the values."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return _output(function(*map(read_only, args), **kwargs), args, name)

    call.__name__ = name
    # The compiler takes a function of this package for one of its own.
    call.__module__ = getattr(function, "__module__", None) or "builtins"
    return call


def _output(out: Any, args: Sequence[Any], name: str) -> Any:
    """Return an output with Python numbers as NumPy's, in the precision of the arguments.

    A Python number that is the only output is a real number whatever its class: ``return 0`` is a branch of a ramp.
    """
    if not isinstance(out, tuple):
        if isinstance(out, int) and not isinstance(out, bool):
            out = float(out)
        found = _part(out, args, name)
        if not is_inexact(found):
            _refuse(out, name)
        return found
    parts = [_part(part, args, name) for part in out]
    if not any(map(is_inexact, parts)):
        _refuse(out, name)
    return type(out)._make(parts) if hasattr(out, "_make") else tuple(parts)


def _part(part: Any, args: Sequence[Any], name: str) -> Any:
    if isinstance(part, Node):
        raise TraceError(
            f"got a traced value from outside in {name}, whose rules are for its arguments only: pass it as an "
            "argument, or use stop_gradient of it"
        )
    if isinstance(part, np.ndarray):
        if part.dtype.kind == "O":
            _refuse(part, name)
        return part if part.shape else part[()]
    if part.__class__ in (float, complex):
        return np.result_type(*[a for a in args if is_inexact(a)], part).type(part)
    if part is not None and not isinstance(part, (np.generic, int, str)):
        _refuse(part, name)
    return part


def _refuse(out: Any, name: str) -> NoReturn:
    what = f"dtype {out.dtype}" if hasattr(out, "dtype") else f"type {type(out).__name__}"
    raise TypeError(
        f"got an output of {what} from {name}, expected floating or complex numbers: return an array, a number or a "
        "tuple of them (.astype(float) for integers)"
    )


def _guarded(rule: Rule | None) -> Rule | None:
    """Return a rule that cannot write into the recording, and may return Python numbers."""
    if rule is None:
        return None

    def call(g: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        found = rule(read_only(g), read_only(ans), *map(read_only, args), **kwargs)
        if isinstance(found, (tuple, list)) and isinstance(ans, tuple):
            return [_array(part) for part in found]
        return _array(found)

    return call


def _array(x: Any) -> Any:
    return x if x is None or hasattr(x, "dtype") else np.asarray(x)[()]


def stop_gradient(x: Any) -> Any:
    """Return ``x`` as a constant at every level of nesting; arrays of a recording are read-only views."""
    leaves, rebuild = flatten(x)
    return rebuild([read_only(primal(leaf)) if isinstance(leaf, Node) else leaf for leaf in leaves])
