"""Files written in place of others: no link is followed, and a failed write leaves the old file."""

from __future__ import annotations

import pathlib

import pytest

from autodiff_compare.results.replacing import own_folder, write_text


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: pathlib.Path) -> None:
    target, link = tmp_path / "target", tmp_path / "summary.md"
    target.write_text("precious")
    link.symlink_to(target)
    write_text(link, "new\n")
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("precious", "new\n", False)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half, then a lone surrogate: \ud800")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("page.html", "old")]


def test_a_folder_that_is_a_link_is_refused(tmp_path: pathlib.Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "figures").symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a link, expected a folder: remove it"):
        own_folder(tmp_path / "figures")
    assert own_folder(tmp_path / "new").is_dir()
