"""The tidy frame and the key columns, on constructed tables; each expected number is derived beside its case."""

from __future__ import annotations

import math
import pathlib

import numpy as np
import pandas as pd
import pytest

from autodiff_compare.api.tables import Tables
from autodiff_compare.results.frames import tidy
from autodiff_compare.results.rows import TABLES, CellRow, CheckRow
from autodiff_compare.results.tables import read_all, rows_from
from tests.report import two_machines
from tests.summary.test_recommend import QUIET, run

ROOT = pathlib.Path(__file__).parents[2]


def test_a_cell_is_one_row_of_numbers(tmp_path: pathlib.Path) -> None:
    """The second backend takes 1.5 times as long in every round: ratio and both ends of its interval are 1.5."""
    tables = run(
        tmp_path,
        {"spec": "numpy", "once": 0.4, "steady": 10e-6, "error": 2.0**-52, "peak": 4096},
        {"spec": "jax:eager", "once": 1e-3, "steady": 15e-6, "error": 2.0**-51},
        {"spec": "torch", "status": "wrong", "message": "off by one", "error": 1.0},
    )
    found = tidy.tidy(tables).set_index("spec")
    assert list(found.columns[:7]) == list(tidy.KEYS)
    assert list(found["verdict"]) == ["fastest", "slower", ""]
    assert list(found["backend"]) == ["numpy", "jax", "torch"]
    assert list(found["variant"]) == ["", "eager", ""]
    assert list(found["status"]) == ["ok", "ok", "wrong"]
    assert found.loc["numpy", "median_s"] == pytest.approx(10e-6 * np.median(QUIET))
    assert found.loc["jax:eager", ["ratio", "ratio_low", "ratio_high"]].astype(float).tolist() == pytest.approx(
        [1.5] * 3
    )
    assert found.loc["numpy", ["ratio", "ratio_low", "ratio_high"]].astype(float).tolist() == [1.0] * 3
    assert math.isnan(found.loc["torch", "ratio"])
    # 0.75 of it is preparation, 0.25 the first call.
    assert found.loc["numpy", "setup_s"] == pytest.approx(0.4)
    assert found["error_eps"].tolist() == [1.0, 2.0, 2.0**52]
    assert (found.loc["numpy", "peak_bytes"], found.loc["torch", "peak_bytes"]) == (4096, pd.NA)
    assert found.loc["torch", "message"] == "off by one"
    # Three inputs at the only size: n counts them.
    assert found["n"].tolist() == [3, 3, 3]
    assert str(found["n"].dtype) == "Int64"


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ({"steady": 10.1e-6}, "tie"),  # one per cent
        ({"steady": 30e-6, "waited": 0.5}, "contended"),
        ({"steady": 30e-6, "scatter": QUIET[:3]}, ""),
    ],
)
def test_a_verdict_is_a_word(second: dict[str, object], verdict: str, tmp_path: pathlib.Path) -> None:
    first = {"spec": "numpy", "once": 1e-3, "steady": 10e-6}
    third = {"spec": "torch", "once": 1e-3, "steady": 90e-6}
    found = tidy.tidy(run(tmp_path, first, third, {"spec": "jax", "once": 1e-3, **second})).set_index("spec")
    assert found.loc["jax", "verdict"] == verdict
    assert math.isnan(found.loc["jax", "ratio"]) is (verdict in ("contended", ""))


def test_every_table_of_cells_has_the_keys(tmp_path: pathlib.Path) -> None:
    tables = read_all(ROOT / "results" / "sample")
    found = tidy.keyed(tables)
    assert set(found) == set(TABLES)
    for name in ("cells", "checks", "samples", "timings", "steps", "descents"):
        frame = found[name]
        assert len(frame) == len(tables[name]) > 0, name
        assert set(tidy.KEYS) <= set(frame), name
        of_cells = frame[frame["cell_id"].str.contains("/")] if name in ("samples", "timings") else frame
        assert (of_cells["problem"] != "").all(), name
        assert (of_cells["backend"] != "").all(), name
    assert {"problem", "size", "n", "dtype", "operator"} <= set(found["pairs"])
    assert set(found["questions"]["variant"]) >= {""}
    imports = found["samples"][found["samples"]["phase"] == "import"]
    assert (imports["backend"] != "").all()
    assert imports["n"].isna().all()
    parts = found["checks"].iloc[0]
    spec = f"{parts['backend']}:{parts['variant']}".rstrip(":")
    assert "/".join([parts["problem"], parts["size"], parts["dtype"], parts["operator"], spec]) == parts["cell_id"]
    # The number of timings keeps a column of its own.
    assert found["timings"]["count"].tolist() == tables["timings"]["n"].tolist()


def test_tables_without_rows_stay_tables(tmp_path: pathlib.Path) -> None:
    tables = run(tmp_path)
    assert len(tidy.tidy(tables)) == 0
    assert all(len(frame) == 0 for name, frame in tidy.keyed(tables).items() if name not in ("runs", "machines"))


@pytest.mark.parametrize(
    ("problem", "sizes", "n", "axis"),
    [
        ("mine", {"n=10": 20, "n=100": 200}, [10, 100], "size n"),
        ("lse", {"small": 2500, "n=10": 10}, [2500, 10], "size n"),
        ("mine", {"small": 3, "large": 9}, [3, 9], "number of inputs"),
        ("mine", {"small": 4, "large": 4}, [None, None], ""),
        ("cubic_fit", {"small": 4, "medium": 4}, [2000, 20_000], "size of the problem"),
        ("mine", {"smallx8": 3, "smallx16": 3}, [8, 16], "rows of the batch"),
        ("mine", {"small^4": 3, "small^6": 3}, [4, 6], "degree of the Taylor series"),
    ],
)
def test_sizes_are_numbers(problem: str, sizes: dict[str, int], n: list[int | None], axis: str) -> None:
    cells = pd.DataFrame({"problem": problem, "size": list(sizes), "n_inputs": pd.array(list(sizes.values()), "Int64")})
    found = tidy.sized(cells)
    assert [None if math.isnan(k) else int(k) for k in found["n"]] == n
    assert set(found["axis"]) == {axis}


def test_the_stored_tables_keep_their_columns() -> None:
    """Other code reads rows from them."""
    tables = read_all(ROOT / "results" / "sample")
    tidy.keyed(tables)
    assert rows_from(tables["cells"], CellRow)
    assert rows_from(tables["checks"], CheckRow)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_row_depends_on_what_another_machine_measured(seed: int, tmp_path: pathlib.Path) -> None:
    rows = two_machines.drawn(seed)
    before, after = (
        read_all(two_machines.folder(tmp_path / name, made))
        for name, made in (("before", rows), ("after", two_machines.perturbed(rows, two_machines.B.key)))
    )
    one, other = (tidy.tidy(tables) for tables in (before, after))
    assert set(one["machine"]) == {two_machines.A.key, two_machines.B.key}
    of_a = one["machine"] == two_machines.A.key
    pd.testing.assert_frame_equal(one[of_a], other[of_a])
    assert not one[~of_a].equals(other[~of_a])
    # In the order of the cells, whatever the machine.
    assert one["cell_id"].tolist() == before["cells"]["cell_id"].tolist()
    tables = Tables(before, None)
    assert f"machine {two_machines.A.key}" in tables.to_markdown()
    with pytest.raises(ValueError, match="got tables with more than one machine, expected machine= one of: "):
        tables.plot.scaling()
    assert tables.plot.time(machine=two_machines.A.key).get_title(loc="left").startswith("Time of one call")
