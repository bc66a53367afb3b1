"""Remake the table and the figure of ``docs/peers.md`` from runs: ``python -m tests.documents.peers RUN [RUN ...]``.

The first run is ``compare.py run --suite classic`` with Chainer beside the four frameworks; further runs hold descents
of the verb ``descend``. Without a run, all are made, in minutes: it needs ``.peers/chainer`` (``make peers``).
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tempfile

from autodiff_compare.report.page import style
from autodiff_compare.results.formatting import seconds
from autodiff_compare.results.tables import read_all
from tests.peers.environments import ROOT, python_of

PAGE, FIGURE = ROOT / "docs" / "peers.md", ROOT / "docs" / "peers_classic.svg"
ADAPTER = ROOT / "examples" / "backends" / "chainer_backend.py"
_BETWEEN = re.compile(r"(<!-- classic: [^\n]*-->\n).*?(<!-- end of classic -->)", re.S)
#: The operators of a row, best first: a function with an array value has no gradient.
_SHOWN = ("value_and_gradient", "jacobian")
#: Problems with descents.
_DESCENTS = (
    "matrix_inverse_absolute",
    "matrix_inverse_squared",
    "cubic_fit",
    "eigenvalue_targeting_equal",
    "eigenvalue_targeting_distinct",
)


def made() -> list[pathlib.Path]:
    """Run the classic suite and its descents on the five systems and return the folders of the runs."""
    out = pathlib.Path(tempfile.mkdtemp())
    specs = ["numpy", "torch", "tensorflow", "jax", f"{ADAPTER}@{python_of('chainer')}"]
    backends = [word for spec in specs for word in ("-b", spec)]
    operators = [word for operator in _SHOWN for word in ("-o", operator)]
    commands = [["run", "--suite", "classic", "--dtype", "float64", "--rounds", "8", *operators]]
    commands += [["descend", problem, "--timeout", "900"] for problem in _DESCENTS]
    for i, command in enumerate(commands):
        there = ["--out", str(out / str(i))]
        subprocess.run([sys.executable, "compare.py", *command, *backends, *there], cwd=ROOT, check=False)
    return [folder for i in range(len(commands)) for folder in (out / str(i)).iterdir()]


def times(folder: pathlib.Path) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Return the backends, and problem and operator -> backend -> median seconds of a right result."""
    tables = read_all(folder)
    cells = tables["cells"].set_index("cell_id")
    calls = tables["timings"].query("phase == 'steady'").set_index("cell_id")["median_s"]
    found: dict[str, dict[str, float]] = {}
    for (problem, operator), rows in cells.groupby(["problem", "operator"], sort=False):
        if operator in _SHOWN and not (operator == "jacobian" and f"{problem} {_SHOWN[0]}" in found):
            found[f"{problem} {operator}"] = {
                row.backend: float(calls.get(cell, float("nan"))) for cell, row in rows.iterrows() if row.status == "ok"
            }
    return list(dict.fromkeys(cells["backend"])), found


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def counts(folder: pathlib.Path, backends: list[str]) -> str:
    cells = read_all(folder)["cells"]
    rows = []
    for backend in backends:
        mine = cells[cells["backend"] == backend]
        kinds = mine["status"].value_counts()
        others = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if kind != "ok")
        rows.append([backend, f"{int(kinds.get('ok', 0))} of {len(mine)}", others])
    return table(["backend", "right cells", "others"], rows)


def descents(folders: list[pathlib.Path], backends: list[str]) -> str:
    """Return updates, restarts and last loss of each descent on each backend, in one table of all runs."""
    found: dict[str, dict[str, str]] = {}
    for folder in folders:
        for row in read_all(folder)["descents"].itertuples():
            problem, descent, _, _, backend = str(row.cell_id).rsplit("/", 4)
            words = f"{int(row.iterations)}" if row.status == "ok" else row.status
            if row.status == "ok":
                words += (f" ({int(row.restarts)})" if row.restarts else "") + f": {row.final_loss:.4g}"
            found.setdefault(f"{problem} {descent} {row.start}", {}).setdefault(backend, words)
    return table(
        ["descent, start", *backends], [[name, *(at.get(b, "") for b in backends)] for name, at in found.items()]
    )


def draw(backends: list[str], found: dict[str, dict[str, float]]) -> None:
    """Draw the time of each row on each backend."""
    looks = style.backend_styles([spec.partition("@")[0] for spec in backends])
    with style.drawing():
        figure, (axes,) = style.canvas(
            "The classic suite in five systems, float64, one thread",
            looks,
            about="median time of one call: gradient beside the value, or Jacobian; lower is better",
            panel=(5.4, 0.24 * len(found)),
            left=3.1,
        )
        for spec, name in zip(backends, looks, strict=True):
            look, points = looks[name], [(at[spec], i) for i, at in enumerate(found.values()) if spec in at]
            axes.plot(*zip(*points, strict=True), linestyle="none", color=look.colour, marker=look.marker)
        axes.set_yticks(range(len(found)), [name.replace("value_and_gradient", "gradient") for name in found])
        axes.invert_yaxis()
        style.log_axis(axes.xaxis, [t for at in found.values() for t in at.values()], seconds)
        figure.savefig(FIGURE, format="svg", metadata={"Date": None, "Creator": None})


def main(runs: list[str]) -> None:
    """Write the page's part and its figure."""
    folders = [pathlib.Path(r) for r in runs] or made()
    backends, found = times(folders[0])
    head = ["gradient or Jacobian, one call", *backends]
    rows = [[name, *(seconds(at[b]) if b in at else "-" for b in backends)] for name, at in found.items()]
    parts = [counts(folders[0], backends), table(head, rows), descents(folders, backends)]
    text = "\n\n".join(parts)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_BETWEEN.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page), encoding="utf-8")
    draw(backends, found)


if __name__ == "__main__":
    main(sys.argv[1:])
