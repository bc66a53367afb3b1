"""Shown output is what the commands print; every link and command in the documents leads somewhere."""

from __future__ import annotations

import pathlib
import re

import pytest

from autodiff_compare.cli.arguments import parser
from autodiff_compare.problems.conventions import CASES
from tests.documents.shown import DOCUMENTS, ROOT, Shown, masked, shown

BLOCKS = [block for document in DOCUMENTS for block in shown(document) if block.compared]
VERBS = next(a.choices for a in parser()._actions if isinstance(a.choices, dict))


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{b.document.name}-{k}" for k, b in enumerate(BLOCKS)])
def test_shown_output_is_what_the_command_prints(block: Shown) -> None:
    assert masked(block.made()) == masked(block.text), f"stale: make docs ({block.command})"


def test_what_is_not_compared_is_what_was_asked_for() -> None:
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


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_and_verbs_exist(document: pathlib.Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (document.parent / target).exists(), target
    for verb in re.findall(r"compare\.py ([a-z]+)", text):
        assert verb in VERBS, verb
