"""The problem contract: one mathematical function, written once, with all that judging it needs."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Protocol

import numpy as np

from autodiff_compare.problems.base.descent import Descent
from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.vocabulary import Operator

#: What can be asked of a function with a scalar value.
SCALAR = frozenset(set(Operator) - {Operator.SPARSE_JACOBIAN, Operator.STEP})
#: What can be asked of a function with an array value.
VECTOR = frozenset({Operator.VALUE, Operator.JVP, Operator.VJP, Operator.JACOBIAN})
#: What an objective may use of a backend besides ``xp``.
USES = frozenset({"scan", "while_loop", "derivative", "value_and_derivative"})


class ProblemError(ValueError):
    """There is no such problem, or its file is broken; the message says what to do."""


class Tools(Protocol):
    """What an objective is evaluated with: a backend, or NumPy alone.

    Besides ``xp`` it has what the problem ``uses``.
    """

    @property
    def xp(self) -> Any: ...

    def implementation(
        self, native: Mapping[str, Callable[..., Any]], neutral: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        """Which of the functions that users wrote for single frameworks is meant here; ``neutral`` if none is."""
        ...


class _NumpyAlone:
    xp = np

    def implementation(
        self, native: Mapping[str, Callable[..., Any]], neutral: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        return neutral or native["numpy"]


#: Enough for an objective that uses nothing but ``xp``.
NUMPY: Tools = _NumpyAlone()


@dataclass(frozen=True)
class Instances:
    """Public instance files that a user may have of a problem (``--data FOLDER``).

    Parameters
    ----------
    pattern
        Of file names, as for `fnmatch`: ``"gmm_d*_K*.txt"``.
    read
        From a file to the inputs it describes; `autodiff_compare.problems.base.instances.text.InstanceError` where it
        is damaged.
    accepts
        Whether a file of such a name is this problem's, where another one's are called the same.
    """

    pattern: str
    read: Callable[[pathlib.Path], Inputs]
    accepts: Callable[[pathlib.Path], bool] = lambda _: True


@dataclass(frozen=True)
class Expansion:
    """An objective in two steps, ``f(*x, *data) = rows(*copies(*x, *data), *data)``, for its sparse Jacobian.

    Where many outputs use the same inputs (all pictures of one camera), a product with all their rows at once cannot
    tell whose slope is whose, and there are as many products as columns. If each output has copies of its own, a
    product by rows gives the slopes of all of them: two products, not fifteen, for two outputs of fifteen inputs each.

    Parameters
    ----------
    copies
        ``copies(*differentiated, *data, xp=xp)``: a tuple of arrays, whose entries are taken from the inputs.
    rows
        ``rows(*copies, *data, xp=xp, **static)``: the output.
    of
        For each array of copies, which differentiated input it is taken from.
    pattern
        As `Problem.pattern`, by the arrays of copies. Those of one input must be, one after the other, the entries
        of `Problem.pattern` in its order: by rows, and by columns within a row.
    """

    copies: Callable[..., tuple[Any, ...]]
    rows: Callable[..., Any]
    of: tuple[int, ...]
    pattern: Callable[[Inputs], Sequence[tuple[Array, Array]]]


@dataclass(frozen=True)
class Question:
    """Something a tape is asked, answered by each backend in its own idiom (`Backend.idioms`).

    ``expected`` is a number, nested list of numbers, ``"none"`` (no gradient is kept) or
    ``"error"`` (a clear error is the right answer). ``conventions`` holds other answers that a
    framework may legitimately give, under the words that say what it does.
    """

    name: str
    asked: str
    expected: Any
    conventions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Normalise:
    """What is done to each array of a derivative, here and in the reference, before they are compared.

    Parameters
    ----------
    words
        What it is, shown in the tables.
    apply
        From an array to one of the same shape.
    """

    words: str
    apply: Callable[[Array], Array]


@dataclass(frozen=True)
class Optimum:
    """Where a function is searched, and where its global minimum over that box lies.

    Parameters
    ----------
    lower, upper
        The box, (d,).
    minimisers
        All points known to attain the minimum, (m, d).
    minimum
        The value there.
    smooth
        Whether the function as written has a derivative at the minimisers; `False` says that there is a kink.
    """

    lower: Array
    upper: Array
    minimisers: Array
    minimum: float
    smooth: bool = True


@dataclass(frozen=True)
class Problem:
    """One mathematical function with its inputs, reference derivatives and source.

    Parameters
    ----------
    name, title, source
        Identifier, one line for people, and where formula and data come from.
    sizes
        Size name -> n, the argument of ``inputs``; ``"small"`` is the default.
    inputs
        ``inputs(rng, n)``: must draw the differentiated inputs from ``rng``, so that the function is
        prepared at one point and used at another. The same seed gives the same bits.
    objective
        ``objective(*differentiated, *data, xp=xp, **static)``: pure, array API names only. What it ``uses``
        comes as further keywords.
    operators
        Usually `SCALAR` or `VECTOR`.
    reference
        Closed forms in NumPy: ``closed(*differentiated, *data, **static)``. ``gradient`` gives one array
        per differentiated input (a bare array where there is one), ``jacobian`` and ``hessian`` likewise. Where a
        Hessian is too large, ``hvp`` takes its tangents after the data.
        ``sparse_jacobian`` gives the entries of the ``pattern`` in CSR order, one vector per differentiated input.
    descent
        How it is minimised, by variant name; the first is the default.
    tolerance
        Relative tolerance in units of eps, only where conditioning justifies another than the default.
    normalise
        Applied to derivatives before comparing, where frameworks differ by a convention.
    suites
        The suites this problem belongs to, of `vocabulary.SUITES`.
    pattern
        Where the Jacobian may be non-zero, for ``sparse_jacobian``: from the inputs to one pair ``(rows, columns)`` for
        each differentiated input, indices into the flat output and the flat input, in any order. `None`: detected.
    uses
        Members of the backend that the objective takes as keywords, such as ``("scan",)``: ``scan``,
        ``while_loop``, ``derivative`` and ``value_and_derivative`` as `autodiff_compare.backends.interface.Backend`
        describes them.
    optimum
        For a test function of optimisation, its `Optimum` in ``d`` dimensions. A function of two variables that is
        summed over points has that of a single point, d = 2.
    expansion
        The objective in two steps, where that makes its sparse Jacobian cheaper.
    instances
        How public instance files of this problem are found and read.
    files
        Size name -> instance file: the user's, found by `problems.with_data`.
    fixed
        ``inputs`` gives one point whatever it draws; the function is then prepared at a point close to it.
    native
        Backend, ``name`` or ``name:variant``, -> the same function of that framework's own arrays, in place of
        ``objective``, which may then be `None`.
    """

    name: str
    title: str
    source: str
    sizes: Mapping[str, int]
    inputs: Callable[[np.random.Generator, int], Inputs]
    objective: Callable[..., Any] | None
    operators: frozenset[Operator] = SCALAR
    reference: Mapping[Operator, Callable[..., Any]] = field(default_factory=dict)
    descent: Mapping[str, Descent] = field(default_factory=dict)
    tolerance: float | None = None
    normalise: Normalise | None = None
    questions: tuple[Question, ...] = ()
    suites: frozenset[str] = frozenset({"classic"})
    uses: tuple[str, ...] = ()
    pattern: Callable[[Inputs], Sequence[tuple[Array, Array]]] | None = None
    optimum: Callable[[int], Optimum] | None = None
    expansion: Expansion | None = None
    instances: Instances | None = None
    files: Mapping[str, pathlib.Path] = field(default_factory=dict)
    fixed: bool = False
    native: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would break a table or a worker later, by its name."""
        if (
            not isinstance(self.name, str)
            or not self.name.isprintable()
            or set(self.name) & set("/:@")
            or not self.name
        ):
            self._refuse(f"name {self.name!r}", "a printable text without '/', ':' and '@', which stand in cell ids")
        if not self.sizes:
            self._refuse("no sizes", "one at least: sizes={'small': 10}")
        if self.objective is None and not self.native:
            self._refuse("objective None", "a function, or native ones")
        unknown = sorted(set(self.uses) - USES)
        if unknown:
            self._refuse(f"uses {unknown[0]!r}", f"some of: {', '.join(sorted(USES))}")

    def _refuse(self, got: str, expected: str) -> NoReturn:
        raise ProblemError(f"got {got} in Problem({self.name!r}, ...), expected {expected}")

    @property
    def smallest(self) -> str:
        """The size that is taken where none is asked for: ``small``, or the first of a problem that calls none so."""
        return "small" if "small" in self.sizes else next(iter(self.sizes))

    @property
    def size_names(self) -> tuple[str, ...]:
        """What ``--size`` may name: own sizes first, then files."""
        return (*self.sizes, *self.files)

    def draw(self, size: str, seed: int) -> Inputs:
        """The inputs of a size: drawn from ``seed``, or those of a file, whatever the seed."""
        if size in self.files:
            assert self.instances is not None
            return self.instances.read(self.files[size])
        found = self.inputs(np.random.default_rng(seed), self.sizes[size])
        if not isinstance(found, Inputs):
            raise ProblemError(f"got {type(found).__name__} from inputs of {self.name}, expected Inputs((x, ...))")
        return found

    @property
    def stand_in(self) -> str:
        """The backend whose native function stands in for a NumPy one; empty where there is one."""
        return "" if self.objective is not None or "numpy" in self.native else next(iter(self.native))

    def function(self, tools: Tools, static: Mapping[str, Any]) -> Callable[..., Any]:
        """The objective of its arrays alone, in the namespace of ``tools``."""
        neutral = None
        if self.objective is not None:
            used = {name: getattr(tools, name) for name in self.uses}
            neutral = partial(self.objective, xp=tools.xp, **used, **static)
        if not self.native:
            assert neutral is not None, "a problem has an objective or native ones"
            return neutral
        return tools.implementation(self.native, neutral)
