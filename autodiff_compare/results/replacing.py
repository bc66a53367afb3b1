"""Write a file in place of another: readers see the old one or the new one, and no link is followed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a temporary file beside ``path``, which is moved there when the block ends without an exception.

    A link at ``path`` is replaced; the file that it leads to is left alone.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        # mkstemp makes the file private; it gets the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: pathlib.Path, text: str) -> None:
    """Write a text file with ``replacing``, in UTF-8 and with line feeds."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def own_folder(path: pathlib.Path) -> pathlib.Path:
    """Return a folder, made if it is missing.

    Raises
    ------
    OSError
        If it is a link, which could lead out of its parent.
    """
    if path.is_symlink():
        raise OSError(0, f"{path} is a link, expected a folder: remove it")
    path.mkdir(exist_ok=True)
    return path
