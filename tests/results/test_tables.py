"""Tables: rows are read back as they were written, bit for bit, with their documented types."""

from __future__ import annotations

import dataclasses
import math
import pathlib

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_compare.results import tables
from autodiff_compare.results.rows import ADDED, TABLES, Run, SampleRow
from autodiff_compare.results.tables import TableError
from tests.report.blank import blank
from tests.selection import few

_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20) | st.sampled_from(
    ["None", "nan", "null", "NA", "inf", "", "=1+1", 'a "quoted", comma', "-"]
)
_VALUES = {
    str: _TEXT,
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=True, allow_infinity=True, width=64),
    bool: st.booleans(),
    int | None: st.none() | st.integers(0, 2**62),
}


def rows_of(table: type) -> st.SearchStrategy[list[object]]:
    fields = {name: _VALUES[kind] for name, kind in tables.column_types(table).items()}
    return st.lists(st.builds(table, **fields), max_size=5)


def same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


@pytest.mark.parametrize("examples", few([10, 100], 1))
@pytest.mark.parametrize("name", TABLES)
def test_every_table_survives_the_round_trip(
    name: str, examples: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tables") / f"{name}.csv"

    @settings(deadline=None, max_examples=examples)  # files are written
    @given(rows_of(TABLES[name]))
    def check(rows: list[object]) -> None:
        tables.write(path, TABLES[name], rows)
        back = tables.rows_from(tables.read(path, TABLES[name]), TABLES[name])
        assert len(back) == len(rows)
        for a, b in zip(rows, back, strict=True):
            for field in dataclasses.fields(TABLES[name]):
                x, y = getattr(a, field.name), getattr(b, field.name)
                assert same(x, y), (field.name, x, y)

    check()


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_keeps_its_types(name: str, tmp_path: pathlib.Path) -> None:
    tables.write(tmp_path / "t.csv", TABLES[name], [])
    frame = tables.read(tmp_path / "t.csv", TABLES[name])
    assert list(frame.columns) == list(tables.column_types(TABLES[name]))
    for column, kind in tables.column_types(TABLES[name]).items():
        if kind is float:
            assert frame[column].dtype == "float64", column
        if kind is bool:
            assert frame[column].dtype == "bool", column


def test_a_folder_of_version_1_is_read_without_the_columns_that_came_later(tmp_path: pathlib.Path) -> None:
    for name, table in TABLES.items():
        tables.write(tmp_path / f"{name}.csv", table, [blank(Run, schema_version=1)] if name == "runs" else [])
    old = pd.read_csv(tmp_path / "runs.csv", dtype=str, keep_default_na=False).drop(columns=list(ADDED[Run]))
    old.to_csv(tmp_path / "runs.csv", index=False, lineterminator="\n")
    (run,) = tables.rows_from(tables.read_all(tmp_path)["runs"], Run)
    assert (run.schema_version, run.onednn) == (1, "")
    fields = {name: value for name, value in vars(run).items() if name not in ADDED[Run]}
    assert tables.row(Run, fields) == run


def test_plain_pandas_reads_a_table_too(tmp_path: pathlib.Path) -> None:
    tables.write(tmp_path / "s.csv", SampleRow, [SampleRow("c", "steady", 0, 1, 2, 0.1 + 0.2)])
    assert pd.read_csv(tmp_path / "s.csv")["seconds"][0] == pytest.approx(0.1 + 0.2, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cell_id,phase\na,b\n", "got no column round"),
        ("cell_id,phase,round,sample,calls,seconds\na,b,x,0,1,1.0\n", "'round'"),
        ("cell_id,phase,round,sample,calls,seconds\na,b,,0,1,1.0\n", "'round'"),
        ("cell_id,phase,round,sample,calls,seconds\na,b,0,0,1,fast\n", "'seconds'"),
        ("", "cannot read table"),
    ],
)
def test_a_damaged_table_is_a_clear_error(text: str, words: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(TableError, match=words):
        tables.read(tmp_path / "s.csv", SampleRow)


def test_a_failed_write_leaves_the_old_table(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s.csv"
    tables.write(path, SampleRow, [SampleRow("c", "steady", 0, 0, 1, 1.0)])
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        tables.write(path, SampleRow, ["not a row"])  # type: ignore[list-item]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]
