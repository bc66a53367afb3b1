"""A user's functions: in a bare file, through `compare` from Python, and written for single frameworks."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff_compare
from autodiff_compare import problems
from autodiff_compare.plan.cases import build_case, objective_value, tracing_case
from autodiff_compare.plan.evaluation import perturbed, with_operators
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import Inputs, ProblemError
from autodiff_compare.vocabulary import Operator
from tests.commands import called
from tests.conftest import opened

_IMPORT = "from autodiff_compare.problems import Problem\n"
ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
VALLEY, NATIVE = str(EXAMPLES / "valley.py"), str(EXAMPLES / "native.py")
SQUARES = "def objective(x, xp): return xp.sum(x * x)\n"


def written(folder: pathlib.Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


@pytest.mark.parametrize(
    ("text", "shapes", "data", "scalar"),
    [
        (SQUARES + "x = [1.0, 2.0]", [(2,)], [], True),
        (SQUARES + "x = 3.0", [()], [], True),
        (SQUARES + "INPUTS = ([[1.0, 2.0]],)", [(1, 2)], [], True),
        (SQUARES + "import numpy as np\nx = np.zeros((0, 3))", [(0, 3)], [], True),
        ("def objective(x, y, xp): return x @ y\nx, y = [[1.0, 2.0]], [3.0, 4.0]", [(1, 2), (2,)], [], False),
        ("def objective(xp, x): return xp.sum(x)\nx = [1.0]", [(1,)], [], True),
        ("def objective(x, *, xp, k=2): return k * x\nx = [1.0]", [(1,)], [], False),
        (
            "from numpy import ones\ndef objective(x, xp, a=ones(2), p=2): return xp.sum(a * x ** p)\nx = [1.0, 2.0]",
            [(2,)],
            [(2,)],
            True,
        ),
        ("objective = lambda x, xp: xp.prod(x)\nx = [[1.0, 2.0], [3.0, 4.0]]", [(2, 2)], [], True),
        ("from beside import objective\nx = [1.0]", [(1,)], [], True),
        (
            "import numpy as np\ndef objective(p, x, xp): return xp.sum(p['w'] * p['b'][1]) + xp.sum(x)\n"
            "p = {'w': [1.0, 2.0], 'b': (np.ones((2, 1)), 0.5)}\nx = [3.0]",
            [(2,), (2, 1), (), (1,)],
            [],
            True,
        ),
        ("def objective(x, *, y, xp): return xp.sum(x) * y\nx = [1, 2]\ny = 3", [(2,), ()], [], True),
        ("def objective(*, x, xp): return x * x\nx = [1.0]", [(1,)], [], False),
        ("def objective(x, /, y, xp): return xp.sum(x) * y\nINPUTS = ([1.0], 2.0)", [(1,), ()], [], True),
        ("def objective(x, xp, /): return xp.sum(x)\nx = [1.0]", [(1,)], [], True),
        (
            "import numpy as np\ndef objective(p, xp, a=np.ones(2)): return xp.sum((p[0] @ p[1]) * a)\n"
            "p = [np.ones((2, 2)), np.ones((2, 2))]",
            [(2, 2), (2, 2)],
            [(2,)],
            True,
        ),
    ],
)
def test_a_function_and_a_point_are_a_problem(
    text: str, shapes: list[Any], data: list[Any], scalar: bool, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "beside.py").write_text(SQUARES)
    (found,) = map(with_operators, problems.load(written(tmp_path, text)))
    case = build_case(found, "small", "float64", Operator.VALUE, 0)
    assert (found.name, dict(found.sizes)) == ("mine", {"small": sum(int(np.prod(s)) for s in shapes)})
    assert [x.shape for x in case.inputs.differentiated] == shapes
    assert [x.shape for x in case.inputs.data] == data
    assert (Operator.GRADIENT in found.operators) is scalar
    assert (objective_value(found, case.inputs).shape == ()) is scalar
    sys.modules.pop("beside", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = [1.0]", "define objective(x, xp)"),
        (SQUARES, "got no value for x"),
        (SQUARES + "x = [1, 2**53 + 1]", "got integers beyond 2**53 for x"),
        (SQUARES + "import numpy as np\nx = np.ma.array([1.0, 2.0], mask=[0, 1])", "got a masked array for x"),
        (SQUARES + "import numpy as np\nx = [np.ma.array([1.0], mask=[1]), [2.0]]", "got a masked array for x[0]"),
        (
            "import numpy as np\ndef objective(x, xp, d=np.ma.array([1.0], mask=[1])): return x\nx = [1.0]",
            "array for d",
        ),
        ("def objective(x, k, xp): return x[k]\nx = [1.0]\nk = [0]", "indices and labels are data, a default"),
        (SQUARES + "x = [True]", "got True or False for x"),
        (SQUARES + "x = [complex('nan')]", "nan or infinity for x"),
        (SQUARES + "x = 'text'", "expected floats"),
        (SQUARES + "x = [[1.0], [1.0, 2.0]]", "ragged x"),
        (SQUARES + "x = [float('nan')]", "nan or infinity for x"),
        (SQUARES + "INPUTS = ([1.0], [2.0])", "got INPUTS of 2 values"),
        (SQUARES + "INPUTS = 1.0", "got INPUTS of float"),
        ("def objective(x): return x\nx = [1.0]", "expected objective(x, xp)"),
        ("def objective(xp): return 1.0", "expected a parameter to differentiate"),
        ("def objective(*x, xp): return x[0]\nx = [1.0]", "got parameter *x"),
        ("def objective(x, xp, **rest): return x\nx = [1.0]", "got parameter **rest"),
        ("objective = 3\nx = [1.0]", "cannot be called"),
        ("OBJECTIVES = [1]\nx = [1.0]", "no dictionary"),
        ("OBJECTIVES = {'torch': 3}\nx = [1.0]", "no dictionary"),
        ("def objective(x, xp): return (x, x)\nx = [1.0]", "got tuple from mine"),
        ("def objective(x, xp): pass\nx = [1.0]", "got NoneType from mine"),
        ("def objective(x, xp): return xp.sum(x > 0)\nx = [1.0]", "got int64 from mine"),
        ("def objective(x, xp): return xp.log(x)\nx = [0.0]", "a point of its domain"),
        ("def objective(x, xp): return xp.no_such_name(x)\nx = [1.0]", "no_such_name"),
        ("def objective(x, xp): return x @ x\nx = [[1.0, 2.0]]", "cannot evaluate mine"),
        ("def objective(x, xp): return float(x[0]) ** 2\nx = [1.0]", "got a Python number from mine"),
        ("def objective(x, xp): yield x\nx = [1.0]", "got generator from mine"),
        ("def objective(x, xp): raise SystemExit(3)\nx = [1.0]", "SystemExit: 3"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        (SQUARES + "x = {'w': [True, False]}", "got True or False for x['w']"),
        (SQUARES + "x = {'w': ([1.0, 2.0], [1.0])}", "got a ragged x['w']"),
        (SQUARES + "x = {}", "got no array in x"),
        (SQUARES + "x = {'w': 'tanh'}", "got str of dtype <U4 for x['w']"),
        (SQUARES + "class T:\n def __array__(self, *_, **__): raise RuntimeError('detach')\nx = T()", "detach"),
        ("f = lambda x: x.sum()\nOBJECTIVES = {'numpy': f, 'pytorch': f}\nINPUTS = ([1.0],)", "got backend 'pytorch'"),
        (
            f"{_IMPORT}PROBLEM = Problem('a/b', '', '', {{'small': 1}}, None, None)",
            "got name 'a/b'",
        ),
        (
            f"{_IMPORT}PROBLEM = Problem('a', '', '', {{}}, None, print)",
            "got no sizes",
        ),
        (
            f"{_IMPORT}PROBLEM = Problem('a', '', '', {{'small': 1}}, None, None)",
            "objective None",
        ),
        (
            f"{_IMPORT}PROBLEM = Problem('a', '', '', {{'small': 1}}, None, print, uses=('loop',))",
            "uses 'loop' in Problem('a', ...), expected some of: derivative, scan",
        ),
        (
            f"{_IMPORT}PROBLEMS = [Problem('a', '', '', {{'small': 1}}, None, print)] * 2",
            "got two problems named 'a'",
        ),
    ],
)
def test_a_file_that_says_too_little_is_told_what_to_do(text: str, words: str, tmp_path: pathlib.Path) -> None:
    with np.errstate(all="ignore"), pytest.raises((PlanError, ProblemError)) as caught:
        plan(Query([written(tmp_path, text)], ["numpy"]))
    assert words in str(caught.value)


def test_files_of_two_folders_each_have_their_own_modules_beside_them(tmp_path: pathlib.Path) -> None:
    """Also those that are imported when the function is called."""
    found: list[problems.Problem] = []
    for name, factor in (("one", 2.0), ("two", 3.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "beside_it.py").write_text(f"def f(x, xp): return {factor} * xp.sum(x)")
        (tmp_path / name / f"{name}_later.py").write_text(f"K = {factor}")
        (tmp_path / name / f"{name}.py").write_text(
            "import beside_it\ndef objective(x, xp):\n"
            f"    from {name}_later import K\n    return K * beside_it.f(x, xp)\nx = [1.0]"
        )
        found += problems.load(str(tmp_path / name / f"{name}.py"))
    values = [problem.function(problems.NUMPY, {})(np.array([1.0])) for problem in found]
    assert values == [4.0, 9.0]
    for name in ("beside_it", "one_later", "two_later"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("other", ["there/squares.py", "hello"])
def test_two_problems_of_one_name_are_refused_and_one_given_twice_is_one(other: str, tmp_path: pathlib.Path) -> None:
    here = tmp_path / ("squares.py" if other.endswith(".py") else f"{other}.py")
    here.write_text(SQUARES + "x = [1.0]")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "squares.py").write_text(SQUARES + "x = [2.0]")
    second = str(tmp_path / other) if other.endswith(".py") else other
    for names in ([str(here), second], [second, str(here)]):
        with pytest.raises(
            PlanError, match=f"got two problems named '{here.stem}', .*: rename one, or run them separately"
        ):
            plan(Query(names, ["numpy"]))
    assert len(plan(Query([str(here), str(here)], ["numpy"], ["value"])).cells) == 1


def test_what_is_no_problem_is_told_from_what_is_almost_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").write_text(SQUARES)
    for name, words in {
        "rosenbrok": "got problem 'rosenbrok', did you mean rosenbrock",
        str(tmp_path): f"got folder '{tmp_path}', expected the name of a problem",
        str(tmp_path / "mine"): "or a path to a .py file",
    }.items():
        with pytest.raises(ProblemError) as caught:
            problems.load(name)
        assert words in str(caught.value)


@pytest.mark.parametrize("x", [[1.0, 2.0], [0.0, 0.0], [[1e-9, 1e9]], 0.0])
def test_a_function_is_prepared_close_to_the_given_point_and_not_at_it(x: Any, tmp_path: pathlib.Path) -> None:
    (found,) = map(with_operators, problems.load(written(tmp_path, SQUARES + f"x = {x!r}")))
    case = build_case(found, "small", "float64", Operator.HVP, 3)
    other = tracing_case(case)
    (given,), (moved,) = case.inputs.differentiated, other.inputs.differentiated
    assert given.tolist() == x, "judged at the very point, whatever the seed"
    assert np.all(moved != given)
    assert np.all(abs(moved - given) <= 0.02 * np.maximum(abs(given), 1))
    assert not np.array_equal(case.directions[0], other.directions[0])
    np.testing.assert_array_equal(tracing_case(case).inputs.differentiated[0], moved)


@pytest.mark.parametrize(
    ("function", "x", "moves"),
    [
        ("xp.sqrt(x)", [0.0], True),  # from the end of its domain only upwards
        ("xp.log(x)", [1e-300], True),
        ("xp.acos(x)", [1.0 - 1e-9], False),  # not even a relative 1e-7 stays inside
        ("xp.linalg.cholesky(x)", [[1.0, 0.999], [0.999, 1.0]], True),
    ],
)
def test_the_second_point_is_inside_the_domain(function: str, x: Any, moves: bool, tmp_path: pathlib.Path) -> None:
    (found,) = problems.load(written(tmp_path, f"def objective(x, xp): return {function}\nx = {x!r}"))
    inputs = found.inputs(np.random.default_rng(0), 1)
    # Of the moves up and down that a seed draws, some leave the domain; none that is chosen does.
    near = [perturbed(found, inputs, np.random.default_rng(seed)).differentiated[0] for seed in range(20)]
    for point in near:
        assert np.isfinite(objective_value(found, Inputs((point,)))).all()
    assert any(not np.array_equal(point, inputs.differentiated[0]) for point in near) or not moves


def test_a_bare_file_runs_and_its_tables_are_right(tmp_path: pathlib.Path) -> None:
    command = ["run", VALLEY, "-o", "all", "--name", "bare", "-b", "numpy", "-b", "manual", "--rounds", "1"]
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    from autodiff_compare.results.tables import read_all

    cells = read_all(tmp_path / "results" / "bare")["cells"]
    ok = cells[cells["backend"] == "numpy"]
    assert list(ok["status"]) == ["ok"] * 8
    # d/dx 2 (x-1)^2 e^y + ..., d/dy: worked out by hand.
    x, y = np.array([1.0, 2.0, 0.0]), np.array([0.5, 1.5, 3.0])
    by_hand = np.concatenate([4 * (x - 1) * np.exp(y) + [0, *y[:-1]], 2 * (x - 1) ** 2 * np.exp(y) + [*x[1:], 0]])
    assert float(ok.set_index("operator").loc["gradient", "gradient_norm"]) == pytest.approx(np.linalg.norm(by_hand))


A = np.array([[2.0, 1.0], [1.0, 3.0]])


def quadratic(x: Any, xp: Any) -> Any:
    return 0.5 * xp.sum(x * (xp.asarray(A, dtype=x.dtype) @ x))


def test_comparing_from_python_returns_the_tables() -> None:
    found = autodiff_compare.compare(
        quadratic, [1.0, 2.0], backends=["numpy", "manual"], operators=["value", "gradient"], rounds=1, dtypes="float32"
    )
    assert found.in_process == ""
    assert set(found) >= {"runs", "cells", "checks", "samples", "timings", "pairs"}
    assert found.cells is found["cells"]
    cells = found.cells.set_index(["operator", "backend"])
    assert set(cells["dtype"]) == {"float32"}
    assert cells.loc[("gradient", "numpy"), "status"] == "ok"
    assert float(cells.loc[("gradient", "numpy"), "gradient_norm"]) == pytest.approx(np.hypot(4.0, 7.0))
    assert cells.loc[("gradient", "manual"), "status"] == "unsupported"
    assert len(found.timings.query("phase == 'steady'")) == 3
    assert "3 of 4 cells agree" in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80
    assert found._repr_html_().startswith("<table>")
    assert found.folder is None
    with pytest.raises(AttributeError, match="expected one of: runs, machines"):
        _ = found.nosuch


def test_degrees_are_computed_and_what_is_not_computed_is_told() -> None:
    def sine(x: Any, xp: Any) -> Any:
        return xp.sin(x)

    found = autodiff_compare.compare(
        sine, [0.5, 1.0], backends="numpy", operators=["taylor", "gradient"], degrees=[2, 5], rounds=0
    )
    assert dict(zip(found.cells["size"], found.cells["status"], strict=True)) == {"small^2": "ok", "small^5": "ok"}
    assert repr(found).endswith("Not computed: gradient of sine (it needs a scalar function)")
    with pytest.raises(ValueError, match=r"got degrees=0\.5, expected a whole number from 1"):
        autodiff_compare.compare(sine, [0.5], operators="taylor", degrees=0.5)


def test_the_folder_is_kept_where_it_is_asked_for(tmp_path: pathlib.Path) -> None:
    found = autodiff_compare.compare(quadratic, [1.0, 2.0], backends="numpy", operators="value", rounds=0, out=tmp_path)
    assert found.folder is not None
    assert found.folder.parent == tmp_path
    assert (found.folder / "cells.csv").is_file()


def network(p: Any, xp: Any) -> Any:
    for w, b in p["layers"]:
        x = xp.tanh(xp.sum(w) + b)
    return xp.sum(x * p["scale"])


def test_a_container_of_arrays_is_differentiated_in_each(tmp_path: pathlib.Path) -> None:
    p = {"layers": [(np.ones((2, 2)), 0.5), (np.ones(3), -3.0)], "scale": [1.0, 2.0]}
    found = autodiff_compare.compare(network, (p,), backends="numpy", operators=["gradient", "hessian"], rounds=0)
    assert (found.in_process, list(found.cells["status"])) == ("", ["ok", "ok"])
    # tanh 0 = 0 with slope 1: the last layer's three weights and its bias have slope 1 + 2 each, all else has none.
    assert float(found.cells["gradient_norm"].iloc[0]) == pytest.approx(6.0)
    assert found.cells["n_inputs"].iloc[0] == 11


def test_what_a_function_prints_stays_out_of_results_for_programs(tmp_path: pathlib.Path) -> None:
    text = "print('loaded')\ndef objective(x, xp):\n    print('called')\n    return xp.sum(x)\nx = [1.0]"
    command = [sys.executable, str(ROOT / "compare.py"), "check", written(tmp_path, text), "-b", "numpy", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {row["status"] for row in json.loads(done.stdout)["rows"]} == {"ok"}
    assert "loaded" in done.stderr
    assert "called" in done.stderr


class Norm:
    def __init__(self, held: Any = None) -> None:
        self.held = held

    def __call__(self, x: Any, xp: Any) -> Any:
        return xp.sum(x * x)

    def energy(self, x: Any, *, y: Any, xp: Any) -> Any:
        return xp.sum(x * x) * y


def test_a_function_that_cannot_be_sent_is_computed_here_and_says_so() -> None:
    with pytest.warns(UserWarning, match="in this process, .* which cannot be pickled"):
        found = autodiff_compare.compare(
            Norm(threading.Lock()), [3.0, 4.0], backends="numpy", operators=["gradient", "hessian"], rounds=1
        )
    assert set(found.cells["status"]) == {"ok"}
    assert found.in_process.startswith("Norm is of type Norm")
    assert "in this process: Norm" in found.runs["command"].iloc[0]
    assert len(found.samples.query("phase == 'steady'")) > 0


def test_a_method_of_an_object_is_sent_and_integers_are_floats() -> None:
    """The gradient of y sum(x^2) at x = (3, 4), y = 2 is (12, 16, 25), of norm sqrt(1025)."""
    found = autodiff_compare.compare(
        Norm().energy, {"x": [3, 4], "y": 2}, backends="numpy", operators="gradient", rounds=0
    )
    assert (found.in_process, list(found.cells["status"])) == ("", ["ok"])
    assert float(found.cells["gradient_norm"].iloc[0]) == pytest.approx(1025**0.5)


@pytest.mark.parametrize(
    ("f", "x", "given", "words"),
    [
        (quadratic, [True, False], {}, "got True or False for x"),
        (quadratic, np.ma.array([1.0, 2.0], mask=[0, 1]), {}, "got a masked array for x in compare()"),
        (quadratic, ([1.0], [2.0]), {}, "got x of 2 values"),
        (quadratic, {"y": [1.0]}, {}, "got no value for x in compare(): expected {'x': ...}, or a tuple around"),
        (quadratic, {"x": [1.0, 2.0], "y": [1.0]}, {}, "got values for x, y in compare()"),
        (quadratic, [1.0, 2.0], {"rounds": 2.5}, "got rounds=2.5"),
        (quadratic, [1.0, 2.0], {"seed": "a"}, "got seed='a'"),
        (quadratic, [1.0, 2.0], {"threads": 0}, "got threads=0"),
        (quadratic, [1.0, 2.0], {"timeout": float("nan")}, "got timeout=nan"),
        (quadratic, [1.0, 2.0], {"dtypes": "float8"}, "got dtype 'float8'"),
        ({"numpy": np.sum, "pytorch": np.sum}, [1.0], {"backends": "numpy"}, "in OBJECTIVES: got backend 'pytorch'"),
        (3, [1.0], {}, "got int to compare"),
        ({}, [1.0], {}, "got dict to compare"),
        (quadratic, [1.0, 2.0], {"backends": "nosuch"}, "got backend 'nosuch'"),
        (quadratic, [1.0, 2.0], {"operators": "nosuch"}, "got operator 'nosuch'"),
        (quadratic, [1.0, 2.0], {"variants": "some"}, "got variants 'some'"),
        (
            quadratic,
            [1.0, 2.0],
            {"variants": None},
            "got None in variants=, expected a name or several: variants='all'",
        ),
        (quadratic, [1.0, 2.0], {"backends": 5}, "got 5 in backends=, expected a name or several: backends='numpy'"),
        (quadratic, [1.0, 2.0], {"backends": ["numpy", None]}, "got None in backends="),
        (quadratic, [1.0, 2.0], {"backends": ""}, "got backend ''"),
        (quadratic, [1.0, 2.0], {"operators": (3,)}, "got 3 in operators="),
        (quadratic, [1.0, 2.0], {"dtypes": None}, "got None in dtypes="),
        (quadratic, [1.0, 2.0], {"out": ""}, "got out='', expected a folder"),
        (quadratic, [1.0, 2.0], {"seed": 2**63}, "expected a whole number from 0 to 9223372036854775807"),
        (quadratic, [1.0, 2.0], {"env": {"": "b"}}, "got the variable '' in env="),
        (quadratic, [1.0, 2.0], {"env": {"A=B": "c"}}, "got the variable 'A=B' in env="),
        (quadratic, [1.0, 2.0], {"env": {"A": "b\0"}}, "got the variable 'A' in env="),
        (
            quadratic,
            [1.0, 2.0],
            {"typical": {"y": 1.0}},
            "got a TYPICAL size for x['y'] in compare(), expected some of: x",
        ),
        (quadratic, [1.0, 2.0, 3.0], {}, "cannot evaluate quadratic"),
    ],
)
def test_a_mistake_from_python_is_one_clear_error(f: Any, x: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words below
        autodiff_compare.compare(f, x, **given)
    assert words in str(caught.value)


def test_native_functions_are_compared_with_each_other() -> None:
    """Each on its own framework's arrays; what has none says so."""
    for spec in ("torch", "jax"):
        opened(spec)
    planned = plan(Query([NATIVE]))
    assert planned.specs == ("torch", "jax")
    functions: dict[str, Callable[..., Any]] = dict(planned.problems[0].native)
    found = autodiff_compare.compare(
        functions, [1.0, 2.0, 0.0], operators=["value", "gradient"], rounds=0, backends=["torch", "jax", "numpy"]
    )
    cells = found.cells.set_index(["operator", "backend"])
    assert set(cells.loc["gradient"].loc[["torch", "jax"], "status"]) == {"ok"}
    assert cells.loc[("gradient", "numpy"), "status"] == "unsupported"
    assert "OBJECTIVES has no function for numpy" in cells.loc[("gradient", "numpy"), "message"]
    norm = np.linalg.norm(np.sin(2 * np.array([1.0, 2.0, 0.0])))  # d sin^2 = sin 2x
    assert float(cells.loc[("gradient", "torch"), "gradient_norm"]) == pytest.approx(norm)
    assert len(found.pairs.query("operator == 'gradient'")) == 1
    references = set(found.checks.query("quantity == 'value'")["reference"])
    assert references == {"backend:torch (float64)"}, "whose value the others are held against"


