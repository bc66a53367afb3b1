"""How a call of a NumPy function reaches its rule, with every argument taken, without effect, or refused by name.

NumPy's own signature tells the names of the arguments. One that the rule takes is passed on, whether it was given by
position or by keyword. One that changes no value (``order``, ``subok``) is dropped. Any other is rejected by its name,
unless it has its default. A list with variables in it becomes an array, as a list of numbers does.

The common calls, with arguments that the rule takes as they stand, are recognised in 0.2 us; the others are bound to
the signature in 5 us.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, NoReturn, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, primal
from autodiff_compare.backends.numpy_autodiff.rules import HANDLERS
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array, holds_variable, refuse_computed_axis

_VARIADIC, _REST = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

#: Arguments that change no value: copies, subclasses, scratch space, the algorithm of a sort.
_WITHOUT_EFFECT = frozenset({"copy", "subok", "overwrite_input", "device", "kind", "stable"})
#: Arguments that are lists of arrays, not arrays: their rules convert the entries.
_LISTS = frozenset({"arrays", "tup", "condlist", "choicelist", "funclist", "choices", "keys", "operands", "args", "kw"})
_ADVICE = {
    "out": "use the returned value",
    "dtype": "use astype before or after it",
    "where": "use np.where on its arguments or its result",
}


def refuse_argument(name: str, of: str) -> NoReturn:
    """Reject an argument that the rule of a function does not take.

    Raises
    ------
    TypeError
        Always.
    """
    advice = _ADVICE.get(name, "leave it out, or write the function with others")
    raise TypeError(f"got {name}= in {of} of a variable, expected a call without it: {advice}")


def spelled(function: Any) -> str:
    """Return the name of a NumPy function as users write it."""
    module = (function.__module__ or "numpy").replace("numpy", "np", 1)
    return f"{module}.{function.__name__}"


@final
class Form:
    """The arguments of one NumPy function, and those that its rule takes.

    Attributes
    ----------
    positional : int
        Leading arguments that the rule takes at NumPy's positions.
    keywords : frozenset of str
        Arguments that the rule takes by NumPy's names.
    lists : bool
        The function takes a list of arrays, which is no array itself.
    """

    __slots__ = (
        *("_everything", "_leading", "_names", "_numpy", "_own", "_rest"),
        "function",
        "keywords",
        "lists",
        "positional",
    )

    def __init__(self, function: Any) -> None:
        self.function = function
        self._numpy = _signature(function)
        theirs = list(self._numpy.parameters.values())
        found = _parameters(HANDLERS[function], theirs)
        ours = theirs if found is None else found
        self._everything = found is None
        self._rest = any(p.kind is _REST for p in ours)
        self._leading = [p for p in ours if p.kind in _BY_POSITION]
        self._own = {p.name for p in ours if p.kind in _BY_KEYWORD} - {"out"}
        self._names = _matched(theirs, ours)
        self.positional = self._aligned(theirs, any(p.kind is _VARIADIC for p in ours))
        first = {p.name for p in self._leading[:1]}
        self.keywords = frozenset(p.name for p in theirs if p.name in self._own - first)
        self.lists = any(p.name in _LISTS for p in theirs)

    def _aligned(self, theirs: Sequence[inspect.Parameter], variadic: bool) -> int:
        """Return how many leading arguments of NumPy's are those of the rule."""
        if variadic:
            return sys.maxsize
        count = 0
        for their, our in zip(theirs, self._leading, strict=False):
            if their.name == "out" or their.kind not in _BY_POSITION or self._names.get(their.name) != our.name:
                break
            count += 1
        return count

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the rule with every argument that it takes; reject the others by name."""
        variadic: Sequence[Any] = ()
        taken: dict[str, Any] = {}
        for name, value in self._numpy.bind(*args, **kwargs).arguments.items():
            parameter = self._numpy.parameters[name]
            if parameter.kind is _VARIADIC:
                variadic = value
            elif parameter.kind is _REST:
                for key, part in value.items():
                    self._take(taken, key, part, None)
            else:
                self._take(taken, name, value, parameter.default)
        first = []
        for k, p in enumerate(self._leading):
            later = p.kind is inspect.Parameter.POSITIONAL_ONLY and any(q.name in taken for q in self._leading[k + 1 :])
            if p.name not in taken and not later:
                break
            first.append(taken.pop(p.name, p.default))
        return HANDLERS[self.function](*first, *variadic, **taken)

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments by NumPy's names; none where they do not fit its signature."""
        try:
            return self._numpy.bind(*args, **kwargs).arguments
        except TypeError:
            return {}

    def _take(self, taken: dict[str, Any], name: str, value: Any, default: Any) -> None:
        """Add an argument to those that are passed on, drop it, or reject it."""
        if value is np._NoValue:
            return
        if value.__class__ in (list, tuple) and name not in _LISTS and holds_variable(value):
            value = as_array(value)
        ours = self._names.get(name, name if self._rest or name in self._own else None)
        if ours is None or name == "out":
            if not (value is None or _equal(value, default) or _harmless(name, value, default)):
                refuse_argument(name, spelled(self.function))
            return
        # NumPy's own function gets values; those by position are left to the primitive, which records them.
        alone = self._everything and all(p.name != name for p in self._leading)
        taken[ours] = primal(value) if alone else value


