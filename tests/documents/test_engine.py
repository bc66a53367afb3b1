"""The tables of the suite ``engine``: its limits, and the places in the documents where they are written."""

from __future__ import annotations

import pytest

from autodiff_compare import problems
from tests.documents import engine, machine

#: A machine of round numbers.
MACHINE = {"flops": 1e10, "latency": 1e-9, "bandwidth": {"1024": 1e11, "1048576": 1e10, "134217728": 1e9}}


def test_every_program_of_the_suite_has_its_work() -> None:
    assert {name for name, p in problems.available().items() if "engine" in p.suites} == set(engine.PROGRAMS)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (engine.Work(2e4, 100, 10), {"work": 2e-6, "traffic": 1e-9, "order": 1e-8}),
        # The smallest set that holds them; beyond the largest, the largest.
        (engine.Work(1, 2000), {"work": 1e-10, "traffic": 2e-7, "order": 0.0}),
        (engine.Work(1, 1e9), {"work": 1e-10, "traffic": 1.0, "order": 0.0}),
    ],
)
def test_the_limits_of_a_program(work: engine.Work, expected: dict[str, float]) -> None:
    assert work.limits(MACHINE) == pytest.approx(expected)


def test_the_work_of_a_network_has_no_gradient_of_its_data() -> None:
    # Forward and weights: 2 x 2 x 5 x (2 x 3 + 3 x 4); the cotangent of the hidden layer: 2 x 5 x 3 x 4.
    assert engine._layers(5, 2, 3, 4).operations == 2 * 2 * 5 * 18 + 2 * 5 * 12


def _rows() -> list[engine.Row]:
    seconds = {"manual": 1e-5, "numpy": 3e-5, "numpy:compiled": 9e-6, "jax": 2e-5}
    ratios = {"numpy": 3.0, "numpy:compiled": 0.9, "jax": 2.0}
    return [
        engine.Row("engine_cubic", "medium", 2000, seconds, ratios),
        engine.Row("engine_number_chain", "medium", 1000, {"manual": 1e-4, "jax": 2e-6}, {"jax": 0.02}),
    ]


def test_the_table_of_ratios() -> None:
    assert engine.ratios_table(_rows()).splitlines() == [
        "| program | by hand | `numpy` | `numpy:compiled` | jax |",
        "|---|---|---|---|---|",
        "| cubic fit of 2000 points, x\\*x\\*x | 10 us | 3 (2.5) | 0.9 (0.75) | 2 |",
        "| 1000 steps on a number | 100 us | - | - | 0.02 |",
    ]


def test_the_table_of_limits() -> None:
    # 19 x 2000 operations at 1e10 a second; 2 x 1000 operations in order of 1 ns.
    assert engine.limits_table(_rows(), MACHINE).splitlines()[2:] == [
        "| cubic fit of 2000 points, x\\*x\\*x | 3.8 us | work | 2.63 | 7.89 | 2.37 | 5.26 |",
        "| 1000 steps on a number | 2 us | order | 50 | - | - | 1 |",
    ]


def test_a_limit_that_is_beaten_is_told() -> None:
    # The chain needs 2 us by order; the fit 3.8 us by work, and 3.5 us may be noise.
    rows = [
        engine.Row("engine_cubic", "medium", 2000, {"manual": 1e-5, "numpy:compiled": 3.5e-6}, {}),
        engine.Row("engine_number_chain", "medium", 1000, {"manual": 1e-4, "jax": 1.5e-6}, {}),
    ]
    told = "Faster than the limit, which was measured too high then: 1000 steps on a number on jax."
    assert engine.limits_table(rows, MACHINE).splitlines()[-1] == told


def test_the_documents_have_the_places_of_the_tables() -> None:
    for name in ("table of the engine", "machine", "limits"):
        assert "| new |" in engine.replaced(engine.PAGE.read_text(encoding="utf-8"), name, "| new |\n")
    with pytest.raises(SystemExit, match="got 0 marks"):
        engine.replaced("nothing", "limits", "")


def test_the_figure_is_drawn(tmp_path: object) -> None:
    path = engine.pathlib.Path(str(tmp_path)) / "roofline.svg"
    engine.draw_roofline(_rows(), MACHINE, path)
    assert "Roofline" in path.read_text(encoding="utf-8")


def test_the_machine_is_measured() -> None:
    assert machine.bandwidth(2**16) > 0
    assert machine.latency() > 0
