"""The plan: the frozen list of cells that a query asks for, made before any framework is imported."""

from __future__ import annotations

import fnmatch
import functools
import pathlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autodiff_compare import backends, problems
from autodiff_compare.backends import Backend
from autodiff_compare.plan.cases import Cell
from autodiff_compare.plan.evaluation import with_finite_values, with_operators
from autodiff_compare.plan.numbered_sizes import not_made, refusals
from autodiff_compare.plan.operators import asked, computed_at, idle_backend, not_computed, operators_of
from autodiff_compare.plan.precision import numpy_dtype
from autodiff_compare.plan.query import (
    ALL_OPERATORS,
    DEFAULT_BACKENDS,
    DEFAULT_SIZES,
    DEFAULT_SUITES,
    Query,
    require,
)
from autodiff_compare.plan.query import PlanError as PlanError
from autodiff_compare.plan.settings import SMALL_S
from autodiff_compare.plan.sizes import matching_sizes, split_size, taken, with_degrees
from autodiff_compare.plan.unplannable import is_unplannable, stand_in
from autodiff_compare.problems import Problem
from autodiff_compare.process import interpreters
from autodiff_compare.process.interpreters import Interpreter, InterpreterError, split
from autodiff_compare.process.time_limit import TimeLimitExceeded, time_limit
from autodiff_compare.vocabulary import (
    DTYPES,
    HALF_DTYPES,
    OF_HESSIAN,
    ORDERS,
    SECOND_ORDER,
    SUITES,
    VARIANTS,
    Operator,
    join_spec,
    split_spec,
)

#: Backends that ``--variants all`` adds to the default ones, with all their variants, where they are installed.
PEERS = ("autograd",)


@dataclass(frozen=True)
class Plan:
    """The cells of a run, and where their problems and backends are loaded from.

    Parameters
    ----------
    problems
        The problems, in the order of the query.
    sources
        Problem name -> the name or path that `problems.load` takes.
    cells
        In the order of problem, size, dtype and operator; the backends of one group stand side by side.
    adapters
        Backend, ``name[@label][:variant]`` -> the text that `backends.load` takes: the same without the label, or
        the path of a user's file.
    seed
        Seed of the inputs and of the directions.
    interpreters
        Backend -> its Python, for the backends that run under another Python than this process.
    limited
        The backends that take part in some operators only -> these: in the others they equal another variant.
    every
        Whether numerical differences look at every entry singly.
    dropped
        What the query names and no cell computes, each with the reason.
    """

    problems: tuple[Problem, ...]
    sources: dict[str, str]
    cells: tuple[Cell, ...]
    adapters: dict[str, str]
    seed: int
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict)
    limited: Mapping[str, frozenset[Operator]] = field(default_factory=dict)
    every: bool = False
    dropped: tuple[str, ...] = ()

    @property
    def files(self) -> list[pathlib.Path]:
        """Return the user's instance files that the cells read."""
        known = {problem.name: problem.files for problem in self.problems}
        return sorted({known[c.problem][c.size] for c in self.cells if c.size in known[c.problem]})

    @property
    def versions(self) -> dict[str, str]:
        """Return the package versions under the other interpreters: ``distribution@label`` -> version."""
        return {f"{n}@{i.label}": v for i in self.interpreters.values() for n, v in sorted(i.versions.items())}

    def written(self, spec: str) -> str:
        """Return a backend as the command line takes it: by its file or name, and by its Python if that is another."""
        python = self.interpreters.get(spec)
        return self.adapters[spec] + (f"@{python.label}={python.path}" if python else "")

    @property
    def specs(self) -> tuple[str, ...]:
        """Return the backends as ``name[@label][:variant]``, in the order of the query."""
        return tuple(self.adapters)


def plan(query: Query) -> Plan:
    """Load the problems of a query and return its plan.

    Raises
    ------
    PlanError
        If a problem, suite, backend, variant, operator, dtype or size does not exist, or an instance file is damaged.
    """
    found, sources = load_problems(query, keep_going=True)
    if query.points:
        found = at_points(found, query)
        query = replace(query, sizes=[size for problem in found for size in problem.sizes])
    return plan_problems(found, sources, query)


def at_points(found: Sequence[Problem], query: Query) -> list[Problem]:
    """Return the problems at the points of a query, in place of their sizes; as they are if it has none.

    Raises
    ------
    PlanError
        If no problem is named, sizes are given too, or a point does not fit or is outside the domain.
    """
    if not query.points:
        return list(found)
    if not query.problems or query.suites:
        raise PlanError("got --at without a problem, expected one or more by name: their inputs get its numbers")
    if query.sizes != DEFAULT_SIZES or query.data is not None:
        raise PlanError("got --at with --size or --data, expected one of them: the numbers decide the size")
    try:
        return [with_finite_values(problems.with_points(p, query.points, query.seed)) for p in found]
    except problems.ProblemError as error:
        raise PlanError(str(error)) from error


