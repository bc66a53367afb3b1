"""Cells, the rows of a run, and cases, the numbers that all cells of a group compute with."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN, Pattern
from autodiff_compare.plan.evaluation import perturbed
from autodiff_compare.plan.precision import complex_dtype, numpy_dtype
from autodiff_compare.plan.sparsity import hessian_patterns, patterns
from autodiff_compare.problems import Array, Inputs, Problem, ProblemError
from autodiff_compare.vocabulary import BATCHES, SAMPLED, TAYLOR_DEGREE, Operator, Optimizer, directed, join_spec

#: Directions of a batch of products.
DIRECTIONS = 8
#: Random signs of an estimate of the Laplacian.
PROBES = 32
#: Update rule of a ``step`` cell of a problem without a descent.
DEFAULT_OPTIMIZER = Optimizer("sgd", learning_rate=1e-3)


@dataclass(frozen=True)
class Cell:
    """One row of ``cells.csv``: (problem, size, dtype, operator, backend[:variant])."""

    problem: str
    size: str
    dtype: str
    operator: Operator
    backend: str
    #: The variant, the order of modes of second derivatives, or both: ``eager``, ``fr``, ``eager:fr``.
    variant: str = ""

    @property
    def spec(self) -> str:
        """Return the backend as ``name[:variant]``."""
        return join_spec(self.backend, self.variant)

    @property
    def group(self) -> tuple[str, str, str, Operator]:
        """Return (problem, size, dtype, operator): equal for all cells that are compared with each other."""
        return (self.problem, self.size, self.dtype, self.operator)

    @property
    def cell_id(self) -> str:
        """Return ``problem/size/dtype/operator/backend[:variant]``, which is unique within a run."""
        return "/".join((*self.group, self.spec))


@dataclass(frozen=True)
class Case:
    """The numbers of one (problem, size, dtype, operator): the same in every process.

    Parameters
    ----------
    inputs
        float64 arrays already rounded to ``dtype``, so that reference and backend are evaluated at exactly the same
        point. Arrays of complex numbers are complex128, with both parts rounded.
    directions
        Tangents (jvp, hvp: one per differentiated input, of its shape) or a cotangent (vjp: of the output's shape),
        float64 arrays rounded to ``dtype``; empty for the other operators. In a batch of products, several of them
        along a new first axis.
    optimizer
        The update rule of the operator ``step``.
    """

    problem: Problem
    size: str
    dtype: str
    operator: Operator
    seed: int
    inputs: Inputs
    directions: tuple[Array, ...]
    optimizer: Optimizer
    #: The patterns of a sparse result, if another process has sent them.
    sent: tuple[Pattern, ...] = ()

    @functools.cached_property
    def output(self) -> Array:
        """Return `objective_value` at the inputs; cached, since a problem may take seconds in plain NumPy."""
        return objective_value(self.problem, self.inputs)

    @functools.cached_property
    def patterns(self) -> tuple[Pattern, ...]:
        """Return the sparsity pattern of the Jacobian by each differentiated input."""
        return patterns(self.problem, self.inputs)

    @functools.cached_property
    def hessian_patterns(self) -> tuple[Pattern, ...]:
        """Return the sparsity pattern of the rows of the Hessian for each differentiated input."""
        return hessian_patterns(self.problem, self.inputs)

    @property
    def entries(self) -> tuple[Pattern, ...]:
        """Return the patterns of a sparse result, one for each of its leaves; nothing for other operators."""
        if self.sent:
            return self.sent
        if self.operator == Operator.SPARSE_HESSIAN:
            return self.hessian_patterns
        return self.patterns if self.operator == Operator.SPARSE_JACOBIAN else ()

    @property
    def degree(self) -> int:
        """Return the highest derivative of a Taylor series."""
        return self.problem.degree_of(self.size)[1] or TAYLOR_DEGREE

    @property
    def facts(self) -> dict[str, Any]:
        """Return what a backend must know of the problem to prepare this operator: fields of `Objective`."""
        sparse = {Operator.SPARSE_JACOBIAN: "patterns", Operator.SPARSE_HESSIAN: "hessian_patterns"}
        found: dict[str, Any] = {"samples": self.problem.samples}
        return found | ({sparse[self.operator]: self.entries} if self.operator in sparse else {})

    @property
    def samples(self) -> int:
        """Return the number of samples in the arrays that the problem says to hold one sample in each row."""
        return sample_count(self.problem, self.inputs)


def sample_count(problem: Problem, inputs: Inputs) -> int:
    """Return the length of the leading axes that count samples.

    Raises
    ------
    ProblemError
        If the problem names no such array, or their lengths differ or are 0.
    """
    lengths = [np.shape(inputs.arrays[i])[:1] for i in problem.samples]
    if not lengths:
        raise ProblemError(
            f"got no samples in {problem.name}, expected the arrays that hold one sample in each row:"
            " SAMPLES = ('x',) in a file, or Problem(..., samples=(1,))"
        )
    if len(set(lengths)) > 1 or lengths[0] == ():
        shapes = ", ".join(str(np.shape(inputs.arrays[i])) for i in problem.samples)
        raise ProblemError(f"got arrays of samples of shapes {shapes} in {problem.name}, expected equal leading axes")
    if lengths[0] == (0,):
        raise ProblemError(f"got arrays without samples in {problem.name}, expected one row or more in each")
    return int(lengths[0][0])


def first_samples(problem: Problem, inputs: Inputs, count: int | None) -> Inputs:
    """Return the inputs with the first ``count`` samples, or all if it is `None`.

    Raises
    ------
    ProblemError
        If there are fewer.
    """
    there = sample_count(problem, inputs)
    if count is None:
        return inputs
    if count > there:
        raise ProblemError(f"got {count} rows of {problem.name}, expected at most its {there} samples at this size")
    return _samples(problem, inputs, slice(count))


def _samples(problem: Problem, inputs: Inputs, rows: slice) -> Inputs:
    arrays = [a[rows] if i in problem.samples else a for i, a in enumerate(inputs.arrays)]
    return Inputs(
        tuple(arrays[: len(inputs.differentiated)]), tuple(arrays[len(inputs.differentiated) :]), inputs.static
    )


def sample_of(problem: Problem, inputs: Inputs, row: int) -> Inputs:
    """Return the inputs of one sample: its row alone, as a leading axis of length 1."""
    return _samples(problem, inputs, slice(row, row + 1))


def objective_value(problem: Problem, inputs: Inputs) -> Array:
    """Return the problem's objective in plain NumPy, in the dtype of the inputs."""
    return np.asarray(problem.function(PLAIN, inputs.static)(*inputs.arrays))


def build_case(problem: Problem, size: str, dtype: str, operator: Operator, seed: int) -> Case:
    """Draw inputs and directions from ``seed``, as float64 arrays rounded to ``dtype``."""
    return _case(problem, size, dtype, operator, seed, problem.draw(size, seed))


def _case(problem: Problem, size: str, dtype: str, operator: Operator, seed: int, inputs: Inputs) -> Case:
    inputs = rounded(inputs, dtype)
    if operator in SAMPLED:
        inputs = first_samples(problem, inputs, problem.rows_of(size)[1])
    # Series of all degrees have one direction, so that their costs and terms can be compared.
    stream = _stream(problem.name, problem.degree_of(size)[0], operator, seed)
    directions = _directions(problem, operator, inputs, stream, problem.rows_of(size)[1])
    rounded_directions = tuple(_round(t, dtype) for t in directions)
    return Case(problem, size, dtype, operator, seed, inputs, rounded_directions, _optimizer(problem))


def tracing_case(case: Case) -> Case:
    """Return the case at another point, with other directions: the point at which its function is prepared.

    A function that is traced at one point and called at another cannot return a result stored while tracing.
    """
    problem, seed = case.problem, case.seed + 1
    if problem.fixed or problem.rows_of(case.size)[0] in problem.files:
        inputs = perturbed(problem, case.inputs, np.random.default_rng(seed))
    else:
        inputs = problem.draw(case.size, seed)
    return _case(problem, case.size, case.dtype, case.operator, seed, inputs)


def rounded(inputs: Inputs, dtype: str) -> Inputs:
    """Return floating inputs as float64 arrays rounded to ``dtype``, other arrays unchanged."""
    return Inputs(
        tuple(_round(x, dtype) for x in inputs.differentiated),
        tuple(_round(x, dtype) for x in inputs.data),
        inputs.static,
    )


def cast(array: Array, dtype: str) -> Array:
    """Return a floating array in ``dtype``, the dtype of the cell, or a complex one with parts of it.

    Any other array stays. A number of Python or NumPy is an array of no axes: sums and products of such arrays are
    numbers, and are sent to workers as such.
    """
    array = np.asarray(array)
    if np.iscomplexobj(array):
        return array.astype(complex_dtype(dtype))
    return array.astype(numpy_dtype(dtype)) if np.issubdtype(array.dtype, np.floating) else array


def leaves(result: Any) -> tuple[Any, ...]:
    """Return the arrays in the nested tuples or lists of a result, in order."""
    if isinstance(result, (tuple, list)):
        return tuple(leaf for part in result for leaf in leaves(part))
    return (result,)


def _optimizer(problem: Problem) -> Optimizer:
    return next((d.optimizer for d in problem.descent.values()), DEFAULT_OPTIMIZER)


def _round(array: Array, dtype: str) -> Array:
    if np.iscomplexobj(array):
        return cast(np.asarray(array), dtype).astype(np.complex128)
    return cast(np.asarray(array), dtype).astype(np.float64) if _floating(array) else np.asarray(array)


def _floating(array: Array) -> bool:
    return np.issubdtype(np.asarray(array).dtype, np.floating)


def _stream(*key: Any) -> np.random.Generator:
    """Return a generator that is seeded by names, equally in every process (``hash`` differs between processes)."""
    return np.random.default_rng(zlib.crc32(repr(tuple(map(str, key))).encode()))


def _directions(
    problem: Problem, operator: Operator, inputs: Inputs, rng: np.random.Generator, count: int | None
) -> Iterator[Array]:
    """Yield directions with entries sign * U(0.5, 1.5): entries of +-1 alone would miss a swap of two coordinates.

    The imaginary parts of complex directions are drawn alike.
    """
    takes = directed(operator)
    if operator == Operator.LAPLACIAN_ESTIMATE:
        for x in inputs.differentiated:
            yield rng.choice([-1.0, 1.0], size=(PROBES, *x.shape))
        return
    if takes in (Operator.JVP, Operator.HVP):
        like = list(inputs.differentiated)
    elif takes == Operator.VJP:
        like = [objective_value(problem, inputs)]
    else:
        like = []
    for array in like:
        shape = (count or DIRECTIONS, *array.shape) if operator in BATCHES and operator not in SAMPLED else array.shape
        entries = _entries(rng, shape)
        yield entries + 1j * _entries(rng, shape) if np.iscomplexobj(array) else entries


def _entries(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 1.5, size=shape))


