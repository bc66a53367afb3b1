"""Users' files travel as text: with what they import, byte for byte, and under the names that the user gave them."""

from __future__ import annotations

import pathlib

import pytest

from autodiff_compare.execution.cluster import texts as texts_module
from autodiff_compare.execution.cluster.texts import Copies, Texts, TextsError, collected
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.process import protocol
from tests.cluster.spreading import FAULTY

MINE = "import beside, numpy, package.inner\ndef objective(x, xp):\n    return xp.sum(x * beside.two)\nx = [1.0]\n"


@pytest.fixture
def mine(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file that imports a module beside it, which imports another one, and a package."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside.py").write_text("from further import two\n")
    # In Latin-1: bytes that are no UTF-8.
    (tmp_path / "further.py").write_bytes(b"# -*- coding: latin-1 -*-\ntwo = 2.0  # \xe9\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner.py").write_text("")
    (tmp_path / "unused.py").write_text("raise RuntimeError")
    return tmp_path / "mine.py"


def sent(query: Query) -> Texts:
    """Return the texts of a plan, as they arrive after a journey as one line of text."""
    message = protocol.decode(protocol.encode(collected(plan(query)).message()))
    return Texts(message["folders"], {name: tuple(place) for name, place in message["given"].items()})


def test_a_file_travels_with_the_modules_that_it_imports(mine: pathlib.Path, tmp_path: pathlib.Path) -> None:
    texts = sent(Query([str(mine)], [FAULTY + ":zeros"], ["gradient"]))
    assert sorted(texts.folders[str(tmp_path)]) == [
        "beside.py",
        "further.py",
        "mine.py",
        "package/__init__.py",
        "package/inner.py",
    ]
    assert list(texts.folders[str(pathlib.Path(FAULTY).parent)]) == ["faulty_backend.py"]
    there = tmp_path / "there"
    copies = Copies(texts, there)
    place = pathlib.Path(copies.place(str(mine)))
    assert place.is_relative_to(there)
    for path in (mine, mine.parent / "further.py"):
        assert (place.parent / path.name).read_bytes() == path.read_bytes()
    assert copies.place(f"{FAULTY}:zeros").endswith("faulty_backend.py:zeros")
    assert copies.place("numpy:compiled") == "numpy:compiled"


def test_a_unit_gets_its_own_files_only_and_finds_them_where_another_unit_left_them(
    mine: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    texts = sent(Query([str(mine), "sphere"], [FAULTY + ":zeros"], ["gradient"]))
    both, one = texts.of([str(mine), f"{FAULTY}:zeros"]), texts.of(["sphere", f"{FAULTY}:zeros"])
    assert both == texts
    assert list(one.given) == [FAULTY]
    there = tmp_path / "there"
    assert Copies(both, there).place(FAULTY) == Copies(one, there).place(FAULTY)
    data = Texts({"/data": {"a.txt": "1"}}, {"/data": ("/data", "")})
    assert data.of(["gmm@/data"]) == data
    assert data.of(["gmm"]).folders == {}


@pytest.mark.parametrize(
    ("files", "gone"),
    [
        # A package without __init__.py, at any depth.
        (["beside/part.py", "beside/deep/part.py"], []),
        # Python takes the module of these two, and the package of those.
        (["beside.py"], ["beside/part.py"]),
        (["beside/__init__.py", "beside/part.py"], ["beside.py"]),
    ],
)
def test_what_python_imports_travels(files: list[str], gone: list[str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text("import beside\ndef objective(x, xp):\n    return xp.sum(x)\nx = [1.0]\n")
    for name in (*files, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    texts = sent(Query([str(tmp_path / "mine.py")], ["numpy"], ["gradient"]))
    assert sorted(texts.folders[str(tmp_path)]) == sorted(["mine.py", *files])


def test_a_link_keeps_its_name_and_the_imports_of_its_file(mine: pathlib.Path, tmp_path: pathlib.Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "beside.py").write_text("two = 4.0\n")
    (links / "short.py").symlink_to(mine)
    (links / "further.py").symlink_to(mine)
    name = str(links / "short.py")
    copies = Copies(sent(Query([name], ["numpy"], ["gradient"])), tmp_path / "there")
    place = pathlib.Path(copies.place(name))
    assert (place.name, place.read_text()) == ("short.py", MINE)
    assert (place.parent / "beside.py").read_text() == mine.with_name("beside.py").read_text()
    with pytest.raises(TextsError, match=r"beside which is another further\.py: give the link a new name"):
        collected(plan(Query([str(links / "further.py")], ["numpy"], ["gradient"])))


def test_a_message_of_a_folder_with_marks_of_json_stays_one(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'with "quotes", \\ and \u00e9'
    folder.mkdir()
    file = folder / "fünf.py"
    file.write_text("def objective(x, xp):\n    return xp.sum(x)\nx = [1.0]\n")
    copies = Copies(sent(Query([str(file)], ["numpy"], ["gradient"])), tmp_path / "there")
    place = copies.place(str(file))
    told = {"rows": [{"message": f"in {place}", "line": 3}], place: None, "in": str(pathlib.Path(place).parent)}
    assert copies.as_given(told) == {"rows": [{"message": f"in {file}", "line": 3}], str(file): None, "in": str(folder)}


def test_messages_have_the_paths_that_the_user_wrote(
    mine: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copies = Copies(sent(Query(["./mine.py"], ["numpy"], ["gradient"])), tmp_path / "there")
    place = copies.place("./mine.py")
    assert copies.as_given(f"in {place}, line 3; {pathlib.Path(place).parent / 'beside.py'}") == (
        f"in ./mine.py, line 3; {tmp_path / 'beside.py'}"
    )


@pytest.mark.parametrize("change", ["another text", "removed"])
def test_a_change_on_a_host_is_noticed(change: str, mine: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copies = Copies(sent(Query([str(mine)], ["numpy"], ["gradient"])), tmp_path / "there")
    copies.require_unchanged()
    beside = pathlib.Path(copies.place(str(mine))).parent / "beside.py"
    beside.unlink()
    if change != "removed":
        beside.write_text("two = 3.0\n")
    with pytest.raises(TextsError, match=r"got .*beside\.py changed on this host"):
        copies.require_unchanged()


def test_files_that_are_too_large_are_refused(mine: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts_module, "LARGEST", 10)
    with pytest.raises(TextsError, match=r"got \d+ bytes of files to send, expected at most 10"):
        collected(plan(Query([str(mine)], ["numpy"], ["gradient"])))


def test_instances_travel_and_their_folder_is_named_anew(tmp_path: pathlib.Path) -> None:
    """The folder of ``--data`` is part of the name by which a problem is loaded."""
    data = tmp_path / "data"
    data.mkdir()
    texts = Texts({str(data): {"gmm_d2_K5.txt": "1 2"}}, {str(data): (str(data), "")})
    copies = Copies(texts, tmp_path / "there")
    name, _, folder = copies.place(f"gmm@{data}").partition("@")
    assert (name, (pathlib.Path(folder) / "gmm_d2_K5.txt").read_text()) == ("gmm", "1 2")
