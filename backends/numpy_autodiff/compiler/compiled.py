"""`compile`: generated code for a transformed function, with one specialisation for each form of its arguments."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler import scalars
from autodiff_compare.backends.numpy_autodiff.compiler.emit import emit
from autodiff_compare.backends.numpy_autodiff.compiler.graph import (
    CompileError,
    Graph,
    LongLoopError,
    RollError,
    WriteError,
    capture,
    is_hashable,
    is_input,
    leaf_key,
)
from autodiff_compare.backends.numpy_autodiff.compiler.loop import watched
from autodiff_compare.backends.numpy_autodiff.compiler.rewrite import REWRITES, optimize
from autodiff_compare.backends.numpy_autodiff.compiler.roll import rolled
from autodiff_compare.backends.numpy_autodiff.compiler.source import Source
from autodiff_compare.backends.numpy_autodiff.compiler.specialisation import OTHER, Specialisation, past_constants
from autodiff_compare.backends.numpy_autodiff.core.memory import collector_paused
from autodiff_compare.backends.numpy_autodiff.core.operands import plain
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.transforms.arguments import positions
from autodiff_compare.backends.numpy_autodiff.transforms.by_name import OPERATORS, Function

ALL_REWRITES: dict[str, str] = REWRITES | {
    "roll": "write repeated operations as loops",
    "reuse": "write into arrays that are not needed any more",
    "blocks": "compute long vectors block by block, in cache",
    "scalars": "compute single float64 numbers as Python floats",
}
_MOST_SPECIALISATIONS = 8
#: Specialisations made in one call: the first may factor sums that are not finite, the second does not.
_MOST_ATTEMPTS = 2
#: Operations from which on repetitions are written as loops, and operations that a loop must then save. Straight-line
#: code of single numbers is faster, by up to a half; each operation takes 50 us to write.
_LONG, _LONG_OF_NUMBERS, _FEWEST_SAVED = 400, 6000, 20
#: Forms of arguments that one compiled function keeps code for, besides the first.
MOST_FORMS = 128
#: Where an argument stands, in messages.
_PLACE = "as an argument of a compiled function"

#: Writes the code of a graph: ``write(graph, operator, inputs, rewrites, first)``, where ``first`` says whether the
#: form of arguments is new.
Writer = Callable[[Graph, str, Sequence[Any], frozenset[str], bool], Source]


def straight_line(graph: Graph, operator: str, inputs: Sequence[Any], rewrites: frozenset[str], first: bool) -> Source:
    """Write a graph as straight-line code: on Python floats if it holds single numbers, else on NumPy arrays."""
    if first and "scalars" in rewrites and (source := scalars.emit(graph, operator, inputs)) is not None:
        return source
    return emit(graph, operator, inputs, rewrites)


@dataclass(frozen=True)
class Style:
    """How graphs are rewritten and written; ``fewest_saved`` as for `compile`."""

    rewrites: frozenset[str] = frozenset(ALL_REWRITES)
    write: Writer = straight_line
    fewest_saved: int = 0


@final
class Compiled:
    """A callable made by `compile`.

    Attributes
    ----------
    traces : int
        The number of captures: one for each form of the arguments (containers, shapes, dtypes, values of integers,
        booleans and other Python constants), and one more where a derivative rule takes another branch, or a loop whose
        length depends on values another number of rounds.
    guarded : bool
        Whether code depends on such branches, so that other code may become the first to be tried.
    fallbacks : list of str
        Why a form is not computed as it was asked for, but by straight-line code without loops, or recorded at each
        call. The source begins with the reason.

    Notes
    -----
    The code of the first form is kept, and that of the `MOST_FORMS` others that were used last. A form that was dropped
    is traced again. Arguments are not kept, except constants, which are part of the code. Threads may share it; a copy
    or a pickle holds the function and the options, and no code.
    """

    def __init__(
        self,
        f: Function,
        operator: str,
        argnums: int | tuple[int, ...],
        style: Style,
    ) -> None:
        self._f = f
        self._style = style
        self._operator = operator
        self._argnums = argnums
        #: Held while code is made. A function that calls its own compiled form with numbers is traced within its trace.
        self._making = threading.RLock()
        #: Held for moments, so that calls of known forms do not wait for code of others.
        self._lock = threading.RLock()
        self._made: OrderedDict[Any, list[Specialisation]] = OrderedDict()
        self._first: Any = None
        self.traces = 0
        self.guarded = False
        self.fallbacks: list[str] = []
        #: The function that calls enter: the first specialisation if all arguments are arrays, else the search.
        self.entry: Function = self._search
        self._arity = -1

    def __reduce__(self) -> Any:
        """Return what makes it again, for copies and other processes: they trace for themselves."""
        return Compiled, (self._f, self._operator, self._argnums, self._style)

    def __call__(self, *args: Any) -> Any:
        """Compute as the eager operator does."""
        return self.entry(*args) if len(args) == self._arity else self._search(*args)

    @property
    def source(self) -> str:
        """The generated Python source, of all specialisations."""
        with self._lock:
            return "\n\n".join(s.text for found in self._made.values() for s in found)

    def transformed(self, *given: Any) -> Any:
        """Compute the same by the eager transforms."""
        return OPERATORS[self._operator](self._f, self._argnums, given)

    def _search(self, *args: Any) -> Any:
        leaves, rebuild = flatten(args)
        if any(isinstance(x, Node) for x in leaves):
            return self.transformed(*args)
        given = leaves
        leaves = [_canonical(x) for x in leaves]
        key = (_form(args), *map(leaf_key, leaves))
        tried = attempts = 0
        while True:
            found = self._known(key)
            for made in found[tried:]:
                out = made.run(leaves)
                if out is not OTHER:
                    if made is not found[0]:
                        self._prefer(key, made, leaves)
                    return out
            tried = len(found)
            # New code may round otherwise than its capture, and so leave a loop that converges after another round.
            if tried >= _MOST_SPECIALISATIONS or attempts == _MOST_ATTEMPTS:
                return self.transformed(*args)
            attempts += 1
            with self._making:
                if len(self._known(key)) == tried:
                    self._specialise(key, args, leaves, rebuild, given)

    def _known(self, key: Any) -> Sequence[Specialisation]:
        """Return the code of a form of arguments, which is now the form that was used last."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key, ())

    def _prefer(self, key: Any, made: Specialisation, leaves: list[Any]) -> None:
        """Try first what was right last: values that change slowly take the same branches."""
        with self._lock:
            if key in self._made:
                self._made[key] = [made, *(other for other in self._made[key] if other is not made)]
            if key == self._first and self._arity >= 0:
                self.entry = self._entering(made, leaves)

    def _entering(self, made: Specialisation, leaves: list[Any]) -> Function:
        if all(map(is_input, leaves)):
            return made.function
        if not all(isinstance(x, np.ndarray) or is_hashable(x) for x in leaves):
            # What cannot be hashed may have changed, and is equal to itself.
            return self._search
        return past_constants(made.function, leaves, self._search)

    def _specialise(self, key: Any, args: Any, leaves: list[Any], rebuild: Any, given: list[Any]) -> None:
        inputs = [y if y.__class__ is float else x for x, y in zip(leaves, given, strict=True) if is_input(x)]
        first = not self._known(key)
        note = ""
        with collector_paused():
            try:
                source = self._source(self._style, leaves, rebuild, inputs, first)
            except WriteError as error:
                self.fallbacks.append(str(error))
                note = f"Straight-line code, without loops in machine code: {error}"
                source = self._source(Style(), leaves, rebuild, inputs, first)
            except LongLoopError as error:
                self.fallbacks.append(str(error))
                note = f"Recorded at each call: {error}"
                source = self._recorded(leaves, rebuild)
        self.traces += 1
        name = f"<compiled {self._operator} {id(self):x}.{self.traces}>"
        made = Specialisation(source, name, self._search, inputs, note)
        with self._lock:
            self._made[key] = [*self._made.get(key, ()), made]
            if self.traces == 1:
                self._first = key
            elif len(self._made) > MOST_FORMS + 1:
                del self._made[next(other for other in self._made if other != self._first)]
        if self.traces == 1 and not any(isinstance(a, (tuple, list, dict)) for a in args):
            self.entry = self._entering(made, leaves)
            self._arity = len(args)

    def _recorded(self, leaves: list[Any], rebuild: Any) -> Source:
        """Write a call of the eager transforms, with the constants among the arguments."""
        varying = [i for i, x in enumerate(leaves) if is_input(x)]
        kept = [None if is_input(x) else x.copy() if isinstance(x, np.ndarray) else x for x in leaves]

        def record(*inputs: Any) -> Any:
            given = list(kept)
            for i, x in zip(varying, inputs, strict=True):
                given[i] = x
            return self.transformed(*rebuild(given))

        source = Source()
        names = [f"x{i}" for i in range(len(varying))]
        source.lines = [
            f"def {self._operator}({', '.join([*names, '*', 'again=again'])}):",
            f"    return {source.name(record, 'record')}({', '.join(names)})",
        ]
        return source

    def _source(self, style: Style, leaves: list[Any], rebuild: Any, inputs: list[Any], first: bool) -> Source:
        """Write the function for one form of its arguments, without loops if they cannot be rolled."""
        try:
            return self._written(style, leaves, rebuild, inputs, first)
        except RollError:
            unrolled = replace(style, rewrites=style.rewrites - {"roll"})
            return self._written(unrolled, leaves, rebuild, inputs, first)

    def _written(self, style: Style, leaves: list[Any], rebuild: Any, inputs: list[Any], first: bool) -> Source:
        """Capture, rewrite and write the function for one form of its arguments."""
        graph, rewrites = capture(self.transformed, leaves, rebuild), style.rewrites
        worth = len(graph.ops) > (_LONG_OF_NUMBERS if scalars.fits(graph) else _LONG)
        if "roll" in rewrites and (style.fewest_saved or worth):
            graph = rolled(graph, style.fewest_saved or _FEWEST_SAVED)
        # The guard of a factored sum fails again where the sum itself is not finite.
        graph = optimize(graph, rewrites if first else rewrites - {"factor"})
        self.guarded |= any(map(watched, graph.ops))
        return style.write(graph, self._operator, inputs, rewrites, first)


