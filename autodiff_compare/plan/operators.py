"""The operators of a problem that a query asks for, and why others are not computed of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from autodiff_compare.plan.query import ALL_OPERATORS
from autodiff_compare.problems import SCALAR, VECTOR, Problem
from autodiff_compare.vocabulary import BATCHES, COMPLEX, OF_HESSIAN, ON_REQUEST, SAMPLED, Operator

#: The operators that a user most likely wants, in this order.
_LEADING = (Operator.GRADIENT, Operator.JACOBIAN)
_SCALAR_ONLY = SCALAR - VECTOR
#: The operators that only a scalar function has.
OF_SCALARS = _SCALAR_ONLY | {o for o, needs in ON_REQUEST.items() if needs & _SCALAR_ONLY}


def operators_of(problem: Problem, names: Collection[str]) -> list[Operator]:
    """Return the operators of a problem that are named, all if none is named, in the order of the vocabulary.

    The value comes first, since other operators are compared with it. What `vocabulary.ON_REQUEST` lists follows from
    other operators of the problem, and is computed only if it is named.
    """
    has = _own(problem)
    if names:
        has |= {o for o, needs in ON_REQUEST.items() if needs <= has and _applies(problem, o)}
    return [o for o in Operator if o in has and (not names or o in names)]


def asked(problem: Problem, names: Collection[str], *, lead: bool) -> list[Operator]:
    """Return the operators of a problem that a query asks for, as `operators_of`.

    Parameters
    ----------
    problem, names
        The problem, and the operators of the query; `ALL_OPERATORS` stands for those without any name.
    lead
        Whether the gradient, or else the Jacobian, stands for the operators where none is named; all of them where the
        problem has neither.
    """
    if lead and not names:
        has = _own(problem)
        return operators_of(problem, [o for o in _LEADING if o in has][:1])
    if ALL_OPERATORS not in names:
        return operators_of(problem, names)
    named = {name for name in names if name != ALL_OPERATORS}
    chosen = {*operators_of(problem, ()), *(operators_of(problem, named) if named else ())}
    return [o for o in Operator if o in chosen]


def leading(operators: Iterable[str]) -> Operator:
    """Return the operator that a user most likely wants: the gradient, else the Jacobian, else the first."""
    has = set(operators)
    return Operator(next(o for o in (*_LEADING, *Operator) if o in has))


def _own(problem: Problem) -> set[Operator]:
    return set(problem.operators) | ({Operator.STEP} if problem.descent else set())


def _applies(problem: Problem, operator: Operator) -> bool:
    """Return whether an operator on request can be computed of a problem that has what it needs.

    What is not shaped like an input cannot be normalised, and a batch over samples needs arrays of samples.
    """
    if problem.complex_numbers and operator not in COMPLEX:
        return False
    if operator == Operator.SPARSE_JACOBIAN or operator in OF_HESSIAN:
        return problem.normalise is None
    return operator not in SAMPLED or bool(problem.samples)


def computed_at(problem: Problem, size: str, operator: Operator, degrees: Collection[int]) -> bool:
    """Return whether an operator is computed at a size of a problem that has it.

    A size with a number of rows is one of batches, and a size with a degree is one of Taylor series. Where a query
    gives ``degrees``, a series has no other one.
    """
    rows, degree = problem.rows_of(size)[1], problem.degree_of(size)[1]
    if operator == Operator.TAYLOR:
        return rows is None and (degree is not None or not degrees)
    return degree is None and (rows is None or operator in BATCHES)


def not_computed(found: Sequence[Problem], names: Iterable[str], sizes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield ``operator of problem (reason)`` for each named operator without a cell; problems with one reason together.

    Parameters
    ----------
    sizes
        Problem -> its sizes in the run.
    """
    names = list(names)
    problems: dict[tuple[str, str], list[str]] = {}
    for problem in found:
        rows = [size for size in sizes[problem.name] if problem.rows_of(size)[1] is not None]
        for name in names:
            if name not in operators_of(problem, [name]):
                problems.setdefault((name, _reason(problem, Operator(name))), []).append(problem.name)
            elif rows and name not in BATCHES and len(rows) == len(sizes[problem.name]):
                problems.setdefault((name, _of_rows(problem, rows)), []).append(problem.name)
        if rows and not names:
            problems.setdefault((f"size {', '.join(rows)}", _of_rows(problem, rows)), []).append(problem.name)
    for (name, why), having in problems.items():
        shown = ", ".join(having[:_MOST]) + (f" and {len(having) - _MOST} more" if len(having) > _MOST else "")
        yield f"{name} of {shown} ({why})"


def _of_rows(problem: Problem, sizes: Sequence[str]) -> str:
    """Return why a size with a number of rows has no cell, and what to do."""
    batches = [o for o in operators_of(problem, list(BATCHES)) if o in BATCHES]
    add = f"add -o {' or -o '.join(batches)}, or " if batches else ""
    rows = ", ".join(f"x{problem.rows_of(size)[1]}" for size in sizes)
    verb = "sets" if len(sizes) == 1 else "set"
    return f"{rows} {verb} the rows of a batch: {add}drop {rows}"


#: Problems that are named in one reason; further ones are counted.
_MOST = 4


def _reason(problem: Problem, operator: Operator) -> str:
    """Return why a problem does not have an operator, and what to do."""
    if operator in OF_SCALARS and Operator.GRADIENT not in problem.operators:
        real = "of real values: take jacobian, jvp or vjp" if problem.complex_numbers else ""
        return f"it needs a scalar function {real}".strip()
    if problem.complex_numbers and operator not in COMPLEX:
        return "it is not defined for complex numbers: take hvp, or real and imaginary parts as two inputs"
    if problem.complex_numbers and Operator.JACOBIAN in _needed(operator) - problem.operators:
        return "it needs a holomorphic function: take jvp and vjp"
    if operator in SAMPLED and not problem.samples:
        return "name the samples: SAMPLES = ('x',)"
    if operator == Operator.STEP:
        return "it needs a descent"
    if not _applies(problem, operator):
        return "the results of the problem are normalised"
    missing = sorted(map(str, _needed(operator) - _own(problem)))
    return f"the problem does not offer {', '.join(missing)}"


def _needed(operator: Operator) -> frozenset[Operator]:
    """Return the operators that a problem must have for one."""
    return ON_REQUEST.get(operator, frozenset({operator}))


def idle_backend(spec: str, operators: Collection[Operator], found: Sequence[Problem]) -> str:
    """Return why a backend that takes part in some operators only has no cell, and which operator to add."""
    *others, last = _named(operators)
    only = f"{', '.join(others)} and {last}" if others else last
    kind = " of scalar functions" if set(operators) <= OF_SCALARS else ""
    possible = {o for problem in found for o in operators_of(problem, list(Operator))}
    add = _named(set(operators) & possible)
    hint = f": add -o {add[0]}" if add else ""
    return f"{spec} (it computes only {only}{kind}{hint})"


def _named(operators: Collection[Operator]) -> list[str]:
    return [str(o) for o in Operator if o in operators]
