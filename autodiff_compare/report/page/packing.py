"""Packing: parts of a page that a script unpacks when a reader comes to them, so that the page opens at once.

A packed part is text, compressed with zlib and written in base64: letters, digits, ``+``, ``/`` and ``=``, so that
nothing of it is markup. A browser reads it with ``DecompressionStream("deflate")``.
"""

from __future__ import annotations

import base64
import zlib


def packed(text: str) -> str:
    """Return a text in the form in which a page holds it."""
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def unpacked(part: str) -> str:
    """Return the text of a packed part."""
    return zlib.decompress(base64.b64decode(part, validate=True)).decode("utf-8")
