"""Output shown in documents: made anew by ``make docs``, compared by the tests.

A fenced block that follows ``<!-- remade by: COMMAND -->`` shows what the command prints on standard output; with
``| last line`` after it, the last line only; with ``| rows A B``, the first table with these rows and its legend. The
command is ``compare.py ...`` or ``python FILE``; files are the Python
blocks of the same document whose first line is ``# FILE``. What differs from one machine or moment to the next is
masked before comparing: durations, ratios of them, run ids. Everything else must be as shown. After ``<!-- remade but
not compared: COMMAND -->`` it is made anew alike, but may differ: what frameworks do at singular points moves with
their releases.
"""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from autodiff_compare.results.places import shown as shown_path
from tests.documents import notebooks, reference, rooms

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

NOTEBOOKS = tuple(sorted((ROOT / "docs").glob("*.ipynb")))

_BLOCK = re.compile(
    r"(<!-- remade (?P<how>by|but not compared): (?P<command>.*?) -->\n```text\n)(?P<shown>.*?)(?=^```)", re.M | re.S
)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
_LAST, _ROWS = "last line", "rows "
_MASKS = (
    (re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}"), "RUN"),
    (re.compile(r"[-+]?[\d.]+(e[-+]?\d+)? ?(ns|us|ms|s)\b"), "TIME"),
    (re.compile(r"[\d.,]+x\b"), "RATIO"),
    # What is left of a zero differs between processors.
    (re.compile(r"-?[\d.]+e-1[3-9]\b"), "ROUNDING"),
    (re.compile("─+"), "─"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True)
class Shown:
    """A block of a document and the command that makes it."""

    document: pathlib.Path
    command: str
    text: str
    compared: bool = True

    def made(self) -> str:
        """Return what the command prints now."""
        words, _, part = self.command.partition(" | ")
        with tempfile.TemporaryDirectory() as folder:
            for text in _PYTHON.findall(self.document.read_text(encoding="utf-8")):
                if text.partition("\n")[0].endswith(".py"):
                    pathlib.Path(folder, text.partition("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")
            script, *options = shlex.split(words.removeprefix("python "))
            command = [sys.executable, str(ROOT / script) if script == "compare.py" else script, *options]
            sample = pathlib.Path(folder, "results", "sample")
            sample.parent.mkdir()
            sample.symlink_to(ROOT / "results" / "sample")
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": f"{folder}/share"},
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{self.command} ended with {done.returncode}: {done.stderr[-500:]}")
        # A reader's runs go into the data folder of his home.
        stdout = done.stdout.replace(shown_path(pathlib.Path(folder, "share")), "~/.local/share")
        lines = [line.rstrip() for line in stdout.rstrip().splitlines()]
        return "\n".join(part_of(lines, part)) + "\n"


def part_of(lines: list[str], part: str) -> list[str]:
    """Return the lines that a block shows: all, the last one, or rows of the first table with its head and legend."""
    if part == _LAST:
        return lines[-1:]
    if not part:
        return lines
    table = lines[: lines.index("")]
    names = part.removeprefix(_ROWS).split()
    first = next(k for k, line in enumerate(table) if line.startswith("problem ")) + 1
    # The legend begins behind the last row: rows end with their error.
    behind = next(k for k in range(first, len(table)) if not re.search(r" (\d+e[-+]\d+|kink|-)$", table[k]))
    rows = [line for line in table[first:behind] if line.split(" ")[0] in names]
    missing = set(names) - {line.split(" ")[0] for line in rows}
    if missing:
        raise RuntimeError(f"got no row of {', '.join(sorted(missing))} in the first table")
    return [*table[:first], *rows, *table[behind:]]


def masked(text: str) -> str:
    """The text without what belongs to one machine or moment."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def shown(document: pathlib.Path) -> Iterator[Shown]:
    """Every block of a document that a command makes."""
    for match in _BLOCK.finditer(document.read_text(encoding="utf-8")):
        yield Shown(document, match["command"], match["shown"], match["how"] == "by")


def remake(document: pathlib.Path) -> None:
    """Write the document with all of its blocks made anew."""
    made = iter([block.made() for block in shown(document)])
    text = document.read_text(encoding="utf-8")
    document.write_text(_BLOCK.sub(lambda match: match[1] + next(made), text), encoding="utf-8")


def main() -> None:
    from autodiff_compare.results.tables import schema_markdown

    (ROOT / "results" / "README.md").write_text(schema_markdown(), encoding="utf-8")
    rooms.main()
    reference.main()
    for document in DOCUMENTS:
        remake(document)
    for notebook in NOTEBOOKS:
        notebooks.remake(notebook)


if __name__ == "__main__":
    main()
