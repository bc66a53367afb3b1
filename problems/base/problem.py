"""The problem contract: one mathematical function, its inputs and its closed-form derivatives, written once."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Protocol

import numpy as np

from autodiff_compare.problems.base.descent import Descent
from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.size_names import number_of, split_degree, split_rows
from autodiff_compare.vocabulary import COMPLEX, STANDARD_OPERATORS, Operator

#: Operators that apply to a function with a scalar value.
SCALAR = STANDARD_OPERATORS
#: Operators that apply to a function with an array value.
VECTOR = frozenset({Operator.VALUE, Operator.JVP, Operator.VJP, Operator.JACOBIAN})
#: Members of a backend that an objective may use besides ``xp``.
USES = frozenset(
    {
        "scan",
        "while_loop",
        "derivative",
        "value_and_derivative",
        "stop_gradient",
        "solve_root",
        "solve_fixed_point",
    }
)


class ProblemError(ValueError):
    """A problem does not exist or its definition is invalid; the message names the correction."""


class Tools(Protocol):
    """The environment in which an objective is evaluated: a backend, or NumPy alone.

    Besides ``xp`` it has the members that the problem ``uses``.
    """

    @property
    def xp(self) -> Any:
        """Return the array API namespace."""
        ...

    def implementation(
        self, native: Mapping[str, Callable[..., Any]], neutral: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        """Return the function of ``native`` that is written for this framework; ``neutral`` if there is none."""
        ...


class _NumpyAlone:
    xp = np

    def implementation(
        self, native: Mapping[str, Callable[..., Any]], neutral: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        return neutral or native["numpy"]


#: Plain NumPy: enough for an objective that uses nothing but ``xp``.
NUMPY: Tools = _NumpyAlone()


@dataclass(frozen=True)
class Instances:
    """The format of public instance files of a problem, which a user downloads (``--data FOLDER``).

    Parameters
    ----------
    pattern
        Pattern of file names, as for `fnmatch`: ``"gmm_d*_K*.txt"``.
    read
        ``read(path)`` returns the `Inputs` that the file describes. It raises
        `autodiff_compare.problems.base.instances.text.InstanceError` if the file is damaged.
    accepts
        ``accepts(path)`` tells apart problems whose files match the same pattern.
    """

    pattern: str
    read: Callable[[pathlib.Path], Inputs]
    accepts: Callable[[pathlib.Path], bool] = lambda _: True


@dataclass(frozen=True)
class Expansion:
    """An objective as a composition ``f(*x, *data) = rows(*copies(*x, *data), *data)``, for its sparse Jacobian.

    A compressed Jacobian takes one product for each colour of rows or of columns. Where many outputs share inputs
    (all observations of one camera), their rows cannot share a colour, so that columns are coloured. Once each
    output has copies of its own, they can: two outputs of fifteen inputs each take two products by rows instead of
    fifteen by columns.

    Parameters
    ----------
    copies
        ``copies(*differentiated, *data, xp=xp)`` returns a tuple of arrays whose entries are taken from the inputs.
    rows
        ``rows(*copies, *data, xp=xp, **static)`` returns the output.
    of
        For each array of copies, the index of the differentiated input from which it is taken.
    pattern
        Like `Problem.pattern`, with respect to the arrays of copies. Those taken from one input must be, one after
        the other, the entries of `Problem.pattern` in its order: by rows, and by columns within a row.
    """

    copies: Callable[..., tuple[Any, ...]]
    rows: Callable[..., Any]
    of: tuple[int, ...]
    pattern: Callable[[Inputs], Sequence[tuple[Array, Array]]]


@dataclass(frozen=True)
class Question:
    """A question about a recording, answered by each backend in its own idiom (`Backend.idioms`).

    Parameters
    ----------
    name
        Identifier; a key of `Backend.idioms`.
    asked
        The question in words, for the tables.
    expected
        A number or nested list of numbers, ``"none"`` (no gradient is kept) or ``"error"`` (an exception is right).
    conventions
        Words -> another answer that a framework may legitimately give; the words describe its convention.
    """

    name: str
    asked: str
    expected: Any
    conventions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Normalise:
    """A map applied to each array of a derivative and of its reference before they are compared.

    Parameters
    ----------
    words
        Description of the map, shown in the tables.
    apply
        Function of an array that returns one of the same shape.
    """

    words: str
    apply: Callable[[Array], Array]


@dataclass(frozen=True)
class Optimum:
    """The search domain of a test function of optimisation, and its global minimum there.

    Parameters
    ----------
    lower, upper
        Bounds of the domain, (d,).
    minimisers
        All known points that attain the minimum, (m, d).
    minimum
        The function's value at the minimisers.
    smooth
        Whether the function, as written, is differentiable at the minimisers; `False` means a kink.
    """

    lower: Array
    upper: Array
    minimisers: Array
    minimum: float
    smooth: bool = True


@dataclass(frozen=True)
class Problem:
    """One mathematical function with its inputs, closed-form derivatives and source.

    Parameters
    ----------
    name
        Unique identifier, as on the command line. Without ``/``, ``:`` and ``@``.
    title
        One line that states the function.
    source
        Origin of the formula, the data and the closed forms.
    sizes
        Size name -> n, the argument of ``inputs``; ``"small"`` is the default.
    inputs
        ``inputs(rng, n)`` returns the `Inputs`. It must draw the differentiated inputs from ``rng``, since a function
        is prepared at one point and timed at another. The same seed must give the same bits on every machine.
    objective
        ``objective(*differentiated, *data, xp=xp, **static)``: a pure function of array API names. The members that
        it ``uses`` are passed as further keywords.
    operators
        The operators that apply, usually `SCALAR` or `VECTOR`.
    reference
        Closed forms in NumPy, ``closed(*differentiated, *data, **static)``. They must keep the dtype of their
        arguments, because references are evaluated in ``np.longdouble``.
        ``gradient``, ``jacobian`` and ``hessian`` return one array (a row of blocks) for each differentiated input,
        or a bare array if there is one input. ``hvp``, where a Hessian is too large, takes its tangents after the
        data. ``sparse_jacobian`` returns the entries of ``pattern`` in CSR order, one vector for each input.
        Where there is no closed form, the reference is the NumPy engine in extended precision, confirmed by numerical
        differences, or these differences alone.
    descent
        Variant name -> how the problem is minimised; the first is the default.
    tolerance
        Relative tolerance in units of eps. Give one only where conditioning justifies another than the default.
    normalise
        Applied before derivatives are compared, where frameworks differ by a convention.
    questions
        Questions about a recording, for the study of tapes.
    suites
        The suites to which the problem belongs, from `vocabulary.SUITES`.
    uses
        Members of the backend that the objective takes as keywords, such as ``("scan",)``: ``scan``,
        ``while_loop``, ``derivative``, ``value_and_derivative``, ``stop_gradient``, ``solve_root`` and
        ``solve_fixed_point``, described in `autodiff_compare.backends.interface.Backend`.
    pattern
        Sparsity of the Jacobian, for ``sparse_jacobian``. ``pattern(inputs)`` returns one pair ``(rows, columns)`` for
        each differentiated input: indices into the flat output and the flat input, in any order. `None`: detected.
    optimum
        ``optimum(d)`` returns the `Optimum` in d dimensions. A function of two variables that is summed over
        points has the optimum of a single point, d = 2.
    expansion
        The objective as a composition that makes its sparse Jacobian cheaper.
    instances
        The format of public instance files of this problem.
    files
        Size name -> instance file of the user, set by `problems.with_data`.
    points
        Size name -> inputs at a point of the user, set by `problems.with_points`.
    fixed
        Whether ``inputs`` returns the same point for every seed. The function is then prepared at a point close to it.
    native
        Backend (``name`` or ``name:variant``) -> the same function of that framework's own arrays, used in place of
        ``objective``, which may then be `None`.
    samples
        Positions, among the differentiated inputs and the data, of the arrays whose leading axis counts samples. The
        objective is also defined for one of them: a batch computes its derivative for each row alone, as an array with
        a leading axis of length 1.
    names
        The differentiated inputs in the words of their declaration, such as ``weights['first']``. Empty where they are
        the first parameters of ``objective``.
    complex_numbers
        Whether an input or the output is complex. Inputs of complex numbers are complex128 arrays. The operators are
        among `vocabulary.COMPLEX`, without the Jacobian if a complex output is no holomorphic function of complex
        inputs: no complex matrix is its derivative. Closed forms return what
        `autodiff_compare.backends.operators.complex_numbers` defines. Where there is no Jacobian,
        ``jvp``, which takes its tangents after the data, is the closed form.
    typical
        Typical size of each differentiated input: a number or an array of its shape, `None` for the input's own size.
        Numerical differences move an input in proportion to it. State one where an input is zero or happens to be
        small, or where the function changes over much less than the input's size.

    Raises
    ------
    ProblemError
        If the name, the sizes, the objective or ``uses`` are invalid.

    Examples
    --------
    >>> Problem(
    ...     name="square",
    ...     title="sum of squares",
    ...     source="gradient 2 x",
    ...     sizes={"small": 3, "large": 1000},
    ...     inputs=lambda rng, n: Inputs((rng.normal(size=n),)),
    ...     objective=lambda x, *, xp: xp.sum(x * x),
    ...     reference={Operator.GRADIENT: lambda x: 2 * x},
    ... )
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
    points: Mapping[str, Inputs] = field(default_factory=dict)
    fixed: bool = False
    native: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    typical: Sequence[Any] = ()
    samples: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    complex_numbers: bool = False

    def __post_init__(self) -> None:
        """Reject fields that would break a table or a worker later."""
        if (
            not isinstance(self.name, str)
            or not self.name.isprintable()
            or set(self.name) & set("/:@")
            or not self.name
        ):
            self._refuse(f"name {self.name!r}", "printable text without '/', ':' and '@', which separate cell ids")
        if not self.sizes:
            self._refuse("no sizes", "one at least: sizes={'small': 10}")
        if self.objective is None and not self.native:
            self._refuse("objective None", "a function, or native={'torch': function, ...}")
        unknown = sorted(set(self.uses) - USES)
        if unknown:
            self._refuse(f"uses {unknown[0]!r}", f"some of: {', '.join(sorted(USES))}")
        if self.complex_numbers:
            self._refuse_for_complex_numbers()

    def _refuse_for_complex_numbers(self) -> None:
        """Reject fields that are defined for real numbers alone."""
        strange = sorted(self.operators - COMPLEX)
        if strange:
            self._refuse(f"operator {strange[0]} of complex numbers", f"some of: {', '.join(sorted(COMPLEX))}")
        if self.normalise is not None or self.descent:
            self._refuse("a normalisation or a descent of complex numbers", "neither")

    def _refuse(self, got: str, expected: str) -> NoReturn:
        raise ProblemError(f"got {got} in Problem({self.name!r}, ...), expected {expected}")

    @property
    def smallest(self) -> str:
        """Return the name of the default size: ``small``, or the first size if none has that name."""
        return "small" if "small" in self.sizes else next(iter(self.sizes))

    @property
    def size_names(self) -> tuple[str, ...]:
        """Return the names that ``--size`` accepts: own sizes first, then instance files."""
        return (*self.sizes, *self.files)

    def rows_of(self, size: str) -> tuple[str, int | None]:
        """Return the size and the number of rows of a batch in ``SIZExROWS``; `None` in a size without rows."""
        size = self.degree_of(size)[0]
        return (size, None) if size in self.size_names else split_rows(size)

    def degree_of(self, size: str) -> tuple[str, int | None]:
        """Return the size and the degree of a Taylor series in ``SIZE^DEGREE``; `None` in a size without a degree."""
        return (size, None) if size in self.size_names else split_degree(size)

    def n_of(self, size: str) -> int | None:
        """Return the number n of a size: that of an own size, or of ``n=1000``; `None` of an instance file."""
        base = self.rows_of(size)[0]
        return self.sizes[base] if base in self.sizes else number_of(base)

    def draw(self, size: str, seed: int) -> Inputs:
        """Return the inputs of a size: drawn from ``seed``, or those of a user's point or instance file.

        A size that is not among `size_names` is given by its number, ``n=1000``.
        """
        size = self.rows_of(size)[0]
        if size in self.points:
            return self.points[size]
        if size in self.files:
            assert self.instances is not None
            return self.instances.read(self.files[size])
        n = self.n_of(size)
        if n is None:
            raise ProblemError(f"got size {size!r} of {self.name}, expected one of: {', '.join(self.size_names)}")
        found = self.inputs(np.random.default_rng(seed), n)
        if not isinstance(found, Inputs):
            raise ProblemError(f"got {type(found).__name__} from inputs of {self.name}, expected Inputs((x, ...))")
        return found

    @property
    def stand_in(self) -> str:
        """Return the backend that evaluates the function where NumPy cannot; empty if NumPy can."""
        return "" if self.objective is not None or "numpy" in self.native else next(iter(self.native))

    def function(self, tools: Tools, static: Mapping[str, Any]) -> Callable[..., Any]:
        """Return the objective as a function of its arrays alone, in the namespace of ``tools``."""
        neutral = None
        if self.objective is not None:
            used = {name: getattr(tools, name) for name in self.uses}
            neutral = partial(self.objective, xp=tools.xp, **used, **static)
        if not self.native:
            assert neutral is not None, "a problem has an objective or native functions"
            return neutral
        return tools.implementation(self.native, neutral)
