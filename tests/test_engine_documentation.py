"""The examples in the engine's guide and docstrings are run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pathlib

import numpy as np
import pytest

import backends.numpy_autodiff as engine

FOLDER = pathlib.Path(engine.__file__).parent


@pytest.mark.parametrize("module", ["", ".compiler", ".compiler.compiled", ".custom", ".view"])
def test_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"backends.numpy_autodiff{module}"))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_the_guide() -> None:
    found = doctest.testfile(str(FOLDER / "README.md"), module_relative=False)
    assert (found.failed, found.attempted > 20) == (0, True)


def test_the_graph_in_dot_has_a_node_per_call_and_an_edge_per_argument() -> None:
    dot = engine.graph_dot(lambda x, y: np.sum(x * y), np.ones(2), np.ones(2))
    assert dot.count("label=") == 4
    assert dot.count("->") == 3