def _signature(function: Any) -> inspect.Signature:
    """Return NumPy's signature, or that of the rule: in older versions of NumPy functions in C have none."""
    try:
        return inspect.signature(function)
    except ValueError:
        handler = HANDLERS[function]
        return _ANY if isinstance(handler, Primitive) else inspect.signature(handler)


_ANY = inspect.Signature([inspect.Parameter("args", _VARIADIC), inspect.Parameter("kwargs", _REST)])


def _parameters(handler: Any, theirs: Sequence[inspect.Parameter]) -> list[inspect.Parameter] | None:
    """Return the parameters of a rule, or None where it hands all arguments to NumPy's function itself."""
    if isinstance(handler, Primitive):
        return None if handler.constant else list(theirs[: len(handler.vjps)])
    ours = list(inspect.signature(handler).parameters.values())
    return None if [p.kind for p in ours] == [_VARIADIC, _REST] else ours


def _matched(theirs: Sequence[inspect.Parameter], ours: Sequence[inspect.Parameter]) -> dict[str, str]:
    """Return NumPy's name of each argument that a rule takes -> its own, by name, else by position."""
    names = {p.name for p in ours}
    found = {p.name: p.name for p in theirs if p.name in names}
    left = {p.name for p in theirs} - {*found, "out"}
    for their, our in zip(theirs, ours, strict=False):
        if their.name in left and our.name not in found and our.kind in _BY_POSITION:
            found[their.name] = our.name
    return found


def _equal(value: Any, default: Any) -> bool:
    return value is default or (value.__class__ is default.__class__ and bool(value == default))


def _harmless(name: str, value: Any, default: Any) -> bool:
    layout = name == "order" and default in ("K", "A", "C", "F") and value in ("K", "A", "C", "F")
    return layout or name in _WITHOUT_EFFECT or (name == "casting" and value in ("same_kind", "unsafe"))


@functools.cache
def form(function: Any) -> Form:
    """Return the form of a NumPy function that has a rule."""
    return Form(function)


def call(function: Any, handler: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call the rule ``handler`` of a NumPy function with the arguments of that function.

    Raises
    ------
    TypeError
        If an argument is given that the rule does not take.
    """
    found = form(function)
    if len(args) <= found.positional and (not kwargs or kwargs.keys() <= found.keywords):
        for a in args:
            if (a.__class__ is list or a.__class__ is tuple) and not found.lists and holds_variable(a):
                break
        else:
            for value in kwargs.values():
                if value.__class__ not in _PASSED and _converted(value):
                    break
            else:
                return handler(*args, **kwargs)
    return found.call(args, kwargs)


#: Errors by which a rule may fail on arguments that NumPy's function rejects in its own words.
MISTAKES = (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError)


def explain(error: Exception, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NoReturn:
    """Raise NumPy's own error for the same arguments, if it has one, in place of one from within a rule.

    Raises
    ------
    Exception
        Always: ``error`` where it is a message of ours, or where NumPy takes the arguments.
    """
    for name, value in form(function).named(args, kwargs).items():
        refuse_computed_axis(name, value, spelled(function))
    if not str(error).startswith("got "):
        leaves, rebuild = flatten([list(args), dict(kwargs)])
        plain, named = rebuild([constant(leaf) for leaf in leaves])
        try:
            function(*plain, **named)
        except Exception as own:
            raise own from None
    raise error


#: Classes of keywords that are passed on as they stand.
_PASSED = frozenset({int, float, bool, str, NoneType})


def _converted(value: Any) -> bool:
    """Return whether a keyword cannot be passed on as it stands."""
    return value is np._NoValue or isinstance(value, Node) or holds_variable(value)


#: Functions that write into an argument.
_WRITING = frozenset(
    {np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask},
)


def without_rule(function: Any) -> NoReturn:
    """Reject a NumPy function that has no rule.

    Raises
    ------
    TypeError
        If the function writes into an argument.
    NotImplementedError
        Otherwise.
    """
    if function in _WRITING:
        raise TypeError(
            f"got {spelled(function)} of a variable, which writes into its argument and would lose the derivative: "
            "build the array with np.where, np.concatenate or np.stack"
        )
    raise NotImplementedError(
        f"got {function.__module__}.{function.__name__} of a variable, which has no derivative rule: "
        "write it with other functions, or give it a rule with custom_rule"
    )
