"""Functions of complex numbers, judged as the same functions of pairs of real numbers.

A complex number ``a + ib`` is the pair (a, b). A function of n complex numbers is a function of 2n real ones, and its
derivative is that of the real function, whatever conventions there are. So every part of the judge sees real numbers:
closed forms and extended precision, differences along the real and the imaginary direction of each input, tolerances of
each part, Monte Carlo rounding. A result in complex numbers is turned into what it says of the pairs.

With ``dz = da + i db``, the convention of `autodiff_compare.backends.operators.complex_numbers` says:

- *gradient* ``g`` of a real value: ``dL = Re(conj(g) dz)``, so the pair of ``g`` is (dL/da, dL/db).
- *jvp*, *hvp*: the tangent of an output, or of the gradient, is a complex number. Its pair is the tangent of the pair.
- *vjp* ``w`` of a cotangent ``u``: ``Re(conj(w) dz) = Re(conj(u) dy)``. In pairs both are sums of products of parts.
- *jacobian* ``J``: ``dy = J dz``, or ``dy = Re(J dz)`` for a real output. With ``J = p + iq``, where rows are the parts
  of the output and columns those of the input::

      complex input and output  complex output  complex input
      p  -q                     p               p  -q
      q   p                     q

A matrix ``J`` of complex numbers asserts four numbers by two. All four are compared, so that a function that is not
holomorphic fails: no such matrix is its derivative.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.backends import numpy_autodiff
from autodiff_compare.judge.comparison import composed, join_notes
from autodiff_compare.judge.verdicts import PROVED, Comparison
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.precision import complex_dtype
from autodiff_compare.problems import Array, Inputs, Problem, ProblemError
from autodiff_compare.vocabulary import BATCHES, HALF_DTYPES, PARTS, Operator

_Form = Callable[..., Any]
#: What an index of a pair means, for the table of checks.
PAIRS = "complex numbers as pairs: index 0 is the real part, 1 the imaginary part"


# Linear maps between pairs and complex numbers, of any width. The transpose of (a, b) -> a + ib in Re sum(g t) is
# g -> (Re g, -Im g), the pair of conj(g); that of z -> (Re z, Im z) is (g, h) -> g - ih.


def _pulled_to_pairs(g: Any, ans: Any, x: Any) -> Any:  # noqa: ARG001 - the names of a rule
    return split_parts(np.conj(g))


def _pushed_from_pairs(t: Any, ans: Any, x: Any) -> Any:  # noqa: ARG001
    return join_parts(t)


def _pulled_from_pairs(g: Any, ans: Any, z: Any) -> Any:  # noqa: ARG001
    return np.conj(join_parts(g))


def _pushed_to_pairs(t: Any, ans: Any, z: Any) -> Any:  # noqa: ARG001
    return split_parts(t)


@numpy_autodiff.custom_rule(vjp=(_pulled_to_pairs,), jvp=(_pushed_from_pairs,))
def join_parts(x: Any) -> Any:
    """Return pairs along the last axis as complex numbers, bit by bit: also signed zeros and infinities."""
    kind = np.result_type(x.dtype, np.complex64)
    pairs = np.ascontiguousarray(x, dtype=np.zeros(0, kind).real.dtype)
    return pairs.view(kind)[..., 0].copy()[()]


@numpy_autodiff.custom_rule(vjp=(_pulled_from_pairs,), jvp=(_pushed_to_pairs,))
def split_parts(z: Any) -> Any:
    """Return real and imaginary parts along a new last axis."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def is_complex(case: Case) -> bool:
    """Return whether the problem of a case has complex numbers."""
    return case.problem.complex_numbers


def refused(case: Case) -> str:
    """Return why a case has no complex numbers; empty if it has, or needs none."""
    if is_complex(case) and case.dtype in HALF_DTYPES:
        return f"there are no complex numbers of {case.dtype}: use float32 or float64"
    return ""


def in_pairs(case: Case) -> Case:
    """Return the case of the same function of pairs; a case of real numbers as it is.

    Raises
    ------
    ProblemError
        If NumPy cannot evaluate the function.
    """
    if not is_complex(case):
        return case
    inputs = case.inputs
    return replace(
        case,
        problem=_problem(case),
        inputs=Inputs(tuple(map(_pair, inputs.differentiated)), tuple(map(_pair, inputs.data)), inputs.static),
        directions=tuple(map(_pair, case.directions)),
    )


def dtypes(case: Case) -> list[str]:
    """Return the dtype of each leaf of a right result."""
    whole = str(complex_dtype(case.dtype))
    return [whole if which else case.dtype for which in _complex_leaves(case)]


def result_in_pairs(case: Case, result: Sequence[Array]) -> list[Array]:
    """Return the leaves of a result as derivatives of the function of pairs; their shapes must be right."""
    if case.operator in PARTS:
        found = (result_in_pairs(part, leaves) for part, leaves in composed(case, result))
        return list(itertools.chain.from_iterable(found))
    if BATCHES.get(case.operator, case.operator) != Operator.JACOBIAN:
        pairs = zip(_complex_leaves(case), result, strict=True)
        return [np.asarray(split_parts(leaf)) if which else leaf for which, leaf in pairs]
    output = np.iscomplexobj(case.output)
    return [
        _slopes(leaf, x.ndim, output, np.iscomplexobj(x))
        for leaf, x in zip(result, case.inputs.differentiated, strict=True)
    ]


