"""Points and data that a user's file draws at a size: ``x = lambda n, rng: ...``."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.plan.cases import build_case, tracing_case
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems import ProblemError
from autodiff_compare.vocabulary import Operator

SQUARES = "import numpy as np\ndef objective(x, xp): return xp.sum(x * x)\n"


def loaded(folder: pathlib.Path, text: str) -> Any:
    (folder / "mine.py").write_text(text)
    (found,) = map(with_operators, problems.load(str(folder / "mine.py")))
    return found


@pytest.mark.parametrize(
    ("text", "sizes", "shapes"),
    [
        (SQUARES + "x = lambda n, rng: rng.normal(size=n)", {"n=100": 100}, [(7,)]),
        (SQUARES + "x = lambda n, rng: rng.normal(size=n)\nSIZES = (10, 1000)", {"n=10": 10, "n=1000": 1000}, [(7,)]),
        (SQUARES + "def x(rng, n): return rng.normal(size=(n, 2)).tolist()\nSIZES = 10", {"n=10": 10}, [(7, 2)]),
        (SQUARES + "INPUTS = lambda n, rng: rng.normal(size=n)", {"n=100": 100}, [(7,)]),
        (SQUARES + "x = lambda n, rng, spread=2.0: spread * rng.normal(size=n)", {"n=100": 100}, [(7,)]),
        (
            SQUARES + "from functools import partial\ndef draw(n, rng, low): return low + rng.random(n)\n"
            "x = partial(draw, low=3.0)",
            {"n=100": 100},
            [(7,)],
        ),
        (
            "def objective(x, y, xp): return xp.sum(x) * xp.sum(y)\n"
            "x = lambda n, rng: rng.normal(size=n)\ny = [1.0, 2.0]",
            {"n=100": 100},
            [(7,), (2,)],
        ),
        (
            "def objective(x, y, xp): return xp.sum(x) * y\nINPUTS = lambda n, rng: (rng.normal(size=n), rng.normal())",
            {"n=100": 100},
            [(7,), ()],
        ),
        (
            "def objective(p, xp): return xp.sum(p['w'] @ p['b'])\n"
            "p = lambda n, rng: {'w': rng.normal(size=(3, n)), 'b': rng.normal(size=n)}",
            {"n=100": 100},
            [(3, 7), (7,)],
        ),
        # The data of the function grow with the size, its parameters do not.
        (
            "def objective(w, xp, X=lambda n, rng: rng.normal(size=(n, 3))): return xp.sum((X @ w) ** 2)\n"
            "w = [1.0, 2.0, 3.0]",
            {"n=100": 100},
            [(3,), (7, 3)],
        ),
        (
            "OBJECTIVES = {'numpy': lambda x: x.sum()}\nINPUTS = (lambda n, rng: rng.normal(size=n),)",
            {"n=100": 100},
            [(7,)],
        ),
    ],
)
def test_a_point_is_drawn_at_every_size(
    text: str, sizes: dict[str, int], shapes: list[Any], tmp_path: pathlib.Path
) -> None:
    found = loaded(tmp_path, text)
    assert dict(found.sizes) == sizes
    assert [a.shape for a in found.draw("n=7", 0).arrays] == shapes
    # The same numbers in every process, others at the point of tracing.
    first, again = (found.draw("n=7", 0).arrays for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    case = build_case(found, "n=7", "float64", Operator.GRADIENT, 0)
    assert any(
        not np.array_equal(a, b) for a, b in zip(case.inputs.arrays, tracing_case(case).inputs.arrays, strict=True)
    )


def test_a_point_without_random_numbers_is_traced_close_by(tmp_path: pathlib.Path) -> None:
    found = loaded(tmp_path, SQUARES + "x = lambda n: np.arange(1.0, n + 1)")
    assert found.fixed
    case = build_case(found, "n=3", "float64", Operator.GRADIENT, 0)
    assert case.inputs.differentiated[0].tolist() == [1.0, 2.0, 3.0]
    moved = tracing_case(case).inputs.differentiated[0]
    assert not np.array_equal(moved, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(moved, [1.0, 2.0, 3.0], rtol=0.02)


def test_a_typical_size_is_one_number_for_each_array(tmp_path: pathlib.Path) -> None:
    drawn = SQUARES + "x = lambda n, rng: rng.normal(size=n)\nSIZES = (3, 5)\n"
    (typical,) = loaded(tmp_path, drawn + "TYPICAL = 0.1").typical
    assert (typical.shape, float(typical)) == ((), 0.1)
    with pytest.raises(ProblemError, match=r"got TYPICAL of 3 sizes in .*: the shape depends on n"):
        loaded(tmp_path, drawn + "TYPICAL = [1.0, 2.0, 3.0]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = lambda size: np.ones(size)", "got a function of (size) for x in"),
        ("x = lambda n, rng, scale: np.ones(n)", "x = lambda n, rng: rng.normal(size=n)"),
        ("x = lambda n, rng: rng.no_such_law(n)", "cannot draw x at n = 100 in"),
        ("x = lambda n, rng: np.ones(n) > 0", "got True or False for x"),
        ("x = lambda n, rng: np.full(n, np.nan)", "got nan or infinity for x"),
        ("x = lambda n, rng: np.random.normal(size=n)", "got two points for one seed in"),
        ("x = lambda n, rng: rng.normal(size=n)\nSIZES = (10, 0)", "got SIZES = (10, 0)"),
        ("x = lambda n, rng: rng.normal(size=n)\nSIZES = 1.5", "expected whole numbers from 1: SIZES = (10, 1000)"),
        ("INPUTS = lambda n, rng: (1.0, 2.0)", "got INPUTS of 2 values"),
    ],
)
def test_what_cannot_be_drawn_is_told(text: str, words: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ProblemError) as caught:
        loaded(tmp_path, SQUARES + text)
    assert words in str(caught.value)


def test_the_shape_of_a_container_may_depend_on_the_size_and_its_keys_may_not(tmp_path: pathlib.Path) -> None:
    text = "def objective(p, xp): return sum(xp.sum(w) for w in p)\nimport numpy as np\n"
    found = loaded(tmp_path, text + "p = lambda n, rng: [rng.normal(size=2) for _ in range(n)]\nSIZES = 3")
    with pytest.raises(ProblemError, match=r"got other containers at n = 4 than at n = 3 .*: let the shapes of the"):
        found.draw("n=4", 0)


def test_sizes_of_a_given_point_are_the_users_own_names(tmp_path: pathlib.Path) -> None:
    """A network may call its layers SIZES."""
    found = loaded(tmp_path, SQUARES + "x = [1.0, 2.0]\nSIZES = [784, 128, 10]")
    assert dict(found.sizes) == {"small": 2}
