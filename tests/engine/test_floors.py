"""What the engine imports, and when; its floors and circles are in ``tests/test_architecture.py``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.imports import ROOT, imports, modules

pytestmark = pytest.mark.xdist_group("architecture")  # the syntax trees are read once
ENGINE = "autodiff_compare.backends.numpy_autodiff"


def test_imports_stand_at_the_top_of_a_file() -> None:
    late = {
        (name.removeprefix(f"{ENGINE}."), module.removeprefix(f"{ENGINE}."))
        for name, path in modules().items()
        if name.startswith(ENGINE)
        for module, top in imports(path)
        if not top and module.startswith(ENGINE)
    }
    # The namespace loads all lazy modules of NumPy, so it is imported on first use.
    assert late == {("array.protocols", "array.namespace")}


def test_importing_the_engine_loads_no_large_lazy_module() -> None:
    code = f"import sys, numpy; before = set(sys.modules); import {ENGINE}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(done.stdout.split()) & {"numpy.f2py", "numpy.ma", "numpy.polynomial", "numpy.random", "scipy"}


def test_the_engine_holds_nothing_beside_its_floors() -> None:
    beside = [name for name in modules() if name.startswith(f"{ENGINE}.") and name.count(".") == ENGINE.count(".") + 1]
    assert all(modules()[name].name == "__init__.py" for name in beside)