def in_words(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return comparisons of pairs with a note where an index needs it."""
    return tuple(c if c.verdict in PROVED else replace(c, note=join_notes(c.note, PAIRS)) for c in comparisons)


def _pair(array: Array) -> Array:
    return np.asarray(split_parts(array)) if np.iscomplexobj(array) else array


def _complex_leaves(case: Case) -> list[bool]:
    """Return for each leaf of a result whether it is complex."""
    if case.operator in PARTS:
        parts = (replace(case, operator=part) for part in PARTS[case.operator])
        return list(itertools.chain.from_iterable(map(_complex_leaves, parts)))
    operator, output = BATCHES.get(case.operator, case.operator), np.iscomplexobj(case.output)
    if operator in (Operator.VALUE, Operator.JVP):
        return [output]
    either = output and operator == Operator.JACOBIAN
    return [either or np.iscomplexobj(x) for x in case.inputs.differentiated]


def _slopes(J: Array, dimensions: int, output: bool, by: bool) -> Array:
    """Return the derivatives of parts by parts that a Jacobian block asserts.

    Parameters
    ----------
    J
        A block of the Jacobian, ``output.shape + input.shape``, after axes of a batch.
    dimensions
        The number of axes of the input.
    output, by
        Whether the output is complex, and the input.

    Returns
    -------
    Array
        The block with an axis of two behind those of the output and of the input, each if it is complex.
    """
    p, q = np.real(J), np.imag(J)
    rows = [np.stack([p, -q], axis=-1), np.stack([q, p], axis=-1)] if by else [p, q]
    return np.stack(rows, axis=J.ndim - dimensions) if output else rows[0]


# ---- the problem of pairs


def _problem(case: Case) -> Problem:
    problem, inputs = case.problem, case.inputs
    complex_arrays = [np.iscomplexobj(a) for a in inputs.arrays]
    objective = _evaluated(problem)

    def of_pairs(*arrays: Any, xp: Any, **named: Any) -> Any:
        found = objective(*_joined(complex_arrays, arrays), xp=xp, **named)
        return split_parts(found) if np.iscomplexobj(found) else found

    return replace(
        problem,
        objective=of_pairs,
        native={},
        reference=dict(_references(case, complex_arrays)),
        pattern=None,
        typical=tuple(_typical(problem, inputs)),
        complex_numbers=False,
    )


def _evaluated(problem: Problem) -> _Form:
    """Return the objective, or the function that a user wrote for NumPy."""
    if problem.objective is not None:
        return problem.objective
    own = problem.native.get("numpy")
    if own is None:
        raise ProblemError(
            f"got functions of complex numbers for {', '.join(problem.native)} alone in {problem.name}, expected one"
            " that NumPy evaluates: add it under 'numpy'"
        )
    return lambda *arrays, xp, **named: own(*arrays, **named)  # noqa: ARG005


def _joined(complex_arrays: Sequence[bool], arrays: Sequence[Any]) -> list[Any]:
    """Return arguments of pairs as complex numbers; directions follow the arrays, in the kinds of the first of them."""
    kinds = itertools.chain(complex_arrays, complex_arrays)
    return [join_parts(a) if which else a for which, a in zip(kinds, arrays, strict=False)]


def _typical(problem: Problem, inputs: Inputs) -> Iterator[Any]:
    """Yield the typical sizes of the parts: both have the size of their number."""
    stated = problem.typical or (None,) * len(inputs.differentiated)
    for size, x in zip(stated, inputs.differentiated, strict=True):
        if np.iscomplexobj(x):
            own = np.abs(x) if size is None else np.broadcast_to(np.asarray(size, np.float64), x.shape)
            yield np.stack([own, own], axis=-1)
        else:
            yield size


def _references(case: Case, complex_arrays: Sequence[bool]) -> Iterator[tuple[Operator, _Form]]:
    """Yield the closed forms of the problem as those of pairs."""
    forms: Mapping[Operator, _Form] = case.problem.reference
    inputs, output = case.inputs, np.iscomplexobj(case.output)

    def of_pairs(form: _Form, turned: Callable[[list[Any]], Any]) -> _Form:
        def found(*arrays: Any, **named: Any) -> Any:
            leaves = form(*_joined(complex_arrays, arrays), **named)
            return turned(list(leaves) if isinstance(leaves, (tuple, list)) else [leaves])

        return found

    def each(leaves: list[Any]) -> Any:
        return tuple(_pair(np.asarray(leaf)) for leaf in leaves)

    def blocks(leaves: list[Any]) -> Any:
        by = zip(leaves, inputs.differentiated, strict=True)
        return tuple(_slopes(np.asarray(J), x.ndim, output, np.iscomplexobj(x)) for J, x in by)

    if Operator.VALUE in forms:
        yield Operator.VALUE, of_pairs(forms[Operator.VALUE], lambda leaves: each(leaves)[0])
    if Operator.GRADIENT in forms:
        yield Operator.GRADIENT, of_pairs(forms[Operator.GRADIENT], each)
    if Operator.JACOBIAN in forms:
        yield Operator.JACOBIAN, of_pairs(forms[Operator.JACOBIAN], blocks)
    elif Operator.JVP in forms:
        pushed = of_pairs(forms[Operator.JVP], lambda leaves: each(leaves)[0])
        yield Operator.JACOBIAN, _by_columns(pushed, len(inputs.differentiated))


def _by_columns(pushed: _Form, count: int) -> _Form:
    """Return the Jacobian of pairs from its products with all unit tangents."""

    def jacobian(*arrays: Any, **named: Any) -> tuple[Any, ...]:
        zeros, found = [np.zeros_like(x) for x in arrays[:count]], []
        for k, x in enumerate(arrays[:count]):
            units = np.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
            columns = [pushed(*arrays, *zeros[:k], unit, *zeros[k + 1 :], **named) for unit in units]
            found.append(np.stack(columns, axis=-1).reshape(np.shape(columns[0]) + x.shape))
        return tuple(found)

    return jacobian
