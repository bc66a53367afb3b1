"""The verb diff: changes that are claimed, runs that are refused, and tables that cannot be trusted."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from autodiff_compare.cli.main import main
from autodiff_compare.cli.verbs.runs import diff
from autodiff_compare.cli.verbs.runs.diff import End, Recorded, changes, elsewhere, reasons, recorded
from autodiff_compare.results import tables
from autodiff_compare.results.formatting import printable
from autodiff_compare.results.machines import of_run
from autodiff_compare.results.rows import SCHEMA_VERSION, TABLES, CellRow, DescentRow, Run, SampleRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import TableError
from autodiff_compare.results.timings import NOT_ITS_OWN
from autodiff_compare.timing.statistics import Round
from tests.report.blank import blank
from tests.selection import few

ROOT = pathlib.Path(__file__).parents[2]
QUADRATIC = str(ROOT / "tests" / "examples" / "quadratic.py")

RUN = blank(Run, run_id="r", schema_version=SCHEMA_VERSION, threads=1, rounds=15, cpu_model="c", os="o",
            python="3.11", onednn="on", versions='{"numpy": "2.4"}')  # fmt: skip
#: 15 rounds of a microsecond, 1 % apart at most.
STEADY = [1e-6 * (1 + 0.001 * k) for k in range(-7, 8)]


def side(
    status: str = "ok",
    rounds: list[float] | None = None,
    *,
    cells: str = "x",
    flags: str = "",
    quiet: bool = True,
    **fields: object,
) -> Recorded:
    """A run of cells that are all alike."""
    message = "" if status == "ok" else "why"
    rows = dict.fromkeys(cells, End(status, message, "float64", flags))
    steady = {name: [Round(s, quiet) for s in (STEADY if rounds is None else rounds)] for name in cells}
    return of(dataclasses.replace(RUN, **fields), rows, steady)  # type: ignore[arg-type]


def of(run: Run, cells: dict[str, End], rounds: dict[str, list[Round]]) -> Recorded:
    """A run on the one machine that its row describes."""
    return Recorded(run, cells, rounds, dict.fromkeys(cells, of_run(run)))


def times(factor: float, spread: float = 1.0) -> list[float]:
    return [factor * 1e-6 * (1 + spread * (s / 1e-6 - 1)) for s in STEADY]


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (side(), side(), None),
        (side(), side(rounds=times(1.25)), diff.SLOWER),
        (side(rounds=times(1.25)), side(), diff.FASTER),
        (side(), side(rounds=times(1.25), flags="noisy"), diff.SLOWER),
        (side(), side(rounds=times(1.25), flags="contended noisy"), diff.UNSURE),
        (side(flags="contended"), side(rounds=times(0.5)), diff.UNSURE),
        (side(flags="contended"), side("wrong", flags="contended"), diff.WRONG),
        *((side(), side(rounds=times(1.25), flags=flag), diff.UNSURE) for flag in sorted(NOT_ITS_OWN)),
        (side(), side(rounds=times(1.25), flags="cut fallback"), diff.SLOWER),
        (side(), side(rounds=times(1.25), quiet=False), diff.UNSURE),
        (side(quiet=False), side(rounds=times(0.5)), diff.UNSURE),
        (side(), side(rounds=times(1.05)), None),  # within what a new process does
        (side(rounds=times(1, spread=40)), side(rounds=times(1.25, spread=40)), None),  # the intervals overlap
        (side(rounds=STEADY[:7]), side(rounds=times(9)[:7]), None),  # too few rounds
        (side(rounds=[]), side(rounds=[]), None),
        (side(), side("wrong"), diff.WRONG),
        (side(), side("timeout"), diff.WRONG),
        (side("wrong"), side(), diff.RIGHT),
        (side("wrong"), side("crash"), diff.OTHER),
        (side("wrong"), side("wrong", times(9)), None),
        (side(cells="x"), side(cells="xy"), diff.APPEARED),
        (side(cells="xy"), side(cells="x"), diff.MISSING),
        (side("wrong", cells="xy"), side("wrong", cells="x"), diff.DISAPPEARED),
    ],
)
def test_each_change_has_its_name(a: Recorded, b: Recorded, kind: str | None) -> None:
    assert [change.kind for change in changes(a, b)] == ([] if kind is None else [kind])


@pytest.mark.parametrize(
    ("b", "why"),
    [
        (side(rounds=times(2), flags="noisy drift threads"), "drift, threads"),
        (side(rounds=times(2), quiet=False), "contended"),
    ],
)
def test_an_unsure_change_says_why(b: Recorded, why: str) -> None:
    (change,) = changes(side(), b)
    assert change.words == f"1 us -> 2 us, 2x [1.98, 2.02]; {why}"


def planned(command: str, *cells: str, descents: str = "") -> Recorded:
    """A run of that command with ``problem/operator/backend`` cells, all ok, and descents of the first problem."""
    ends = {}
    for cell in cells:
        problem, operator, backend = cell.split("/")
        axes = {"problem": problem, "size": "small", "dtype": "float64", "operator": operator, "backend": backend}
        ends[cell] = End("ok", "", "float64", "", axes)
    for backend in descents.split():
        row = blank(DescentRow, cell_id=f"sphere/down/float64/step/{backend}", start=0, status="ok")
        ends[f"{row.cell_id} start 0"] = End("ok", "", axes=diff._descent_axes(row))
    return of(dataclasses.replace(RUN, command=command), ends, {})


_BOTH = ("sphere/value/numpy", "sphere/gradient/numpy", "sphere/value/torch", "sphere/gradient/torch")


@pytest.mark.parametrize(
    ("a", "b", "missing", "unasked"),
    [
        # One command, one cell less: an interrupted run, or a problem that lost an operator.
        (planned("compare.py run sphere", *_BOTH), planned("compare.py run sphere", *_BOTH[:3]), 1, 0),
        (planned("compare.py run sphere", *_BOTH), planned("compare.py check sphere", *_BOTH[:3]), 1, 0),
        (planned("compare.py run sphere", *_BOTH), planned("compare.py run sphere --rounds 3", *_BOTH[:2]), 2, 0),
        (planned("compare.py run sphere -b numpy -b torch", *_BOTH), planned("compare.py run -b torch -b numpy sphere",
                                                                            *_BOTH[:3]), 1, 0),
        # The default is what it stands for.
        (planned("compare.py run sphere", *_BOTH), planned("compare.py run sphere --dtype float64", *_BOTH[:3]), 1, 0),
        # Other backends, operators, problems.
        (planned("compare.py run sphere", *_BOTH), planned("compare.py run sphere -b numpy", *_BOTH[:2]), 0, 2),
        (planned("compare.py run sphere", *_BOTH), planned("compare.py run sphere -b numpy", *_BOTH[:1]), 1, 2),
        (planned("compare.py run sphere", *_BOTH), planned("compare.py run sphere -o value", *_BOTH[::2]), 0, 2),
        (planned("compare.py run sphere matyas", *_BOTH, "matyas/value/numpy"), planned("compare.py run sphere",
                                                                                       *_BOTH), 0, 1),
        (planned("compare.py run", *_BOTH, "matyas/value/numpy"), planned("compare.py run", *_BOTH), 1, 0),
        (planned("compare.py run", *_BOTH, "matyas/value/numpy"), planned("compare.py run --suite classic", *_BOTH),
         1, 0),
        # Descents belong to timed comparisons.
        (planned("compare.py run sphere", *_BOTH, descents="numpy torch"),
         planned("compare.py check sphere", *_BOTH), 0, 2),
        (planned("compare.py run sphere", *_BOTH, descents="numpy torch"),
         planned("compare.py run sphere", *_BOTH, descents="numpy"), 1, 0),
        # What cannot be read is compared as it stands.
        (planned("autodiff_compare.compare(f)", *_BOTH), planned("autodiff_compare.compare(f)", *_BOTH[:2]), 2, 0),
        (planned("autodiff_compare.compare(f)", *_BOTH), planned("autodiff_compare.compare(g)", *_BOTH[:2]), 0, 2),
        (planned("compare.py run 'sphere", *_BOTH), planned("", *_BOTH[:3]), 1, 0),
    ],
)  # fmt: skip
def test_a_cell_that_is_gone_is_missing_unless_it_was_not_asked_for(
    a: Recorded, b: Recorded, missing: int, unasked: int
) -> None:
    kinds = [change.kind for change in changes(a, b)]
    assert (kinds.count(diff.MISSING), kinds.count(diff.DISAPPEARED)) == (missing, unasked)
    assert len(kinds) == missing + unasked
    assert set(kinds) & diff.REGRESSIONS == ({diff.MISSING} if missing else set())


def test_the_ratio_is_shown_with_its_bounds() -> None:
    # 99 % of 15 rounds: from the 3rd smallest to the 3rd largest (1 - 2 P(Binomial(15, 1/2) < 3) = 0.9926),
    # here 0.995 and 1.005 us, so the ratio is 2 * 0.995 / 1.005 to 2 * 1.005 / 0.995.
    (change,) = changes(side(), side(rounds=times(2)))
    assert change.ratio == pytest.approx(2.0)
    assert change.words == "1 us -> 2 us, 2x [1.98, 2.02]"


def test_rounds_of_one_distribution_are_told_apart_in_at_most_one_of_a_hundred() -> None:
    rng = np.random.default_rng(0)
    for spread in (0.02, 0.3):
        draws = np.exp(spread * rng.standard_normal((2, 2000, 15)))
        claims = sum(
            bool(changes(side(rounds=list(a)), side(rounds=list(b)), 0.02)) for a, b in zip(*draws, strict=True)
        )
        assert claims <= 20


def test_the_threshold_decides_what_is_called_slower() -> None:
    assert [c.kind for c in changes(side(), side(rounds=times(1.05)), threshold=0.02)] == [diff.SLOWER]
    assert changes(side(), side(rounds=times(1.25)), threshold=0.5) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"threads": 2}, "threads 1 and 2"),
        ({"seed": 2}, "seed 0 and 2"),
        ({"python": "3.12"}, "python 3.11 and 3.12"),
        ({"onednn": "off"}, "onednn on and off"),
        ({"versions": '{"numpy": "2.5"}'}, "numpy 2.4 and 2.5"),
        ({"versions": "{}"}, "numpy 2.4 and absent"),
        ({"cells": "y"}, "no cell in common"),
        ({"cells": ""}, "dtype float64 and none"),
    ],
)
def test_what_makes_it_meaningless_is_named(fields: dict[str, object], words: str) -> None:
    assert any(words in reason for reason in reasons(side(), side(**fields)))  # type: ignore[arg-type]


def test_another_host_or_pandas_makes_no_difference() -> None:
    # A virtual machine has a few pages more or less after each start.
    usable = 25_276_514_304
    versions = '{"numpy": "2.4", "pandas": "9"}'
    other = side(hostname="other", versions=versions, rounds=times(2), memory_bytes=usable + 5 * 4096)
    first = side(memory_bytes=usable)
    assert reasons(first, other) == []
    assert elsewhere(first, other) == {}
    assert [change.kind for change in changes(first, other)] == [diff.SLOWER]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cpu_model": "other"}, "cpu_model c and other"),
        ({"cpu_count": 4}, "cpu_count 0 and 4"),
        ({"os": "other"}, "os o and other"),
        ({"memory_bytes": 2**34}, "memory_bytes 8 GiB and 16 GiB"),
        # Results need no equal software, and where nothing is timed no force.
        ({"cpu_model": "other", "python": "3.12", "versions": "{}", "onednn": "off"}, "cpu_model c and other"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--force"]])
def test_of_two_machines_only_results_are_compared(
    fields: dict[str, object], words: str, more: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = side(cells="xy", memory_bytes=2**33)
    alike = {"memory_bytes": 2**33} | fields
    slower = side(rounds=times(9), cells="xy", **alike)  # type: ignore[arg-type]
    wrong = side("wrong", cells="xy", **alike)  # type: ignore[arg-type]
    for b, code in ((slower, 0), (wrong, 1)):
        assert reasons(first, b) == []
        paths = [str(written(tmp_path, made)) for made in (first, b)]
        assert main(["diff", *paths, *more]) == code
        out, err = capsys.readouterr()
        assert f"2 cells were computed on two machines ({words})" in err
        assert "2 on two machines, whose times are not compared." in " ".join(out.split())
        assert "median ratio" not in out
        assert "slower" not in out


def test_a_median_ratio_is_of_one_machine() -> None:
    """Cells x and y of both runs were computed on machine A, cell z on machine B, which is twice as slow in run 2."""
    first = side(cells="xyz")
    there = dataclasses.replace(of_run(RUN), key="B", cpu_model="other")
    first = dataclasses.replace(first, machines={**first.machines, "z": there})
    second = dataclasses.replace(first, rounds={**first.rounds, "z": [Round(s) for s in times(2)]})
    words = diff.sentence(first, second, changes(first, second))
    assert f"median ratio of all B/A 1 on machine {of_run(RUN).key}; median ratio of all B/A 2 on machine B." in words


def test_a_column_that_an_older_run_lacks_makes_no_difference() -> None:
    assert reasons(side(), side(schema_version=1, onednn="")) == []


def written(out: pathlib.Path, made: Recorded) -> pathlib.Path:
    folder = RunFolder(out)
    samples = [
        SampleRow(name, "steady", i, 0, 1, r.seconds)
        for name, rounds in made.rounds.items()
        for i, r in enumerate(rounds)
    ]
    ends = ((name, {k: v for k, v in vars(end).items() if k != "axes"}) for name, end in made.cells.items())
    cells = [blank(CellRow, cell_id=name, **fields) for name, fields in ends]
    folder.add({"runs": [made.run], "cells": cells, "samples": samples})
    folder.close()
    return folder.path


@pytest.mark.parametrize(
    ("b", "more", "code", "words"),
    [
        (side(), [], 0, "no change is proved"),
        (side(rounds=times(2)), [], 1, "slower 1"),
        (side(rounds=times(2)), ["--threshold", "150"], 0, "no change is proved"),
        (side(rounds=times(2), flags="contended"), [], 0, "slower or faster, not proved 1"),
        (side(rounds=times(0.5)), [], 0, "faster 1"),
        (side("crash"), [], 1, "ok -> crash: why"),
        (side(cells="y"), ["--force"], 1, "missing: 1 x ok in A, missing in B, although B's command asks for it"),
        (side(cells="y"), ["--force", "--allow-missing"], 0, "missing 1; appeared 1"),
        (side(threads=4), [], 2, ""),
        (side(threads=4), ["--force"], 0, "no change is proved"),
        (side("wrong", threads=4), ["--force"], 1, "no longer ok 1"),
    ],
)
def test_the_exit_code_is_for_scripts(
    b: Recorded, more: list[str], code: int, words: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = written(tmp_path, side()), written(tmp_path, b)
    assert main(["diff", first.name, str(second), "--out", str(tmp_path), *more]) == code
    out, err = capsys.readouterr()
    assert words in " ".join(out.split())
    assert ("threads 1 and 4" in err) == (b.run.threads == 4)
    assert ("no cell in common" in err) == ("y" in b.cells)
    assert len(err.splitlines()) <= 1
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ({"converged": True}, {"converged": True}, 0, "no change is proved"),
        ({"converged": True}, {"converged": False, "message": "stuck"}, 1, "ok -> not converged: stuck"),
        ({"converged": False}, {"converged": True}, 0, "ok again 1"),
        ({"converged": True}, {"status": "crash"}, 1, "ok -> crash"),
    ],
)
def test_descents_are_compared_by_how_they_end(
    before: dict[str, object], after: dict[str, object], code: int, words: str, tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    paths = []
    for fields in (before, after):
        folder = RunFolder(tmp_path)
        folder.add({"runs": [RUN], "descents": [blank(DescentRow, **{"cell_id": "d", "status": "ok"} | fields)]})
        folder.close()
        paths.append(str(folder.path))
    assert main(["diff", *paths]) == code
    assert words in " ".join(capsys.readouterr().out.split())


def test_many_changes_are_counted(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = "".join(map(chr, range(0x4E00, 0x4E00 + 100)))
    first, second = written(tmp_path, side(cells=cells)), written(tmp_path, side("wrong", cells=cells))
    assert main(["diff", str(first), str(second)]) == 1
    out = capsys.readouterr().out
    assert "and 60 more" in out
    assert "no longer ok 100" in out


def test_no_word_is_cut_where_names_and_words_fill_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The name takes 45 columns of 80, and the words 39 or 42: more than half a line and more than the rest."""
    name = "orbit/small/float64/gradient/tensorflow:eager"
    gone = [f"{status} in A, not asked for by B's command" for status in ("ok", "timeout")]
    diff.show([diff.Change("disappeared", name, words) for words in gone], Console(width=80))
    out = " ".join(capsys.readouterr().out.split())
    assert out == f"disappeared: 2 {name} {gone[0]} {name} {gone[1]}"