def plan_problems(found: Sequence[Problem], sources: Mapping[str, str], query: Query) -> Plan:
    """Return the plan of a query for problems that are already loaded.

    A problem takes part at the sizes of the query that it has. A backend with an order of modes takes part in
    `vocabulary.SECOND_ORDER` only, and a variant in the operators in which it differs (`Backend.limited`). If all
    problems have functions for single frameworks only, the default backends are these frameworks.

    Parameters
    ----------
    found, sources
        As `load_problems` returns them.
    query
        Its ``suites`` and ``data`` are ignored, and its ``problems`` but for the sizes in them.

    Raises
    ------
    PlanError
        If a backend, variant, operator, dtype or size does not exist.
    """
    specs = query.backends
    if specs == DEFAULT_BACKENDS and all(p.objective is None or is_unplannable(p) for p in found):
        specs = tuple(dict.fromkeys(spec for problem in found for spec in problem.native))
    adapters, foreign, limited = _adapters(_with_variants(specs, query.variants))
    _require_native_backends(found, adapters)
    require("dtype", query.dtypes, (*DTYPES, *HALF_DTYPES))
    _require_installed(query.dtypes)
    require("operator", query.operators, [ALL_OPERATORS, *(str(o) for o in Operator)])
    named = [name for name in query.operators if name != ALL_OPERATORS]
    leading = {p.name for p in found if query.leading and sources[p.name].endswith(".py")}
    known = with_degrees(matching_sizes(found, query.sizes), query)
    sizes = {problem.name: taken(problem, query, known) for problem in found}
    refused = {problem.name: refusals(problem, sizes[problem.name], query.timeout_s or SMALL_S) for problem in found}
    cells = [
        Cell(problem.name, size, dtype, operator, *split_spec(spec))
        for problem in found
        for size in sizes[problem.name]
        if size not in refused[problem.name]
        for dtype in query.dtypes
        for operator in asked(problem, query.operators, lead=problem.name in leading)
        if computed_at(problem, size, operator, query.degrees)
        for spec in adapters
        if spec not in limited or operator in limited[spec]
    ]
    dropped = (*not_made(refused), *not_computed(found, named, sizes))
    idle = limited.keys() - {cell.spec for cell in cells}
    if query.variants == "all":
        adapters = {spec: text for spec, text in adapters.items() if spec not in idle}
    else:
        dropped += tuple(idle_backend(spec, limited[spec], found) for spec in limited if spec in idle)
    if not cells:
        # Where sizes alone are refused, a list of operators would be no answer.
        others = _operators_named(found) if named or not all(refused.values()) else ""
        raise PlanError(f"got nothing to compute: {'; '.join(dropped)}{others}")
    return Plan(tuple(found), dict(sources), tuple(cells), adapters, query.seed, foreign, limited, query.every, dropped)


def _operators_named(found: Sequence[Problem]) -> str:
    """Return a sentence with the operators that the problems have."""
    has = ", ".join(o for o in Operator if any(o in operators_of(p, list(Operator)) for p in found))
    return f". {', '.join(p.name for p in found)} {'has' if len(found) == 1 else 'have'}: {has}"


def _loaded(source: str, limit_s: float) -> list[Problem]:
    """Return the problems of a name or file, with their operators.

    Raises
    ------
    ProblemError
        If there is none, or the file and the first evaluation of its functions take longer than ``limit_s``.
    """
    try:
        with time_limit(limit_s):
            return list(map(with_operators, problems.load(source)))
    except TimeLimitExceeded:
        raise problems.ProblemError(
            f"got no value of {source} in plain NumPy within {limit_s:g} s: give it more time with --timeout"
        ) from None


def load_problems(query: Query, *, keep_going: bool = False) -> tuple[list[Problem], dict[str, str]]:
    """Load the problems of a query: those of its suites, then those that it names.

    Parameters
    ----------
    query
        Its ``problems``, ``suites`` and ``data``, and what decides the cells of an unplannable file.
    keep_going
        Whether a user's file that cannot be planned costs its own cells only, if there are other problems.

    Returns
    -------
    list of Problem
        The problems, each once.
    dict
        Problem name -> the name or path that `problems.load` takes.

    Raises
    ------
    PlanError
        If there is no such problem or suite, or the folder ``data`` has no instance file of any of them.
    """
    require("suite", query.suites, list(SUITES))
    suites = query.suites or (() if query.problems else DEFAULT_SUITES)
    data = query.data
    found: dict[str, Problem] = {}
    sources: dict[str, str] = {}
    broken: dict[str, str] = {}
    try:
        for name in dict.fromkeys([*_members(suites), *(split_size(given)[0] for given in query.problems)]):
            source = f"{name}@{data.resolve()}" if data and not name.endswith(".py") else name
            try:
                loaded = _loaded(source, query.timeout_s or SMALL_S)
            except problems.ProblemError as error:
                if not (keep_going and name.endswith(".py") and pathlib.Path(name).is_file()):
                    raise
                broken[name] = str(error)
                continue
            for problem in loaded:
                _require_one_source(problem.name, name, sources)
                found[problem.name], sources[problem.name] = problem, source if problem.files else name
        if broken and not found:
            raise PlanError("; ".join(broken.values()))
        for problem in _stand_ins(broken, list(found.values()), query):
            _require_one_source(problem.name, problem.source, sources)
            found[problem.name], sources[problem.name] = problem, problem.source
    except problems.ProblemError as error:
        raise PlanError(str(error)) from error
    if data and not any(problem.files for problem in found.values()):
        raise PlanError(f"got no instance file in {data} for {', '.join(found)}, expected {_file_patterns(found)}")
    return list(found.values()), sources


