"""The plan: from names on a command line to the frozen list of cells, before anything is imported."""

from __future__ import annotations

import fnmatch
import functools
import pathlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from autodiff_compare import backends, problems
from autodiff_compare.backends import Backend
from autodiff_compare.plan.cases import Cell
from autodiff_compare.plan.evaluation import described
from autodiff_compare.problems import Problem
from autodiff_compare.process import interpreters
from autodiff_compare.process.interpreters import Interpreter, InterpreterError, split
from autodiff_compare.vocabulary import DTYPES, ORDERS, SECOND_ORDER, SUITES, VARIANTS, Operator

DEFAULT_BACKENDS = ("numpy", "torch", "tensorflow", "jax")
#: Systems to compare with that nobody asked for by name; run with every variant of the default backends.
PEERS = ("autograd",)


class PlanError(ValueError):
    """Something asked for does not exist; the message lists the choices."""


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Parameters
    ----------
    sources
        Problem name -> the name or path that `problems.load` finds it by.
    adapters
        Backend, ``name[@label][:variant]`` -> what `backends.load` finds it by: the same without the label, or a
        user's path.
    interpreters
        The Python of those backends that do not run under this one.
    ordered
        The backends that were asked for second derivatives in an order of modes: they run nothing else.
    """

    problems: tuple[Problem, ...]
    sources: dict[str, str]
    cells: tuple[Cell, ...]
    adapters: dict[str, str]
    seed: int
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict)
    ordered: frozenset[str] = frozenset()

    @property
    def files(self) -> list[pathlib.Path]:
        """The user's instance files that are read."""
        known = {problem.name: problem.files for problem in self.problems}
        return sorted({known[c.problem][c.size] for c in self.cells if c.size in known[c.problem]})

    @property
    def versions(self) -> dict[str, str]:
        """``distribution@label`` -> version, of the other interpreters."""
        return {f"{n}@{i.label}": v for i in self.interpreters.values() for n, v in sorted(i.versions.items())}

    @property
    def specs(self) -> tuple[str, ...]:
        """The backends, ``name[:variant]``."""
        return tuple(self.adapters)


def plan(
    names: Sequence[str] = (),
    specs: Sequence[str] = DEFAULT_BACKENDS,
    operators: Sequence[str] = (),
    dtypes: Sequence[str] = ("float64",),
    sizes: Sequence[str] = ("small",),
    seed: int = 0,
    suites: Sequence[str] = (),
    variants: str = "",
    data: pathlib.Path | None = None,
) -> Plan:
    """What a run of these problems does: `plan_of` them.

    Names and suites add up; without either it is the suite ``classic``. The instance files in the folder ``data``
    are further sizes.

    Raises
    ------
    PlanError
        If a problem, suite, backend, variant, operator, dtype or size does not exist, or an instance file is damaged.
    """
    found, sources = chosen(names, suites, data)
    return plan_of(found, sources, specs, operators, dtypes, sizes, seed, variants)


