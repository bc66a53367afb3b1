"""The progress of `compare`: a bar in a notebook, a line in a terminal or a pipe."""

from __future__ import annotations

import html
import sys
from typing import Any

from autodiff_compare.execution.display import Display


def display() -> Display:
    """Return the display of a run; failures are in its tables."""
    return Display(failures=False, bar=NotebookBar() if "ipykernel" in sys.modules else None)


class NotebookBar:
    """A bar in the output of a notebook's cell. It is shown once there is something to tell, and left empty."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, line: str, share: float) -> None:
        """Show a line beside a bar that is filled up to a share; an empty line empties both."""
        from IPython.display import HTML
        from IPython.display import display as shown

        bar = f'<progress value="{share:.4f}" max="1"></progress> {html.escape(line)}' if line else ""
        if self._handle is None:
            self._handle = shown(HTML(bar), display_id=True) if line else None  # type: ignore[no-untyped-call]
        else:
            self._handle.update(HTML(bar))  # type: ignore[no-untyped-call]