def sent(case: Case) -> tuple[Any, ...]:
    """Return what a process needs to compute a case without drawing it: its NumPy may draw other numbers, or none.

    Returns
    -------
    tuple
        For the case and for its `tracing_case`: arrays, directions, number of differentiated arrays, keywords. Then the
        patterns of a sparse result.
    """
    points = [
        (c.inputs.arrays, c.directions, len(c.inputs.differentiated), _packed(dict(c.inputs.static)))
        for c in (case, tracing_case(case))
    ]
    return (*points, [(p.shape, p.rows, p.columns) for p in case.entries])


def received(
    problem: Problem, size: str, dtype: str, operator: Operator, seed: int, numbers: Sequence[Any]
) -> tuple[Case, Case]:
    """Return a case and its tracing case from the `sent` ones."""
    *points, entries = numbers
    patterns = tuple(Pattern(tuple(shape), rows, columns) for shape, rows, columns in entries)
    case, other = (
        Case(problem, size, dtype, operator, seed, inputs, directions, _optimizer(problem), patterns)
        for inputs, directions in (_received(problem, size, seed, *point) for point in points)
    )
    return case, other


def _received(
    problem: Problem, size: str, seed: int, arrays: Sequence[Array], directions: Sequence[Array], n: int, packed: Any
) -> tuple[Inputs, tuple[Array, ...]]:
    static = problem.draw(size, seed).static if packed is None else _unpacked(packed)
    return Inputs(tuple(arrays[:n]), tuple(arrays[n:]), static), tuple(directions)


#: Types of keywords that arrive at another process as they are.
_PLAIN = (str, int, float, bool, type(None), np.ndarray)


def _packed(value: Any) -> Any:
    """Return a value with its tuples, lists and dictionaries marked as such; `None` if it holds anything else."""
    try:
        return _marked(value)
    except TypeError:
        return None


def _marked(value: Any) -> Any:
    if type(value) in (tuple, list):
        return {type(value).__name__: [_marked(part) for part in value]}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": [[key, _marked(part)] for key, part in value.items()]}
    if type(value) in _PLAIN:
        return value
    raise TypeError(f"got {type(value).__name__}, expected numbers, texts, arrays and containers of them")


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, parts),) = value.items()
    if kind == "dict":
        return {key: _unpacked(part) for key, part in parts}
    return tuple(map(_unpacked, parts)) if kind == "tuple" else list(map(_unpacked, parts))