def plan_of(
    found: Sequence[Problem],
    sources: Mapping[str, str],
    specs: Sequence[str] = DEFAULT_BACKENDS,
    operators: Sequence[str] = (),
    dtypes: Sequence[str] = ("float64",),
    sizes: Sequence[str] = ("small",),
    seed: int = 0,
    variants: str = "",
) -> Plan:
    """Cells in order of problem, size, dtype and operator, the backends of one group side by side.

    Empty ``operators`` are all that each problem has. ``sizes`` may be patterns, as for `fnmatch`; a problem without
    one of them is left out at that size, but for ``small``, where it is taken at its first. ``variants``, of
    `vocabulary.VARIANTS`, adds to the backends. A backend with an order of modes takes part in
    `vocabulary.SECOND_ORDER` alone: elsewhere it is the backend without it. Of problems that have functions for single
    frameworks only, those are the default backends.

    Raises
    ------
    PlanError
        If a backend, variant, operator, dtype or size does not exist.
    """
    if tuple(specs) == DEFAULT_BACKENDS and all(problem.objective is None for problem in found):
        specs = tuple(dict.fromkeys(spec for problem in found for spec in problem.native))
    adapters, foreign, ordered = _adapters(with_variants(specs, variants))
    _native_known(found, adapters)
    _known("dtype", dtypes, DTYPES)
    _known("operator", operators, [str(o) for o in Operator])
    sizes = _sizes(found, sizes)
    cells = [
        Cell(problem.name, size, dtype, operator, *spec.split(":", 1))
        for problem in found
        for size in _sizes_of(problem, sizes)
        for dtype in dict.fromkeys(dtypes)
        for operator in _operators(problem, operators)
        for spec in adapters
        if operator in SECOND_ORDER or spec not in ordered
    ]
    idle = ordered - {cell.spec for cell in cells}
    if idle:
        kinds = " and ".join(str(o) for o in Operator if o in SECOND_ORDER)
        raise PlanError(f"got {min(idle)}, an order of modes for {kinds}, expected one of these to be asked for")
    if not cells:
        names_found = ", ".join(p.name for p in found)
        has = [str(o) for o in Operator if any(o in problem.operators for problem in found)]
        raise PlanError(f"got operators {', '.join(operators)}, expected some that {names_found} has: {', '.join(has)}")
    return Plan(tuple(found), dict(sources), tuple(cells), adapters, seed, foreign, ordered)


def _sizes(found: Sequence[Problem], wanted: Sequence[str]) -> list[str]:
    """The sizes that the patterns name; files that are among them are read once here, so that a damaged one is told."""
    known = list(dict.fromkeys(size for problem in found for size in problem.size_names))
    if "small" in wanted and "small" not in known:
        known.insert(0, "small")
    chosen: dict[str, None] = {}
    for pattern in wanted:
        matching = [size for size in known if fnmatch.fnmatchcase(size, pattern)]
        _known("size", () if matching else (pattern,), known)
        chosen |= dict.fromkeys(matching)
    try:
        for problem in found:
            for size in chosen.keys() & problem.files.keys():
                problem.draw(size, 0)
    except problems.ProblemError as error:
        raise PlanError(str(error)) from error
    return list(chosen)


def _sizes_of(problem: Problem, wanted: Sequence[str]) -> list[str]:
    """Those that it has; for ``small``, which is what nobody asked for, its `Problem.smallest`."""
    meant = dict.fromkeys(problem.smallest if size == "small" else size for size in wanted)
    return [size for size in meant if size in problem.size_names]


def chosen(
    names: Sequence[str] = (), suites: Sequence[str] = (), data: pathlib.Path | None = None
) -> tuple[list[Problem], dict[str, str]]:
    """The problems of the names and suites, and what each is found by; without either the suite ``classic``.

    Raises
    ------
    PlanError
        If there is no such problem or suite, or the folder ``data`` has no instance file of any of them.
    """
    _known("suite", suites, list(SUITES))
    found: dict[str, Problem] = {}
    sources: dict[str, str] = {}
    try:
        for name in (*_members(suites if names or suites else ("classic",)), *names):
            source = f"{name}@{data.resolve()}" if data and not name.endswith(".py") else name
            for problem in map(described, problems.load(source)):
                _new(problem.name, name, sources)
                found[problem.name], sources[problem.name] = problem, source if problem.files else name
    except problems.ProblemError as error:
        raise PlanError(str(error)) from error
    if data and not any(problem.files for problem in found.values()):
        raise PlanError(f"got no instance file in {data} for {', '.join(found)}, expected {_patterns(found)}")
    return list(found.values()), sources


def _new(problem: str, name: str, sources: Mapping[str, str]) -> None:
    """Refuse a problem whose rows could not be told from those of another: the later one would replace it."""
    before = sources.get(problem, name)
    if name.endswith(".py") or before.endswith(".py"):
        one, other = (pathlib.Path(n).resolve() if n.endswith(".py") else n for n in (before, name))
        if one != other:
            raise PlanError(f"got two problems named {problem!r}, {before} and {name}: rename one, or run them apart")


