"""The recorder: one evaluation of an objective in plain NumPy, written down as a program.

The objective gets arrays and a namespace that note every call with its operands and the line that made it. Values are
known while it is recorded, so branches and loops of Python go the way that NumPy takes; the places where that happens
are noted (`Program.decided`).

A loop (``scan``, ``while_loop``) becomes one operation with a body, recorded in its first round, or is unrolled: one
operation after the other, as often as NumPy runs it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np

from autodiff_compare.backends import PLAIN, python_scan, python_while
from autodiff_compare.explaining.recording.alignment import COLUMNS
from autodiff_compare.explaining.recording.arrays import NUMPY_CALLED, RecordedArray, RecordedDtype, Source
from autodiff_compare.explaining.recording.containers import arrays_in, holds_array, is_array, plain
from autodiff_compare.explaining.recording.places import place
from autodiff_compare.explaining.recording.program import Body, Place, Program, Step, Text, Use, Variable
from autodiff_compare.problems import Array, Inputs, Problem
from autodiff_compare.process.failures import described
from autodiff_compare.taps import listening

#: Most operations of a program: a framework would trace and compile for minutes.
MOST_STEPS = 5000


class RecordError(ValueError):
    """An objective cannot be recorded; the message names the reason and what to do."""


def recorded(problem: Problem, inputs: Inputs, *, unrolled: bool = False) -> Program:
    """Return the program of a problem's objective.

    A nested derivative is one operation of it. `autodiff_compare.explaining.recording.inside` returns the function that
    is differentiated there.

    Parameters
    ----------
    problem
        A problem with an ``objective`` of the array namespace.
    inputs
        The inputs, in the dtype of the cell.
    unrolled
        Whether loops are recorded round by round.

    Raises
    ------
    RecordError
        If the objective returns no array that depends on its inputs, has too many operations, or does with an
        intermediate result what cannot be recorded.
    """
    if problem.objective is None:
        raise RecordError(f"{problem.name} has no objective of xp, only functions of single frameworks: set taps there")
    return recorded_by(Recorder(unrolled), problem, inputs)


def recorded_by(recorder: Recorder, problem: Problem, inputs: Inputs) -> Program:
    """Return the program of an objective that a recorder is given; see `recorded`."""
    neutral = problem.function(recorder, inputs.static)
    arrays = [
        recorder.variable(f"{kind}{i}", np.asarray(x), kind == "a")
        for kind, group in (("a", inputs.differentiated), ("d", inputs.data))
        for i, x in enumerate(group)
    ]
    count = len(inputs.differentiated)
    with np.errstate(all="ignore"), listening(recorder.tapped):
        try:
            out = neutral(*arrays)
        except RecordError:
            raise
        except Exception as error:  # the objective runs in plain NumPy: it does with recorded arrays what they cannot
            # NumPy's own message is about the class of the recorded arrays.
            why = NUMPY_CALLED if "ufunc" in str(error) else described(error)
            raise RecordError(f"cannot record {problem.name}: {why}") from error
    if not isinstance(out, RecordedArray):
        raise RecordError(f"got {type(out).__name__} from {problem.name}, expected an array computed from its inputs")
    return Program(
        inputs=tuple(map(variable_of, arrays[:count])),
        data=tuple(map(variable_of, arrays[count:])),
        steps=tuple(recorder.steps),
        output=out.name,
        constants=tuple(recorder.constants),
        values=recorder.values | {a.name: a.value for a in arrays},
        tools=problem.uses,
        decided=tuple(dict.fromkeys(recorder.decided)),
    )


def variable_of(array: RecordedArray) -> Variable:
    """Return the variable of a recorded array."""
    return Variable(array.name, np.shape(array.value), str(np.asarray(array.value).dtype), array.active)


class _Namespace:
    """A namespace whose functions record their calls."""

    def __init__(self, recorder: Recorder, own: Any, path: str) -> None:
        self._recorder, self._own, self._path = recorder, own, path

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._own, name)
        path = f"{self._path}.{name}"
        if isinstance(found, (ModuleType, SimpleNamespace)):
            return _Namespace(self._recorder, found, path)
        if isinstance(found, type) or not callable(found):
            return found
        return self._recorder.function(path, found)


class Recorder:
    """The members of a backend that an objective uses; each notes what is called.

    Parameters
    ----------
    unrolled
        Whether loops are recorded round by round.
    within
        Index of a nested derivative whose function is recorded besides.

    Attributes
    ----------
    steps, constants, values, decided
        As in `Program`.
    inside
        The input, the operations and the result of that function.
    """

    def __init__(self, unrolled: bool, within: int | None = None) -> None:
        self.xp: Any = _Namespace(self, PLAIN.xp, "xp")
        self.steps: list[Step] = []
        self.constants: list[Any] = []
        self.values: dict[str, Array] = {}
        self.decided: list[Place] = []
        self.inside: tuple[RecordedArray, tuple[Step, ...], RecordedArray] | None = None
        self._unrolled, self._within = unrolled, within
        self._active: set[str] = set()
        self._names = self._uses = 0
        self._depth = 0

    def implementation(
        self, native: Mapping[str, Callable[..., Any]], neutral: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        """Return the function of ``xp``: only it can be recorded."""
        del native
        assert neutral is not None, "a problem without one is refused before"
        return neutral

    # ---- what arrays and namespaces call

    def variable(self, name: str, value: Any, active: bool) -> RecordedArray:
        """Return a new array."""
        if active:
            self._active.add(name)
        return RecordedArray(self, name, value, active)

    def function(self, name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of the namespace that records its calls."""

        def call(*args: Any, **kwargs: Any) -> Any:
            text = [Source(f"{name}("), *_arguments(args, kwargs), Source(")")]
            found = own(*map(plain, args), **plain(kwargs))
            if name in COLUMNS and not self._depth:
                text = _aligned(name, text, found)
            return self._step(name, text, found)

        return call

    def method(self, array: RecordedArray, name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of an array that records its calls."""

        def call(*args: Any, **kwargs: Any) -> Any:
            text = [array, Source(f".{name}("), *_arguments(args, kwargs), Source(")")]
            return self.operation(f".{name}", text, lambda: own(*map(plain, args), **plain(kwargs)))

        return call

    def operation(self, name: str, text: list[Any], compute: Callable[[], Any]) -> Any:
        """Record an operation and return its result; what is no array is returned as it is, and not recorded."""
        return self._step(name, text, compute())

    def decide(self) -> None:
        """Note that the objective reads a number of an intermediate result."""
        self.decided.append(place("recorded_by"))

    def tapped(self, name: str, x: Any) -> Any:
        """Record a tap: an operation that returns its operand."""
        if not isinstance(x, RecordedArray):
            return x
        return self._step("tap", [x], x.value, label=name)

    # ---- loops and nested derivatives

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> Any:
        """Record `autodiff_compare.backends.interface.Backend.scan`."""
        rounds = len(xs[0] if isinstance(xs, tuple) else xs)
        if self._unrolled or not rounds:
            return python_scan(self.xp, f, init, xs)
        with self._muted():
            first = tuple(x[0] for x in xs) if isinstance(xs, tuple) else xs[0]
            found = python_scan(self.xp, f, init, xs)
        body = self._body(f, (init, first))
        text = [Source(f"scan({body.name}, "), init, Source(", "), xs, Source(")")]
        return self._step("scan", text, plain(found), (body,))

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        """Record `autodiff_compare.backends.interface.Backend.while_loop`."""
        if self._unrolled:
            return python_while(cond, body, init, limit)
        test, action = self._body(cond, (init,)), self._body(body, (init,))
        with self._muted():
            found = python_while(cond, body, init, limit)
        text = [Source(f"while_loop({test.name}, {action.name}, "), init, Source(f", {limit})")]
        return self._step("while_loop", text, plain(found), (test, action))

    def derivative(self, f: Callable[..., Any], mode: Literal["reverse", "forward"] = "reverse") -> Any:
        """Record `autodiff_compare.backends.interface.Backend.derivative`."""
        return self._nested("derivative", PLAIN.derivative, f, mode)

    def value_and_derivative(self, f: Callable[..., Any], mode: Literal["reverse", "forward"] = "reverse") -> Any:
        """Record `autodiff_compare.backends.interface.Backend.value_and_derivative`."""
        return self._nested("value_and_derivative", PLAIN.value_and_derivative, f, mode)

    def _nested(self, name: str, transform: Callable[..., Any], f: Callable[..., Any], mode: str) -> Callable[..., Any]:
        def of_values(z: Any) -> Any:
            # The engine traces through the recorded arrays: their values are its nodes.
            return plain(f(self.variable("z", z, True)))

        def derivative(x: Any) -> Any:
            if not self._depth and self._within == len(self.steps):
                self._look_inside(f, x)
            body = self._body(f, (x,))
            with self._muted():
                found = transform(of_values, mode)(plain(x))
            return self._step(name, [Source(f"{name}({body.name}, {mode!r})("), x, Source(")")], found, (body,))

        return derivative

    def _look_inside(self, f: Callable[..., Any], x: Any) -> None:
        """Record a function at a point, with the values of its operations."""
        kept, self.steps, self._within = self.steps, [], None
        z = self.variable(self._name("z"), plain(x), True)
        self.values[z.name] = z.value
        try:
            out = f(z)
            if isinstance(out, RecordedArray):
                self.inside = z, tuple(self.steps), out
        finally:
            self.steps = kept

    @contextlib.contextmanager
    def _aside(self) -> Iterator[list[Step]]:
        """Record into a list of its own within a context."""
        kept, self.steps = self.steps, []
        self._depth += 1
        try:
            yield self.steps
        finally:
            self._depth -= 1
            self.steps = kept

    @contextlib.contextmanager
    def _muted(self) -> Iterator[None]:
        """Compute values within a context, of which nothing is recorded."""
        constants, decided = len(self.constants), len(self.decided)
        with self._aside():
            yield
        del self.constants[constants:], self.decided[decided:]

    def _body(self, f: Callable[..., Any], args: tuple[Any, ...]) -> Body:
        """Record one call of a function with new variables as its parameters."""
        name, heads, given = self._name("f"), [], []
        with self._aside() as steps:
            for arg in args:
                parameter = self._name("p")
                target, found = self._assigned(parameter, plain(arg), True)
                heads.append((parameter, target))
                given.append(found)
            result = self._spelled(f(*given))
        unpacking = tuple(
            Step("", (parameter,), target, (), Place("", 0, "")) for parameter, target in heads if target != parameter
        )
        return Body(name, ", ".join(p for p, _ in heads), (*unpacking, *steps), result)

    # ---- steps

    def _step(self, name: str, text: list[Any], value: Any, bodies: tuple[Body, ...] = (), label: str = "") -> Any:
        if isinstance(value, np.dtype):
            return self._dtype(value, text)
        if not holds_array(value):
            return value
        spelled = tuple(itertools.chain.from_iterable(map(self._piece, text)))
        draft = Step(name, spelled, "", (), place("recorded_by"), bodies, label)
        active = any(use.name in self._active for use in draft.uses())
        target, found = self._assigned(self._name("s"), value, active)
        results = () if self._depth else tuple(map(variable_of, arrays_in(found)))
        self.steps.append(Step(name, spelled, target, results, draft.place, bodies, label))
        if len(self.steps) > MOST_STEPS:
            raise RecordError(f"got more than {MOST_STEPS} operations, expected fewer: give a smaller --size")
        return found

    def _assigned(self, name: str, value: Any, active: bool) -> tuple[str, Any]:
        """Return the pattern that assigns a value to variables, and the value with recorded arrays in it."""
        if isinstance(value, (tuple, list)):
            parts = [self._assigned(f"{name}_{i}", part, active) for i, part in enumerate(value)]
            found = [part for _, part in parts]
            made = type(value)._make(found) if hasattr(value, "_make") else type(value)(found)
            return f"({', '.join(target for target, _ in parts)},)", made
        if isinstance(value, (float, int)) and not hasattr(value, "dtype"):
            value = np.asarray(value)[()]
        if not is_array(value):
            return "_", value
        is_float = getattr(value.dtype, "kind", "f") in "fc"
        array = self.variable(name, value, active and is_float)
        if not self._depth:
            self.values[name] = value
        return name, array

    def _dtype(self, dtype: Any, text: Sequence[Any]) -> Any:
        """Return a dtype that was asked for as that of an operand, if it is one's."""
        return next((RecordedDtype(a, dtype) for a in arrays_in(text) if a.value.dtype == dtype), dtype)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names - 1}"

    # ---- source text

    def _piece(self, part: Any) -> Text:
        return (str(part),) if isinstance(part, Source) else self._spelled(part)

    def _spelled(self, value: Any) -> Text:
        """Return a value as source text."""
        if isinstance(value, RecordedArray):
            self._uses += 1
            return (Use(value.name, self._uses),)
        if isinstance(value, RecordedDtype):
            self._uses += 1
            return (Use(value.array.name, self._uses, value=False), ".dtype")
        if value is Ellipsis:
            return ("...",)
        if isinstance(value, slice):
            return self._sequence("slice(", (value.start, value.stop, value.step), ")")
        if isinstance(value, tuple):
            return self._sequence("(", value, ",)" if len(value) == 1 else ")")
        if isinstance(value, list):
            return self._sequence("[", value, "]")
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return (f"xp.{np.dtype(value).name}",)
        if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
            return (repr(value),)
        if not isinstance(value, (np.ndarray, np.generic, float, complex)):
            raise TypeError(f"got an argument of type {type(value).__name__}, expected arrays, numbers and texts")
        self.constants.append(value)
        return (f"k[{len(self.constants) - 1}]",)

    def _sequence(self, opening: str, parts: Sequence[Any], closing: str) -> Text:
        inside = [piece for i, part in enumerate(parts) for piece in ((", ",) if i else ()) + self._spelled(part)]
        return (opening, *inside, closing)


def _aligned(name: str, text: list[Any], found: Any) -> list[Any]:
    """Return the text of a decomposition whose vectors get the signs that they have in NumPy."""
    last, parts = name.rpartition(".")[2], tuple(found) if isinstance(found, tuple) else ()
    square = len(parts) != 3 or parts[0].shape[-1] == parts[2].shape[-2]
    if not parts or not square or any(part.dtype.kind != "f" for part in parts):
        return text
    like = np.array(parts[COLUMNS[name]])
    return [Source(f"aligned_{last}(xp, "), *text, Source(", "), like, Source(")")]


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the arguments of a call with the source between them."""
    for i, arg in enumerate(args):
        yield from (Source(", "),) if i else ()
        yield arg
    for i, (name, arg) in enumerate(kwargs.items()):
        yield Source(f"{', ' if args or i else ''}{name}=")
        yield arg
