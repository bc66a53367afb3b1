"""Shown output is what the commands print; every link and command in the documents leads somewhere."""

from __future__ import annotations

import itertools
import pathlib
import re
import shlex

import pytest

from autodiff_compare.cli.arguments import parser
from autodiff_compare.problems.conventions import CASES
from tests.documents import reference
from tests.documents.shown import DOCUMENTS, ROOT, Shown, masked, part_of, shown

BLOCKS = [block for document in DOCUMENTS for block in shown(document) if block.compared]
VERBS = next(a.choices for a in parser()._actions if isinstance(a.choices, dict))


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{b.document.name}-{k}" for k, b in enumerate(BLOCKS)])
def test_shown_output_is_what_the_command_prints(block: Shown) -> None:
    assert masked(block.made()) == masked(block.text), f"stale: make docs ({block.command})"


def test_the_atlas_that_is_not_compared_is_what_was_asked_for() -> None:
    """Every case of the guide to the conventions is there with an answer of every backend, in 80 columns."""
    blocks = [block for document in DOCUMENTS for block in shown(document) if not block.compared]
    (block,) = [block for block in blocks if block.document.name == "conventions.md"]
    words = block.command.split()[2:]
    cases = words[: words.index("-b")]
    assert f"{len(cases)} cases in" in block.text
    assert all(spec in block.text for spec in words[words.index("-b") + 1 :: 2])
    assert max(map(len, block.text.splitlines())) <= 80
    assert set(cases) <= set(CASES)


def test_masks_hide_times_and_nothing_else() -> None:
    assert masked("loss 8.817 after 2000 updates, 79.4 ms") == "loss 8.817 after 2000 updates, TIME"
    assert masked("results/20261121T003610-f4a7  1.03x") == "results/RUN RATIO"
    assert masked("a 1 s") != masked("b 1 s")


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_links_and_verbs_exist(document: pathlib.Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (document.parent / target).exists(), target
    for verb in re.findall(r"compare\.py ([a-z]+)", text):
        assert verb in VERBS, verb


#: Words at which a shell ends a command.
_SHELL = {"|", ">", ">>", "&&", "||", ";"}


def _arguments(line: str) -> list[str]:
    """Return the words behind the program in a shown command of this package; empty for another program."""
    words = list(itertools.takewhile(lambda word: word not in _SHELL, shlex.split(line, comments=True)))
    words = words[1:] if words[:1] == ["python"] else words
    return words[1:] if words[:1] in (["compare.py"], ["autodiff-compare"]) else []


#: Document, and the arguments of a command that it shows.
COMMANDS = [
    (document.name, _arguments(line))
    for document in DOCUMENTS
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
    for line in block.splitlines()
    if _arguments(line)
]


@pytest.mark.parametrize("document", sorted({name for name, _ in COMMANDS}))
def test_shown_commands_are_understood(document: str) -> None:
    """Every verb, option and number of choices is one that the command line takes."""
    for words in [words for name, words in COMMANDS if name == document]:
        assert _accepted(words), f"{document} shows a command that is refused: {' '.join(words)}"


def _accepted(words: list[str]) -> bool:
    own = itertools.takewhile(lambda word: word not in ("|", "||", "&&", ">", ">>"), words)
    try:
        parser().parse_args(list(own))
    except SystemExit as end:
        return end.code == 0
    return True


@pytest.mark.parametrize("target", ["compare", "test", "test-rest", "test-all", "lint", "docs", "sample", "site"])
def test_targets_exist(target: str) -> None:
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_reference_is_made_from_the_code(name: str) -> None:
    made = reference.PAGES[name]()
    assert (reference.FOLDER / name).read_text(encoding="utf-8") == made, "stale: make docs"


def test_the_readme_is_short() -> None:
    """Nobody reads more than this before the first command."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_rows_of_the_first_table_can_be_chosen() -> None:
    head = ["Median time of one", "        numpy", "problem inputs (eager) error"]
    rows, legend = ["a 2 1 us* 0e+00", "b (n = 9) 3 2 us kink", "c 2 3 us -"], ["eager: at each", "call"]
    printed = [*head, *rows, *legend, "", "Next table", "d 4"]
    assert part_of(printed, "rows b") == [*head, rows[1], *legend]
    assert part_of(printed, "last line") == ["d 4"]
    with pytest.raises(RuntimeError, match="no row of z"):
        part_of(printed, "rows a z")