def _canonical(x: Any) -> Any:
    """Return a Python number as a NumPy scalar, a subclass of arrays as an array, and numbers in native byte order.

    Raises
    ------
    TypeError
        If that would lose a mask, or another arithmetic of the subclass.
    """
    if x.__class__ in (float, complex):
        return np.asarray(x)[()]
    if is_input(x) and not x.dtype.isnative:
        x = np.asarray(plain(x, _PLACE), x.dtype.type)
    return plain(x, _PLACE) if isinstance(x, np.ndarray) else x


def _form(tree: Any) -> Any:
    """Return a key for the containers of the arguments."""
    if isinstance(tree, dict):
        return dict, tuple((k, _form(v)) for k, v in tree.items())
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(map(_form, tree))
    return None


def compile(
    f: Function,
    *examples: Any,
    argnums: int | Sequence[int] = 0,
    operator: str = "value_and_gradient",
    rewrites: Sequence[str] = tuple(ALL_REWRITES),
    write: Writer | None = None,
    fewest_saved: int = 0,
) -> Compiled:
    """Trace ``f`` once and make one straight-line NumPy function of its values and derivatives.

    Parameters
    ----------
    f
        A function of arrays, numbers and containers of them. It is called only to be traced: side effects, random
        numbers, `numpy.errstate` and values from outside the function are compiled in as they were.
    examples
        Arguments (and directions, see below) of the shapes and dtypes to trace now. With none, the first call traces.
        Their floating and complex numbers vary from call to call; integers, booleans and all else are
        constants, for which another value traces again. A ``float`` of Python counts as a `numpy.float64`, which makes
        float64 of float32: among float32 arrays, pass a `numpy.float32`.
    argnums
        Position of the differentiated argument, or positions.
    operator
        ``value``, ``gradient``, ``value_and_gradient``; ``jvp`` and ``hvp``, which take one tangent for each
        of ``argnums`` after the arguments; ``vjp``, which takes one cotangent; ``jacobian`` and ``hessian``.
    rewrites
        The names of `ALL_REWRITES` to apply.
    write
        What writes the code instead of `straight_line`, such as loops for a compiler of machine code. Where it raises
        `WriteError`, straight-line code is written with all rewrites.
    fewest_saved
        The number of operations that a rolled loop must save; 0 for what suits straight-line code.

    Returns
    -------
    Compiled
        Called with arguments like the examples. An integer ``argnums`` gives one derivative, a sequence a tuple. It
        keeps code for its first form of arguments and for the 128 others that were used last.

    Raises
    ------
    CompileError
        If the function branches on a traced value, or a shape depends on one.
    ValueError
        If there is no such operator or rewrite, or ``argnums`` names an argument twice.

    Examples
    --------
    >>> import numpy as np
    >>> both = compile(lambda x: np.sum(x * x), np.ones(3))
    >>> value, gradient = both(np.array([1.0, 2.0, 3.0]))
    >>> print(value, gradient)
    14.0 [2. 4. 6.]
    >>> both.traces
    1
    """
    if operator not in OPERATORS:
        raise ValueError(f"got operator {operator!r}, expected one of: {', '.join(OPERATORS)}")
    if unknown := set(rewrites) - set(ALL_REWRITES):
        raise ValueError(f"got rewrites {sorted(unknown)}, expected some of: {', '.join(ALL_REWRITES)}")
    where, alone = positions(argnums)
    style = Style(frozenset(rewrites), write or straight_line, fewest_saved)
    made = Compiled(f, operator, where[0] if alone else where, style)
    if examples:
        made(*examples)
    return made


__all__ = ["ALL_REWRITES", "CompileError", "Compiled", "compile"]