@pytest.mark.parametrize("first", [True, False])
def test_a_run_without_cells_is_named(first: bool, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    atlas = written(tmp_path, of(dataclasses.replace(RUN, command="compare.py conventions kinks"), {}, {})).name
    timed = written(tmp_path, side()).name
    assert main(["diff", *((atlas, timed) if first else (timed, atlas)), "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert (
        f"got run '{atlas}' (compare.py conventions kinks), which has no cells, expected a run of the verbs run" in err
    )


HOSTILE = "[/nosuch] [red] :bomb: \x1b[2J\x07 =cmd|'/c calc'!A0 ../../etc/passwd \u202e"


def test_hostile_text_is_shown_as_text(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = written(tmp_path, of(RUN, {HOSTILE: End("ok", "")}, {}))
    second = written(tmp_path, of(RUN, {HOSTILE: End("wrong", HOSTILE)}, {}))
    assert main(["diff", str(first), str(second)]) == 1
    out = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in out)
    assert "\\x1b[2J" in "".join(out.split())
    assert next(iter(tables.read(second / "cells.csv", CellRow)["message"])) == HOSTILE
    assert next(iter(tables.read_all(second)["cells"]["message"])) == printable(HOSTILE)


#: The beginning of the row of ``runs.csv``, with the version of its schema.
_VERSION = f"\nr,{SCHEMA_VERSION},".encode()


def sample(rest: str) -> bytes:
    return f"x,steady,{rest},\n".encode()


def damage_line(text: bytes, number: int, line: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    lines[number] = line
    return b"".join(lines)


#: What is done to a file of a run -> words of the refusal.
DAMAGES = {
    "gone": ("cells.csv", lambda _: None, "cannot read"),
    "empty": ("cells.csv", lambda _: b"", "it is empty"),
    "cut in a line": ("samples.csv", lambda text: text[:-7], "cut off"),
    "cut between cells": ("cells.csv", lambda text: text[: text.rindex(b",")] + b"\n", "cells in row 2"),
    "zeros": ("cells.csv", lambda text: b"\0" * len(text), "cells.csv"),
    "no text": ("cells.csv", lambda text: b"\xff\xfe" + text, "cannot read table"),
    "an open quote": ("cells.csv", lambda text: text + b'"' + text, "cannot read table"),
    "a long cell": ("cells.csv", lambda text: text + b"x" * 200_000 + b"\n", "field larger than field limit"),
    "a long integer": ("runs.csv", lambda text: text.replace(b",15,", b"," + b"9" * 5000 + b","), "'rounds'"),
    "a large integer": ("runs.csv", lambda text: text.replace(b",15,", b"," + b"9" * 50 + b","), "'rounds'"),
    "a word for a number": (
        "samples.csv",
        lambda text: damage_line(text, 1, sample("0,0,1,quick,nan")),
        "'seconds'",
    ),
    "a negative time": ("samples.csv", lambda text: damage_line(text, 1, sample("0,0,1,-1.0,nan")), "'seconds'"),
    "a time of nan": ("samples.csv", lambda text: damage_line(text, 1, sample("0,0,1,nan,nan")), "'seconds'"),
    "no calls": (
        "samples.csv",
        lambda text: damage_line(text, 1, sample("0,0,0,1.0,nan")),
        "expected numbers from 1",
    ),
    "a formula for a number": (
        "samples.csv",
        lambda text: damage_line(text, 1, sample("0,0,1,=1,nan")),
        "'seconds'",
    ),
    "a column twice": ("cells.csv", lambda text: text.replace(b"how", b"status", 1), "got"),
    "a cell twice": ("cells.csv", lambda text: text + text.splitlines(keepends=True)[1], "twice"),
    "no run": ("runs.csv", lambda text: text.splitlines(keepends=True)[0], "0 rows"),
    "two runs": ("runs.csv", lambda text: text + text.splitlines(keepends=True)[1], "r twice"),
    "a newer schema": ("runs.csv", lambda text: text.replace(_VERSION, b"\nr,99,"), "schema version '99'"),
    "a strange schema": ("runs.csv", lambda text: text.replace(_VERSION, b"\nr,\x1b[2J,"), "schema version"),
    "versions": ("runs.csv", lambda text: text.replace(b'""2.4""', b"2.4"), "JSON object of texts"),
    "no versions": ("runs.csv", lambda text: text.replace(b'{""numpy""', b"{{"), "JSON object of texts"),
    "a folder": ("cells.csv", os.mkdir, "cannot read"),
    "a pipe": ("cells.csv", os.mkfifo, "no ordinary file"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_one_clear_line(name: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = written(tmp_path, side()), written(tmp_path, side())
    file, spoil, words = DAMAGES[name]
    path = second / file
    text = path.read_bytes()
    path.unlink()
    new = spoil(path if spoil in (os.mkdir, os.mkfifo) else text)  # type: ignore[operator]
    if new is not None:
        assert new != text
        path.write_bytes(new)
    assert main(["diff", str(first), str(second)]) == 2
    out, err = capsys.readouterr()
    assert words in err or (name == "a folder" and "no ordinary file" in err)
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.rstrip("\n").isprintable()
    assert len(err) < 1000


def test_a_table_above_the_limit_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path, side())
    monkeypatch.setattr(tables, "LARGEST_TABLE", 100)
    with pytest.raises(TableError, match="expected at most 100"):
        recorded(folder)


def test_a_run_cut_short_says_how_to_end_it(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path, side())
    for path in folder.glob("*.csv"):
        path.unlink()
    assert main(["diff", str(folder), str(folder)]) == 2
    assert f"run --resume {folder}" in capsys.readouterr().err


_CELLS = st.sampled_from(["", "x", "ok", "steady", "1", "0", "-1", "nan", "1e999", "True", '{"numpy": "2.4"}', "=1"])
_FILE = st.binary(max_size=60) | st.lists(st.lists(_CELLS | st.text(max_size=5), max_size=20), max_size=5)


def as_bytes(content: bytes | list[list[str]], name: str) -> bytes:
    """Raw bytes, or a table whose header fits and whose rows need not."""
    if isinstance(content, bytes):
        return content
    names = list(tables.column_types(TABLES[name]))
    rows = [(row * len(names))[: len(names)] if i % 2 else row for i, row in enumerate(content)]
    with tempfile.TemporaryFile("w+", newline="", errors="replace") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])
        file.seek(0)
        return file.read().encode(errors="replace")


@pytest.mark.parametrize("examples", few([25, 100], 1))
def test_any_folder_is_read_or_refused(examples: int) -> None:
    @settings(deadline=None, max_examples=examples)  # files are written
    @given(st.fixed_dictionaries(dict.fromkeys(("runs", "cells", "samples", "descents"), _FILE)))
    def check(files: dict[str, bytes | list[list[str]]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for table, content in files.items():
                (folder / f"{table}.csv").write_bytes(as_bytes(content, table))
            try:
                found = recorded(folder)
            except TableError as error:
                assert str(error)  # noqa: PT017 - either outcome is right
            else:
                assert changes(found, found) == []

    check()


def test_a_run_equals_itself_and_the_next_run_is_comparable(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(ROOT / "compare.py")]
    for _ in range(2):
        done = subprocess.run(
            [*command, "check", QUADRATIC, "-b", "manual", "-o", "all", "--out", str(tmp_path)],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    a, b = sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run([*command, "diff", a, b, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 cells in both runs, 0 timed")
    assert json.loads(recorded(tmp_path / a).run.versions)["numpy"]