def _native_known(found: Sequence[Problem], adapters: Collection[str]) -> None:
    """Refuse functions for a backend that nothing is called by: nobody would miss them."""
    for backend in dict.fromkeys(backend for problem in found for backend in problem.native):
        if backend not in adapters:
            try:
                backends.load(backend)
            except ValueError as error:
                raise PlanError(f"in OBJECTIVES: {error}, asked for by -b") from error


def _patterns(wanted: Collection[str]) -> str:
    """What instance files are called: those of the wanted problems, or of all where none of them has a format."""
    having = {p.name: p.instances.pattern for p in problems.available().values() if p.instances}
    shown = {name: having[name] for name in wanted if name in having} or having
    return ", ".join(f"{pattern} for {name}" for name, pattern in shown.items())


def _members(suites: Sequence[str]) -> list[str]:
    return [p.name for p in problems.available().values() if "all" in suites or p.suites & set(suites)]


def with_variants(specs: Sequence[str], which: str) -> list[str]:
    """Each backend, and what ``which`` of `vocabulary.VARIANTS` adds; nothing if it is empty.

    Raises
    ------
    PlanError
        If a backend does not exist, or nothing is called ``which``.
    """
    if which == "":
        return list(specs)
    _known("variants", [which], list(VARIANTS))
    peers = PEERS if which == "all" and tuple(specs) == DEFAULT_BACKENDS else ()
    found: list[str] = []
    for spec in (*specs, *(p for p in peers if not backends.missing(backends.load(p)))):
        text, python = _split(spec)
        adapter = _loaded(text)
        if adapter.order or (adapter.variant and which == "all"):
            found.append(spec)
            continue
        more = ("", *ORDERS) if which == "modes" else adapter.variants
        every = (f"{text}:{name}" if name else text for name in more)
        found += [f"{one}@{python}" if python else one for one in every]
    return found


def _adapters(specs: Sequence[str]) -> tuple[dict[str, str], dict[str, Interpreter], frozenset[str]]:
    """What each backend is loaded by, the Python of those that have another, and those with an order of modes."""
    found: dict[str, str] = {}
    written: dict[str, str] = {}
    elsewhere: dict[str, Interpreter] = {}
    ordered: set[str] = set()
    for spec in dict.fromkeys(specs):
        text, python = _split(spec)
        adapter = _loaded(text)
        interpreter = _interpreter(python, adapter.requires) if python else None
        label = f"@{interpreter.label}" if interpreter else ""
        name = f"{adapter.name}{label}" + (f":{adapter.full_variant}" if adapter.full_variant else "")
        if written.setdefault(name, spec) != spec:
            how = "write @LABEL=PATH for one" if python else "rename one"
            raise PlanError(f"got two backends named {name!r}, {written[name]} and {spec}: {how}")
        found[name] = text
        if interpreter:
            elsewhere[name] = interpreter
        if adapter.order:
            ordered.add(name)
    return found, elsewhere, frozenset(ordered)


@functools.cache
def _interpreter(python: str, requires: tuple[str, ...]) -> Interpreter:
    try:
        return interpreters.found(python, requires)
    except InterpreterError as error:
        raise PlanError(str(error)) from error


def _split(spec: str) -> tuple[str, str]:
    try:
        return split(spec)
    except InterpreterError as error:
        raise PlanError(str(error)) from error


def _loaded(text: str) -> Backend:
    try:
        return backends.load(text)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _operators(problem: Problem, wanted: Collection[str]) -> list[Operator]:
    """In the order of the vocabulary, so that the value comes before what is compared to it.

    Any Jacobian that is compared as it is can be had as a sparse one too, by those who ask for it.
    """
    has = problem.operators | ({Operator.STEP} if problem.descent else set())
    if Operator.SPARSE_JACOBIAN in wanted and Operator.JACOBIAN in has and problem.normalise is None:
        has |= {Operator.SPARSE_JACOBIAN}
    return [o for o in Operator if o in has and (not wanted or o in wanted)]


def _known(what: str, given: Sequence[str], choices: Sequence[str]) -> None:
    for name in given:
        if name not in choices:
            raise PlanError(f"got {what} {name!r}, expected one of: {', '.join(choices)}")
