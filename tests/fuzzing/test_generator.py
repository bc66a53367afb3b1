"""Drawing of programs: reproducible, defined at their point, and smooth there unless they are awkward."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autodiff_compare.fuzzing.generator import Recipe, program, programs
from autodiff_compare.fuzzing.operations import OPERATIONS
from autodiff_compare.fuzzing.program import problem_of_text
from autodiff_compare.plan.cases import objective_value


@pytest.mark.parametrize("number", [0, 7, 31])
def test_a_program_depends_on_seed_and_number_alone(number: int) -> None:
    first, again, other = (program(seed, number, Recipe()) for seed in (5, 5, 6))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.source() == again.source() != other.source()


def test_regular_programs_are_smooth_and_their_text_has_their_value() -> None:
    for _, found in itertools.islice(programs(1, Recipe(awkward=0.0)), 60):
        assert found.singular == ()
        problem = problem_of_text(found.source())
        value = objective_value(problem, problem.draw("small", 0))
        assert value.tobytes() == found.value.tobytes()
        assert np.isfinite(value).all()


def test_awkward_programs_have_singular_points_and_empty_arrays() -> None:
    found = [p for _, p in itertools.islice(programs(2, Recipe(awkward=1.0)), 150)]
    assert sum(bool(p.singular) for p in found) > 50
    assert any(x.value.size == 0 for p in found for x in p.inputs)
    assert all(np.isfinite(v).all() for p in found for v in p.values.values())


SELECTING = sorted(name for name, kind in OPERATIONS.items() if kind.kink)


@pytest.mark.parametrize("name", SELECTING)
def test_an_operation_that_selects_is_drawn_at_its_kink(name: str) -> None:
    kind, rng = OPERATIONS[name], np.random.default_rng(3)
    assert kind.kink is not None
    for shape in ((), (3,), (2, 3)):
        value = rng.uniform(0.2, 1.8, shape)
        last = kind.kink(rng, value)
        assert last.shape == shape
        # One entry has no other that it could tie with.
        smooth = kind.smooth_at(*(value, last)[-kind.operands :])
        assert smooth == (not shape and name in ("max", "min", "sort", "take_along_axis", "vector_norm"))


def test_some_awkward_programs_have_one_convention_alone() -> None:
    found = [p for _, p in itertools.islice(programs(4, Recipe(awkward=1.0)), 150)]
    alone = [p.singular_steps[0].operation for p in found if len(p.singular_steps) == 1 and not p.mixes_conventions]
    assert len([name for name in alone if name in SELECTING]) > 25
    assert len(set(alone) & set(SELECTING)) > 5


def test_families_limit_the_operations() -> None:
    # The scalar at the end is made by adding, shifting, a sine and a sum.
    ends = {"add", "shift", "sin", "sum"}
    for _, found in itertools.islice(programs(3, Recipe(families=("where",))), 30):
        assert {OPERATIONS[name].family for name in set(found.operations) - ends} <= {"where"}


def test_every_operation_is_drawn() -> None:
    drawn = {name for _, p in itertools.islice(programs(0, Recipe()), 2500) for name in p.operations}
    assert set(OPERATIONS) - drawn == set()