def in_numpy(x: Any) -> Any:
    return np.sum(np.sin(x) ** 2)


def wrong(x: Any) -> Any:
    return np.sum(np.sin(x) ** 3)


def test_a_native_function_in_numpy_is_the_reference_and_a_wrong_one_is_found() -> None:
    found = autodiff_compare.compare(
        {"numpy": in_numpy, "finite_difference": wrong}, [1.0, 2.0, 0.3], operators=["value", "gradient"], rounds=0
    )
    status = found.cells.set_index(["operator", "backend"])["status"]
    assert status[("gradient", "numpy")] == status[("value", "numpy")] == "ok"
    assert status[("gradient", "finite_difference")] == status[("value", "finite_difference")] == "wrong"
    assert json.loads(found.runs["versions"].iloc[0])["numpy"] == np.__version__


def test_every_variant_of_a_backend_is_run_where_it_is_asked_for() -> None:
    chosen = plan(Query([VALLEY], ["numpy", "jax:eager"], ["gradient"], variants="all"))
    assert chosen.specs == ("numpy", "numpy:compiled", "numpy:numba", "jax:eager"), (
        "a variant that is named stands for itself"
    )
    by_default = plan(Query([VALLEY], operators=["gradient"], variants="all")).specs
    expected = (
        "numpy numpy:compiled numpy:numba torch torch:compile tensorflow tensorflow:eager tensorflow:xla jax jax:eager"
    )
    # A peer is run where it is there; nobody asked for it by name.
    assert [s for s in by_default if s != "autograd"] == expected.split()
    own = plan(Query([VALLEY], [str(EXAMPLES / "careless_backend.py")], ["gradient"], variants="all"))
    assert own.specs[:2] == ("careless", "careless:aliases")
    assert own.adapters["careless:aliases"] == f"{EXAMPLES / 'careless_backend.py'}:aliases"


@pytest.mark.parametrize("function", [lambda x, xp: x[:0], lambda x, xp: xp.stack([x, x])[:, 2:]])
def test_a_function_without_outputs_has_a_jacobian_without_rows(function: Callable[..., Any]) -> None:
    found = autodiff_compare.compare(function, [1.0, 2.0], backends="numpy", rounds=0)
    assert set(found.cells["operator"]) == {"value", "jvp", "vjp", "jacobian"}
    assert set(found.cells["status"]) == {"ok"}


def test_a_variant_that_cannot_compile_a_function_says_so_in_its_row(tmp_path: pathlib.Path) -> None:
    """What depends on a value cannot be traced; recorded at every call, it runs."""
    (tmp_path / "turns.py").write_text("def objective(x, xp): return xp.sum(x) if x[0] > 0 else -xp.sum(x)\nx = [1.0]")
    done = called("check", "turns.py", "-b", "numpy", "--variants", "all", "-o", "gradient", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 3 cells agree" in done.stdout
    assert "unsupported: " in done.stdout
