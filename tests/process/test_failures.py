"""Errors of a user's function: the place in the user's code, and nothing where there is none."""

from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

from autodiff_compare.process.failures import described, place, whole
from autodiff_compare.testing import assert_gradients


def raised(path: pathlib.Path, text: str, *args: object) -> Exception:
    """Return the exception of function ``f`` in a file with this text."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        runpy.run_path(str(path))["f"](*args)
    return caught.value


def test_the_line_that_failed_is_quoted(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = raised(tmp_path / "mine.py", "def f(x):\n    y = 2\n    return x.astpe(float) + y\n", np.ones(2))
    assert place(error) == "mine.py:3: return x.astpe(float) + y"
    assert described(error).endswith("(mine.py:3: return x.astpe(float) + y)")
    assert 'mine.py", line 3' in whole(error)


def test_a_place_is_told_where_the_working_directory_has_been_removed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = raised(tmp_path / "mine.py", "def f(x):\n    return 1 / x\n", 0)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert place(error) == f"{tmp_path / 'mine.py'}:2: return 1 / x"
    cython = compile("1 / 0", "generator.pyx", "exec")
    with pytest.raises(ZeroDivisionError) as caught:
        exec(cython)
    assert "generator.pyx" not in place(caught.value)


def test_the_innermost_line_of_the_users_code_counts(tmp_path: pathlib.Path) -> None:
    """Here NumPy raises the error, called by a helper of the user's."""
    text = "import numpy as np\ndef inner(x):\n    return np.linalg.solve(x, x)\n\ndef f(x):\n    return inner(x)\n"
    error = raised(tmp_path / "mine.py", text, np.ones(2))
    assert place(error) == f"{tmp_path / 'mine.py'}:3: return np.linalg.solve(x, x)"


def test_the_cause_of_an_exception_is_searched(tmp_path: pathlib.Path) -> None:
    error = raised(tmp_path / "mine.py", "def f(x):\n    return 1 / x\n", 0)
    with pytest.raises(RuntimeError) as caught:
        raise_elsewhere(error)
    assert place(caught.value.with_traceback(None)).endswith("mine.py:2: return 1 / x")


def raise_elsewhere(cause: Exception) -> None:
    raise RuntimeError("an adapter's words") from cause


def test_long_lines_and_words_are_cut(tmp_path: pathlib.Path) -> None:
    long = "raise ValueError('" + 400 * "a" + "')"
    error = raised(tmp_path / "mine.py", f"def f(x):\n    {long}\n", 0)
    first = described(error).splitlines()[0]
    assert f"{280 * 'a'}... (" in first
    assert first.endswith("...)")


def test_only_the_first_line_gets_the_place(tmp_path: pathlib.Path) -> None:
    error = raised(tmp_path / "mine.py", "def f(x):\n    raise ValueError('one\\ntwo')\n", 0)
    assert described(error).splitlines()[1] == "two"
    assert "mine.py:2" in described(error).splitlines()[0]


def test_errors_outside_a_users_code_have_no_place() -> None:
    with pytest.raises(ValueError, match="expected a scalar") as caught:
        assert_gradients(np.sin, np.ones(2), np.ones(2))
    inner = caught.value.with_traceback(None)
    assert place(inner) == ""
    assert described(inner) == str(inner)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (
            "node 4 failed\\n\\nTraceback (most recent call last):\\n  File x\\nValueError: shapes (4,) and (2,)\\n",
            "node 4 failed: ValueError: shapes (4,) and (2,) (",
        ),
        ("one\\ntwo", "one ("),
        ("Traceback (most recent call last) in one line", "Traceback (most recent call last) in one line ("),
    ],
)
def test_a_traceback_that_an_exception_quotes_ends_its_first_line(
    words: str, first: str, tmp_path: pathlib.Path
) -> None:
    error = raised(tmp_path / "mine.py", f"def f(x):\n    raise RuntimeError('{words}')\n", 0)
    assert described(error).splitlines()[0].startswith(first)


@pytest.mark.parametrize("call", ["normal(size=-1)", "choice([])", "permuted(1, axis=5)"])
def test_cython_sources_of_an_extension_are_not_the_users(call: str, tmp_path: pathlib.Path) -> None:
    """NumPy's generators are written in Cython: their frames name ``numpy/random/_generator.pyx``, which is nowhere."""
    text = f"import numpy as np\ndef f(x):\n    return np.random.default_rng(1).{call}\n"
    error = raised(tmp_path / "mine.py", text, 0)
    assert place(error) == f"{tmp_path / 'mine.py'}:3: return np.random.default_rng(1).{call}"


def test_packages_of_another_environment_are_not_the_users(tmp_path: pathlib.Path) -> None:
    """A ``.pth`` file or PYTHONPATH may add folders that are not those of the running Python."""
    library = tmp_path / "env" / "site-packages" / "library.py"
    library.parent.mkdir(parents=True)
    library.write_text("def g(x):\n    raise ValueError(x)\n", encoding="utf-8")
    text = f"import runpy\ndef f(x):\n    return runpy.run_path({str(library)!r})['g'](x)\n"
    assert place(raised(tmp_path / "mine.py", text, 0)).startswith(f"{tmp_path / 'mine.py'}:3: ")
