"""A user's instance files are read exactly, rejected with file and line if damaged, and found below a folder."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autodiff_compare import problems
from autodiff_compare.cli.main import main
from autodiff_compare.plan.cases import build_case, elsewhere
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.problems.base.instances import bundle_adjustment, folder, gmm, lstm
from autodiff_compare.problems.base.instances.text import MOST, InstanceError, Text, bounded
from autodiff_compare.results.provenance import code_digest
from autodiff_compare.vocabulary import Operator

GMM = """2 3 4
0.5
-1.25
0
0.1 0.2
0.3 0.4
0.5 0.6
1 2 3
4 5 6
7 8 9
1e-3 1
2 2
3 3
4 4
1.0 0
"""
LSTM = """1 3 2

.1 .2 .3 .4 .5 .6 .7 .8
.8 .7 .6 .5 .4 .3 .2 .1

1 2
3 4
5 6

.5 .5
.25 .25

0 1
1 1
1 0

"""
BA = """2 3 4
.01 .02 .03 1 2 3 100 .5 .5 .1 .01
1 2 9
1.5
0.25 -0.5
"""


@dataclass(frozen=True)
class Format:
    name: str
    file: str
    text: str
    read: Callable[[pathlib.Path], Any]


FORMATS = (
    Format("gmm", "gmm_d2_K3.txt", GMM, gmm.read),
    Format("lstm", "lstm_l1_c3.txt", LSTM, lstm.read),
    Format("ba", "ba1_n2_m3_p4.txt", BA, bundle_adjustment.read),
)
every_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
#: All examples of a test may share its folder, since each writes the file again.
anew = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def written(path: pathlib.Path, *rows: Any) -> pathlib.Path:
    """Format rows of numbers as text that preserves every bit."""
    path.write_text("\n".join(" ".join(repr(x) for x in np.atleast_1d(row).tolist()) for row in rows))
    return path


def test_the_fields_of_a_mixture_file(tmp_path: pathlib.Path) -> None:
    # With the byte order mark that some editors write.
    (tmp_path / "gmm_d2_K3.txt").write_text(GMM, encoding="utf-8-sig")
    found = gmm.read(tmp_path / "gmm_d2_K3.txt")
    np.testing.assert_array_equal(found.alphas, [0.5, -1.25, 0])
    np.testing.assert_array_equal(found.means, [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    np.testing.assert_array_equal(found.factors, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(found.points, [[1e-3, 1], [2, 2], [3, 3], [4, 4]])
    assert (found.gamma, found.m) == (1.0, 0)


def test_the_fields_of_an_lstm_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "lstm_l1_c3.txt").write_text(LSTM.replace("\n", "\r\n"))
    found = lstm.read(tmp_path / "lstm_l1_c3.txt")
    assert [a.shape for a in (found.main, found.extra, found.state, found.text)] == [(2, 8), (3, 2), (2, 2), (3, 2)]
    assert (found.main[1, 0], found.extra[2, 1], found.state[1, 0]) == (0.8, 6, 0.25)
    np.testing.assert_array_equal(found.text, [[0, 1], [1, 1], [1, 0]])


@given(data=st.data(), d=st.integers(1, 3), k=st.integers(1, 3), n=st.integers(1, 3))
@anew
def test_a_mixture_file_is_read_exactly(data: st.DataObject, d: int, k: int, n: int, tmp_path: pathlib.Path) -> None:
    shapes = [(k,), (k, d), (k, d * (d + 1) // 2), (n, d)]
    alphas, means, factors, points = (data.draw(arrays(np.float64, shape, elements=FINITE)) for shape in shapes)
    gamma, m = data.draw(st.floats(0, allow_infinity=False, exclude_min=True)), data.draw(st.integers(0, 5))
    path = written(tmp_path / "gmm.txt", np.array([d, k, n]), *alphas, *means, *factors, *points)
    path.write_text(f"{path.read_text()}\n{gamma!r} {m}\n")
    found = gmm.read(path)
    for got, expected in zip(
        (found.alphas, found.means, found.factors, found.points), (alphas, means, factors, points), strict=True
    ):
        assert got.tobytes() == expected.tobytes()
    assert (found.gamma, found.m) == (gamma, m)


@given(data=st.data(), layers=st.integers(1, 2), c=st.integers(2, 4), b=st.integers(1, 3))
@anew
def test_an_lstm_file_is_read_exactly(data: st.DataObject, layers: int, c: int, b: int, tmp_path: pathlib.Path) -> None:
    shapes = [(2 * layers, 4 * b), (3, b), (2 * layers, b), (c, b)]
    parts = [data.draw(arrays(np.float64, shape, elements=FINITE)) for shape in shapes]
    found = lstm.read(
        written(tmp_path / "lstm.txt", np.array([layers, c, b]), *(row for part in parts for row in part))
    )
    for got, expected in zip((found.main, found.extra, found.state, found.text), parts, strict=True):
        assert got.tobytes() == expected.tobytes()


def refused(form: Format, path: pathlib.Path) -> str:
    with pytest.raises(InstanceError) as error:
        form.read(path)
    return str(error.value).removeprefix(f"{path}")


@every_format
@pytest.mark.parametrize(
    ("line", "now", "words"),
    [
        (1, "", "expected 3: the counts"),
        (1, "2 3", ", line 1: got 2 fields, expected 3: the counts"),
        (1, "2 3 4 5", ", line 1: got 4 fields, expected 3: the counts"),
        (1, "2 3 x", ", line 1: got 'x', expected a whole number from 1 to"),
        (1, "2 3 4.0", ", line 1: got '4.0', expected a whole number"),
        (1, "2 -3 4", ", line 1: got '-3', expected a whole number from 1"),
        (1, "0 3 4", ", line 1: got '0', expected a whole number from 1"),
        (1, "2 3 99999999999", ", line 1: got '99999999999', expected a whole number from 1 to 10000000"),
        (1, "2 3 " + "9" * 5000, ", line 1: got '" + "9" * 36 + "..."),
        (1, "2 3 \N{SUPERSCRIPT TWO}", ", line 1: got "),
        (-1, "1 2 3 4 5 6 7 8 9", ": got 9 fields, expected "),
        (-1, "nan nan", ": got 'nan', expected a finite number"),
        (-1, "1e999 0", ": got '1e999', expected a finite number"),
        (-1, "1_0 0", ": got '1_0', expected a finite number"),
        (-1, "\x00 0", ": got '\\x00', expected a finite number"),
    ],
    ids=lambda x: repr(x)[:24],
)
def test_an_error_names_the_damaged_line(form: Format, line: int, now: str, words: str, tmp_path: pathlib.Path) -> None:
    lines = form.text.rstrip().splitlines()
    lines[line if line < 0 else line - 1] = now
    path = tmp_path / form.file
    path.write_text("\n".join(lines), encoding="utf-8")
    message = refused(form, path)
    assert words in message
    if line < 0:
        assert message.startswith(f", line {len(lines)}: ")


@every_format
def test_missing_and_surplus_lines_are_rejected(form: Format, tmp_path: pathlib.Path) -> None:
    path, lines = tmp_path / form.file, form.text.rstrip().splitlines()
    path.write_text("\n".join(lines[:-1]))
    assert f", line {len(lines) - 1}: got the end of the file, expected " in refused(form, path)
    path.write_text("\n".join([*lines, "", "1 1"]))
    assert refused(form, path) == f", line {len(lines) + 2}: got a further line, expected the end of the file"
    path.write_text("")
    assert refused(form, path).startswith(": got the end of the file, expected the counts")


@every_format
@given(data=st.data())
@anew
def test_a_mutated_file_is_read_or_rejected(form: Format, data: st.DataObject, tmp_path: pathlib.Path) -> None:
    tokens = form.text.split(" ")
    kind = data.draw(st.sampled_from(["cut", "replace", "drop", "insert", "garbage"]))
    k = data.draw(st.integers(0, len(tokens) - 1))
    junk = st.sampled_from(["nan", "inf", "-1", "1e400", "", "\n", "0x10", str(MOST + 1), "1" * 400]) | st.text(
        max_size=8
    )
    content = form.text.encode()
    if kind == "cut":
        content = content[: data.draw(st.integers(0, len(content)))]
    elif kind == "garbage":
        content = data.draw(st.binary(max_size=80))
    else:
        new = {"replace": [data.draw(junk)], "drop": [], "insert": [tokens[k], data.draw(junk)]}[kind]
        content = " ".join([*tokens[:k], *new, *tokens[k + 1 :]]).encode("utf-8", "surrogatepass")
    path = tmp_path / form.file
    path.write_bytes(content)
    found, words = read_or_refused(form, path)
    if found is None:
        assert words.startswith(str(path))
        assert len(words) < len(str(path)) + 300
    else:
        numbers = [a for a in vars(found).values() if isinstance(a, np.ndarray)]
        assert numbers
        assert all(np.isfinite(a).all() and a.dtype == np.float64 for a in numbers)


def read_or_refused(form: Format, path: pathlib.Path) -> tuple[Any, str]:
    try:
        return form.read(path), ""
    except InstanceError as error:
        return None, str(error)


@given(field=st.text(st.characters(max_codepoint=127), max_size=30))
@example(field="1_000")
@example(field="1e5")
@example(field="infinity")
@anew
def test_a_number_is_finite_and_has_no_underscores(field: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").touch()
    text = Text(tmp_path / "empty")
    try:
        value = text.number(field, "a number")
    except InstanceError:
        return
    assert math.isfinite(value)
    assert "_" not in field
    assert value == float(field)


@pytest.mark.parametrize("what", ["missing.txt", "folder.txt"])
def test_only_ordinary_files_are_read(what: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InstanceError, match="got no file, expected an ordinary file"):
        Text(tmp_path / what)


def test_counts_beyond_the_memory_of_a_machine_are_rejected(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "gmm.txt"
    path.write_text("1000 1000 1000\n")
    with pytest.raises(InstanceError, match=r"line 1: got counts that imply 1000000000 entries, expected at most"):
        gmm.read(path)
    with pytest.raises(InstanceError, match="expected at most 10"):
        bounded(Text(path), 11, 10)


def place(root: pathlib.Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GMM)


def sizes_in(root: pathlib.Path) -> dict[str, str]:
    found = folder.with_data(problems.available()["gmm"], root).files
    return {name: str(path.relative_to(root.resolve())) for name, path in found.items()}


def test_sizes_are_named_by_stems_and_by_folders_where_stems_are_equal(tmp_path: pathlib.Path) -> None:
    place(
        tmp_path, "gmm/1k/gmm_d2_K5.txt", "gmm/1k/gmm_d10_K25.txt", "gmm/10k/gmm_d10_K25.txt", "hand/hand1_t26_c100.txt"
    )
    place(tmp_path, "x/a/gmm_d1_K1.txt", "y/a/gmm_d1_K1.txt", "gmm_d3 K1.txt", "gmm_d3_K1.txt.bak", "old gmm_d3_K1.txt")
    assert sizes_in(tmp_path) == {
        "gmm_d2_K5": "gmm/1k/gmm_d2_K5.txt",
        "10k_gmm_d10_K25": "gmm/10k/gmm_d10_K25.txt",
        "1k_gmm_d10_K25": "gmm/1k/gmm_d10_K25.txt",
        "x_a_gmm_d1_K1": "x/a/gmm_d1_K1.txt",
        "y_a_gmm_d1_K1": "y/a/gmm_d1_K1.txt",
    }


def test_links_out_of_the_folder_are_ignored(tmp_path: pathlib.Path) -> None:
    place(tmp_path, "theirs/gmm_d2_K5.txt", "mine/gmm_d1_K1.txt")
    (tmp_path / "mine" / "gmm_d9_K9.txt").symlink_to(tmp_path / "theirs" / "gmm_d2_K5.txt")
    (tmp_path / "mine" / "all").symlink_to(tmp_path / "theirs")
    (tmp_path / "mine" / "gmm_d8_K8.txt").symlink_to("gmm_d1_K1.txt")
    (tmp_path / "mine" / "gmm_d7_K7.txt").symlink_to("gmm_d7_K7.txt")
    assert list(sizes_in(tmp_path / "mine")) == ["gmm_d1_K1", "gmm_d8_K8"]


def test_a_folder_with_too_many_entries_is_rejected(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, "a/gmm_d1_K1.txt", "b/gmm_d1_K2.txt")
    monkeypatch.setattr(folder, "_MOST_ENTRIES", 3)
    with pytest.raises(problems.ProblemError, match="got more than 3 entries"):
        sizes_in(tmp_path)


def test_a_plan_names_the_files_it_reads(tmp_path: pathlib.Path) -> None:
    place(tmp_path, "gmm_d2_K3.txt", "gmm_d2_K4.txt")
    planned = plan(["gmm", "lstm"], ["numpy"], ["gradient"], sizes=["gmm_*3", "small"], data=tmp_path)
    assert [(c.problem, c.size) for c in planned.cells] == [("gmm", "gmm_d2_K3"), ("gmm", "small"), ("lstm", "small")]
    assert planned.sources == {"gmm": f"gmm@{tmp_path.resolve()}", "lstm": "lstm"}
    assert planned.files == [tmp_path.resolve() / "gmm_d2_K3.txt"]
    (again,) = problems.load(planned.sources["gmm"])
    assert list(again.files) == ["gmm_d2_K3", "gmm_d2_K4"]
    before = code_digest((), planned.files)
    (tmp_path / "gmm_d2_K3.txt").write_text(GMM.replace("0.5", "0.75", 1))
    assert code_digest((), planned.files) != before


@pytest.mark.parametrize(
    ("names", "sizes", "words"),
    [
        (["gmm"], ["gmm_d2_K3"], "gmm_d2_K3.txt, line 3: got '-1.25x', expected a finite number: row 2 of 3"),
        (["gmm"], ["nosuch"], "got size 'nosuch', expected one of: small, medium, large, gmm_d2_K3"),
        (["sphere"], ["*"], "for sphere, expected "),
    ],
)
def test_a_plan_rejects_files_that_cannot_be_read(
    names: list[str], sizes: list[str], words: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "gmm_d2_K3.txt").write_text(GMM.replace("-1.25", "-1.25x"))
    with pytest.raises(PlanError) as error:
        plan(names, ["numpy"], sizes=sizes, data=tmp_path)
    assert words in str(error.value)


def test_a_case_is_the_file_and_is_prepared_close_to_it(tmp_path: pathlib.Path) -> None:
    place(tmp_path, "gmm_d2_K3.txt")
    problem = folder.with_data(problems.available()["gmm"], tmp_path)
    case = build_case(problem, "gmm_d2_K3", "float64", Operator.HVP, 5)
    np.testing.assert_array_equal(case.inputs.differentiated[1], [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    other = elsewhere(case)
    for here, there in zip(case.inputs.differentiated, other.inputs.differentiated, strict=True):
        assert not (here == there).any()
        np.testing.assert_allclose(there, here, rtol=0.02, atol=0.02)
    np.testing.assert_array_equal(case.inputs.data[0], other.inputs.data[0])
    assert not np.array_equal(case.directions[0], other.directions[0])


def test_instances_run_in_workers_and_are_resumed(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in FORMATS:
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / form.file).write_text(form.text)
    out = str(tmp_path / "out")
    asked = ["check", "gmm", "lstm", "--data", str(tmp_path / "data"), "-b", "numpy", "-o", "gradient", "--out", out]
    assert main(asked) == 2
    assert (
        "expected --size with one of them, or a pattern such as '*': gmm_d2_K3, lstm_l1_c3" in capsys.readouterr().err
    )
    assert main([*asked, "--size", "*_?[1-9]_*"]) == 0
    (run,) = pathlib.Path(out).iterdir()
    assert "2 of 2 cells agree" in capsys.readouterr().out
    assert main(["check", "--resume", str(run), "--out", out]) == 0
    (tmp_path / "data" / "gmm_d2_K3.txt").write_text(GMM.replace("0.5", "0.75", 1))
    assert main(["check", "--resume", str(run), "--out", out]) == 2
    assert "code" in capsys.readouterr().err
    assert main(["list", "--data", str(tmp_path / "data")]) == 0
    assert "gmm_d2_K3" in capsys.readouterr().out
