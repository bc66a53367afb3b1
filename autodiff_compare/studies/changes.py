"""Changed descents: a study from another start, to another target, at another size or learning rate.

A changed descent has a name of its own, the name of the study's descent followed by what is changed::

    cleared lr=1e-05 start=0.1,0.2,0.3,0.4

so that its rows are told apart from those of the study everywhere, and so that a worker, a resumed run and a report
find the same descent from its name alone: `descent_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from autodiff_compare.problems import Descent, Inputs, Problem, ProblemError, available, filled, number, size_with
from autodiff_compare.vocabulary import Operator, Optimizer

#: Descent of a problem that declares none: plain gradient descent with the learning rate that is given.
PLAIN = "sgd"
#: Its updates, where no other number is given.
_PLAIN_UPDATES = 1000


@dataclass(frozen=True)
class Changes:
    """The changes of a descent; a field is `None` or empty where the descent stays as the problem declares it.

    Parameters
    ----------
    size
        Size n of the problem.
    lr
        Learning rate; of an adaptive descent the first step size.
    stop
        Loss at which the descent stops.
    target
        Entries of the array that the descent aims at.
    start
        Entries of the differentiated arrays at the start.
    """

    size: int | None = None
    lr: float | None = None
    stop: float | None = None
    target: tuple[float, ...] = ()
    start: tuple[float, ...] = ()

    def named(self, descent: str) -> str:
        """Return the name of a descent with these changes."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return " ".join([descent, *(f"{k}={_text(v)}" for k, v in given.items() if v is not None and v != ())])


def parsed(name: str, known: Iterable[str] = ()) -> tuple[str, Changes]:
    """Return the name of a problem's descent, and the changes that a name adds to it.

    Parameters
    ----------
    name
        The whole name.
    known
        Names of the problem's descents, which may have spaces.

    Raises
    ------
    ProblemError
        If a change is malformed.
    """
    bases = [base for base in known if name == base or name.startswith(f"{base} ")]
    descent = max(bases, key=len, default=name.split(" ")[0])
    words = name[len(descent) :].split()
    given: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in _READ:
            raise ProblemError(f"got descent {name!r}, expected changes of {', '.join(_READ)} after its name")
        try:
            given[key] = _READ[key](value)
        except ValueError as error:
            raise ProblemError(f"got {word!r} in descent {name!r}, expected numbers after '='") from error
    return descent, Changes(**given)


def descent_of(problem: Problem, name: str) -> Descent:
    """Return the descent of a problem by its name, with the changes that the name states.

    Raises
    ------
    ProblemError
        If there is no such descent, or it cannot be changed so; the message says what can.
    """
    base, changes = parsed(name, problem.descent)
    if base not in problem.descent and not (base == PLAIN and not problem.descent and changes.lr is not None):
        known = ", ".join(problem.descent) or "it has none"
        raise ProblemError(f"got descent {base!r}, expected one of {problem.name}: {known}")
    found = problem.descent[base] if base in problem.descent else _plain(problem)
    found = _at_size(problem, base, found, changes)
    if changes.lr is not None:
        found = replace(found, optimizer=replace(found.optimizer, learning_rate=changes.lr))
    if changes.stop is not None:
        found = replace(found, stop_loss=changes.stop)
    if changes.target:
        found = replace(found, start=_aimed(problem, base, found, changes.target))
    if changes.start:
        found = replace(found, start=_begun(problem, found.start, changes.start), starts=(0,))
    return found


def _plain(problem: Problem) -> Descent:
    """Return gradient descent from the problem's own inputs, for a problem that declares no descent."""
    if problem.operators and Operator.GRADIENT not in problem.operators:
        raise ProblemError(f"got {problem.name}, whose value is not a scalar, expected a loss to minimise")

    def at(n: int | None) -> Descent:
        def start(seed: int) -> Inputs:
            if n is None:
                return problem.draw(problem.smallest, seed)
            return problem.inputs(np.random.default_rng(seed), n)

        return Descent(Optimizer("sgd", 1.0), start, max_iterations=_PLAIN_UPDATES, sized=at)

    return at(None)


def _at_size(problem: Problem, name: str, found: Descent, changes: Changes) -> Descent:
    """Return the descent at the size of the changes: the one that is stated, or the one that the numbers need."""
    sized = found.sized
    if changes.size is not None:
        if sized is None:
            raise ProblemError(f"got --size for descent {name} of {problem.name}, expected none: it has one size")
        return _tried(problem, lambda: sized(changes.size), f"--size {changes.size}")  # type: ignore[arg-type]
    if sized is None:
        return found
    for numbers, part in ((changes.start, _start_part), (changes.target, _target_part(found))):
        if numbers and part(found.start(0)).size != len(numbers):
            n = size_with(len(numbers), lambda n, part=part: Inputs((part(sized(n).start(0)),)), ())  # type: ignore[misc]
            return found if n is None else sized(n)
    return found


def _start_part(inputs: Inputs) -> Any:
    return np.concatenate([np.ravel(x) for x in inputs.differentiated])


def _target_part(found: Descent) -> Callable[[Inputs], Any]:
    return lambda inputs: inputs.data[found.target] if found.target is not None else np.empty(0)


def _tried(problem: Problem, made: Callable[[], Descent], what: str) -> Descent:
    """Return a descent whose start can be made; a size that the problem cannot have may raise anything."""
    try:
        found = made()
        found.start(0)
    except Exception as error:
        raise ProblemError(f"got {what}, which {problem.name} cannot have: {type(error).__name__}: {error}") from error
    return found


def _aimed(problem: Problem, name: str, found: Descent, target: Sequence[float]) -> Callable[[int], Inputs]:
    """Return ``start`` with the target in place of the descent's own."""
    where = found.target
    if where is None:
        others = [p.name for p in available().values() if any(d.target is not None for d in p.descent.values())]
        raise ProblemError(
            f"got --target for descent {name} of {problem.name}, which has none to change, expected one of: "
            f"{', '.join(others)}"
        )
    before = found.start
    shape = before(0).data[where].shape
    if len(target) != int(np.prod(shape)):
        raise ProblemError(f"got {len(target)} numbers in --target, expected an array of shape {shape}")

    def start(seed: int) -> Inputs:
        inputs = before(seed)
        data = list(inputs.data)
        data[where] = np.asarray(target, np.float64).reshape(shape)
        return Inputs(inputs.differentiated, tuple(data), inputs.static)

    return start


def _begun(problem: Problem, before: Callable[[int], Inputs], numbers: Sequence[float]) -> Callable[[int], Inputs]:
    """Return ``start`` at the given numbers, with the data of the descent's own start."""
    try:
        filled(before(0), numbers)
    except ProblemError as error:
        raise ProblemError(f"{error}, in --start of {problem.name}") from error
    return lambda seed: filled(before(seed), numbers)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(number, value))
    return str(value) if isinstance(value, int) else number(value)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


_READ: Mapping[str, Callable[[str], Any]] = {
    "size": int,
    "lr": float,
    "stop": float,
    "target": _numbers,
    "start": _numbers,
}