def _stand_ins(broken: Mapping[str, str], others: Sequence[Problem], query: Query) -> list[Problem]:
    """Return a problem for each file that cannot be planned; of each pattern of sizes it has the first match."""
    known = [size for problem in others for size in problem.size_names]
    sizes = [found[0] for pattern in query.sizes if (found := fnmatch.filter(known, pattern))]
    operators = [name for name in query.operators if name in list(Operator)]
    return [stand_in(path, why, sizes, operators) for path, why in broken.items()]


def _require_one_source(problem: str, name: str, sources: Mapping[str, str]) -> None:
    """Reject two different problems of one name: their rows could not be told apart."""
    before = sources.get(problem, name)
    if name.endswith(".py") or before.endswith(".py"):
        one, other = (pathlib.Path(n).resolve() if n.endswith(".py") else n for n in (before, name))
        if one != other:
            raise PlanError(
                f"got two problems named {problem!r}, {before} and {name}: rename one, or run them separately"
            )


def _require_native_backends(found: Sequence[Problem], adapters: Collection[str]) -> None:
    """Reject a key of OBJECTIVES that is no backend: its function would be ignored without a message."""
    for backend in dict.fromkeys(backend for problem in found for backend in problem.native):
        if backend not in adapters:
            try:
                backends.load(backend)
            except ValueError as error:
                raise PlanError(f"in OBJECTIVES: {error}, given with -b") from error


def _file_patterns(names: Collection[str]) -> str:
    """Return the file names of the instances of these problems, or of all problems if these have no instances."""
    having = {p.name: p.instances.pattern for p in problems.available().values() if p.instances}
    shown = {name: having[name] for name in names if name in having} or having
    return ", ".join(f"{pattern} for {name}" for name, pattern in shown.items())


def _members(suites: Sequence[str]) -> list[str]:
    return [p.name for p in problems.available().values() if "all" in suites or p.suites & set(suites)]


def _with_variants(specs: Sequence[str], which: str) -> list[str]:
    """Return each backend with the variants that ``which``, a key of `vocabulary.VARIANTS`, adds to it.

    A backend with a variant of its own stays as it is under ``all``, one with an order of modes always.
    """
    if which == "":
        return list(specs)
    require("variants", [which], list(VARIANTS))
    peers = PEERS if which == "all" and specs == DEFAULT_BACKENDS else ()
    found: list[str] = []
    for spec in (*specs, *(p for p in peers if not backends.missing(backends.load(p)))):
        text, python = _split_python(spec)
        adapter = _load_backend(text)
        if adapter.order or (adapter.variant and which == "all"):
            found.append(spec)
            continue
        more = ("", *ORDERS) if which == "modes" else adapter.variants
        every = (join_spec(text, name) for name in more)
        found += [f"{one}@{python}" if python else one for one in every]
    return found


def _adapters(
    specs: Sequence[str],
) -> tuple[dict[str, str], dict[str, Interpreter], dict[str, frozenset[Operator]]]:
    """Return, by backend, the text it is loaded by, its other interpreter, and the operators that it is limited to."""
    found: dict[str, str] = {}
    written: dict[str, str] = {}
    foreign: dict[str, Interpreter] = {}
    limited: dict[str, frozenset[Operator]] = {}
    for spec in dict.fromkeys(specs):
        text, python = _split_python(spec)
        adapter = _load_backend(text)
        interpreter = _interpreter(python, adapter.requires) if python else None
        label = f"@{interpreter.label}" if interpreter else ""
        name = f"{adapter.name}{label}" + (f":{adapter.full_variant}" if adapter.full_variant else "")
        if written.setdefault(name, spec) != spec:
            how = "write @LABEL=PATH for one" if python else "rename one"
            raise PlanError(f"got two backends named {name!r}, {written[name]} and {spec}: {how}")
        found[name] = text
        if interpreter:
            foreign[name] = interpreter
        if adapter.order:
            limited[name] = SECOND_ORDER | OF_HESSIAN
        elif adapter.variant in adapter.limited:
            limited[name] = adapter.limited[adapter.variant]
    return found, foreign, limited


@functools.cache
def _interpreter(python: str, requires: tuple[str, ...]) -> Interpreter:
    try:
        return interpreters.found(python, requires)
    except InterpreterError as error:
        raise PlanError(str(error)) from error


def _split_python(spec: str) -> tuple[str, str]:
    try:
        return split(spec)
    except InterpreterError as error:
        raise PlanError(str(error)) from error


def _load_backend(text: str) -> Backend:
    try:
        return backends.load(text)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _require_installed(dtypes: Sequence[str]) -> None:
    """Reject a dtype that NumPy lacks here."""
    for dtype in dtypes:
        try:
            numpy_dtype(dtype)
        except ValueError as error:
            raise PlanError(str(error)) from error
