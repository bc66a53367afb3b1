"""A page with its packed parts opened, as a reader sees it who has opened everything."""

from __future__ import annotations

import json
import re
from typing import Any

from autodiff_compare.report.page.packing import unpacked

_PACKED = re.compile(r'<script type="application/octet-stream" class="packed" data-kind="(\w+)">([^<]*)</script>')


def opened(page: str) -> str:
    """Return the page with its folded parts as HTML and its tables as JSON; other packed parts are left out."""

    def text(match: re.Match[str]) -> str:
        kind, part = match.groups()
        if kind == "html":
            return opened(unpacked(part))
        return f'<script type="application/json">{unpacked(part)}</script>' if kind == "table" else ""

    return _PACKED.sub(text, page)


def parts(page: str, kind: str) -> list[Any]:
    """Return the packed parts of a kind: JSON of tables, figures and the explorer, text of others."""
    found = [unpacked(part) for name, part in _PACKED.findall(page) if name == kind]
    return found if kind in ("html", "library") else [json.loads(part) for part in found]
