"""Notebooks as documents: run from top to bottom in a real kernel, their outputs compared or made anew."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
#: Seconds for a kernel to start, for a cell, and for what a cell shows to arrive.
_LIMIT_S = 300
_RUN = """
import sys, nbclient, nbformat
from traitlets.config import Config
path, folder, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
notebook = nbformat.read(path, as_version=4)
# Not TCP: the kernel opens its ports a moment after they were found to be free, and another process may have them then.
config = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/k"}})
limits = {"timeout": limit, "startup_timeout": limit, "iopub_timeout": limit}
nbclient.NotebookClient(notebook, kernel_name="python3", record_timing=False, config=config, **limits).execute()
for cell in notebook.cells:
    # A bar shows how far a run is, and is empty in the end.
    if cell.cell_type == "code":
        cell.outputs = [o for o in cell.outputs if o.get("data", {}).get("text/html") != ""]
nbformat.write(notebook, sys.stdout)
"""


def read(path: pathlib.Path) -> dict[str, Any]:
    """Return a notebook as it is stored."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def run(path: pathlib.Path, python: pathlib.Path | str = sys.executable, **settings: str) -> dict[str, Any]:
    """Run a notebook in a kernel under ``python``, in the notebook's folder; return it with its new outputs.

    The kernel sees none of this process's settings for Python and Jupyter, and those in ``settings``.
    """
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER", "IPYTHON"))}
    with tempfile.TemporaryDirectory() as folder:
        apart = {"IPYTHONDIR": folder, "JUPYTER_CONFIG_DIR": folder, "JUPYTER_DATA_DIR": folder}
        command = [str(python), "-c", _RUN, str(path), folder, str(_LIMIT_S)]
        done = subprocess.run(
            command, cwd=path.parent, env=kept | apart | settings, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    notebook: dict[str, Any] = json.loads(done.stdout)
    return notebook


def outputs(notebook: dict[str, Any]) -> list[str]:
    """Return what each code cell shows as text, the value of its last expression included."""
    return [
        "\n".join("".join(shown.get("text") or shown["data"]["text/plain"]).rstrip() for shown in cell["outputs"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def remake(path: pathlib.Path) -> None:
    """Write the notebook with the outputs of its cells made anew, by the package of this clone."""
    # The kernel adds the version of its Python to the metadata: the stored ones are kept.
    notebook = run(path, PYTHONPATH=str(ROOT)) | {"metadata": read(path)["metadata"]}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
