"""The mutation run: what it changes, and that a test which notices a change kills the mutant."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.mutation import ROOMS, ROOT, mutant, places

_SOURCE = '''"""Words are not changed: 1 < 2."""

LIMIT: float = 0.6


def decide(a: float, b: bool = True) -> bool:
    """Neither are these."""
    if a < LIMIT and b:
        print(f"{a + 1}")
    return max(a, 2) == a - 1
'''


def test_comparisons_numbers_operators_statements_and_names_are_changed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "changed.py"
    path.write_text(_SOURCE)
    changes = {(m.before, m.after) for m in map(mutant, places(path))}
    assert changes >= {
        ("0.6", "6.0"),
        ("0.6", str(0.6 * 1.5)),
        ("True", "False"),
        ("a < LIMIT", "a <= LIMIT"),
        ("a < LIMIT and b", "a < LIMIT or b"),
        ("print(f'{a + 1}')", "pass"),
        ("max", "min"),
        ("max(a, 2) == a - 1", "max(a, 2) != a - 1"),
        ("a - 1", "a + 1"),
        ("2", "3"),
    }
    assert not any("Words" in before or "Neither" in before or before == "a + 1" for before, _ in changes)
    for place in places(path):
        compile(mutant(place).source, "changed.py", "exec")


@pytest.mark.parametrize("room", ROOMS)
def test_the_files_and_tests_of_a_room_exist(room: str) -> None:
    patterns, tests = ROOMS[room]
    assert all(any(ROOT.glob(pattern.removeprefix("!"))) for pattern in patterns)
    assert all((ROOT / name).exists() for name in tests if not name.startswith("-"))


def test_a_changed_bound_is_noticed() -> None:
    """Drift is flagged above Kendall's tau .6: the tests of the statistics notice .9."""
    # A mutant is imported in place of its file, so it needs a process that has not imported the file yet.
    code = """
from tests.mutation import ROOMS, ROOT, Mutant, survives
path = ROOT / "autodiff_compare" / "timing" / "statistics.py"
source = path.read_text(encoding="utf-8")
wider = source.replace("DRIFT_TAU = 0.6", "DRIFT_TAU = 0.9")
assert wider != source
print(*(survives(Mutant(path, 1, "", "", text), ROOMS["statistics"][1], 120.0) for text in (source, wider)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
