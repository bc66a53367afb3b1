"""The search on every framework: a derivative that is changed in one of them is named by its line.

The change keeps the value: the function is stopped, and a multiple of what is left of it, zero, is added.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autodiff_compare import backends
from autodiff_compare.explaining.directions import directions
from autodiff_compare.explaining.parting import differences
from tests.conftest import opened
from tests.explaining.test_trial import case_of, result, searching

#: Backend -> the framework's function that stops a derivative, from the names of its idioms.
STOPPED = {
    "torch": lambda scope: lambda x: x.detach(),
    "torch:fr": lambda scope: lambda x: x.detach(),
    "tensorflow": lambda scope: scope["tf"].stop_gradient,
    "tensorflow:eager": lambda scope: scope["tf"].stop_gradient,
    "jax": lambda scope: scope["jax"].lax.stop_gradient,
    "jax:eager": lambda scope: scope["jax"].lax.stop_gradient,
}


def changed(spec: str, name: str) -> Any:
    """Return a backend of its own whose function ``name`` has one and a half times its derivative."""
    opened(spec)  # skips where the framework is missing
    backend = backends.load(spec)
    backend.open()
    own, stopped = backend.xp, STOPPED[spec](backend.idiom_scope())
    names = {n: getattr(own, n) for n in dir(own) if not n.startswith("_") or n == "__array_namespace_info__"}
    backend.xp = SimpleNamespace(**names)
    function = names[name]
    setattr(backend.xp, name, lambda x: stopped(function(x)) + 1.5 * (function(x) - stopped(function(x))))
    return backend


@pytest.mark.parametrize(
    ("spec", "operator"),
    [
        ("torch", "gradient"),
        ("torch", "jvp"),
        ("torch:fr", "hvp"),
        ("tensorflow", "gradient"),
        ("tensorflow:eager", "hvp"),
        ("jax", "gradient"),
        ("jax", "hessian"),
        ("jax:eager", "jvp"),
    ],
)
def test_a_changed_derivative_is_named_on_every_framework(spec: str, operator: str) -> None:
    pair, case = {"right": opened(spec), "other": changed(spec, "tanh")}, case_of("layers", operator)
    found = differences(case, *(result(backend, case) for backend in pair.values()))
    assert found
    parted = searching(case, pair, directions(case, found[0].part, found[0].entry)).found()[1]
    assert parted is not None
    assert parted.place.text == "a = xp.tanh(xp.matmul(W, x) + b)"
    assert parted.trial is not None
    assert (parted.trial.a.word, parted.trial.b.word) == ("right", "wrong")


@pytest.mark.parametrize("spec", ["torch", "tensorflow", "jax"])
def test_two_frameworks_that_agree_are_not_told_apart(spec: str) -> None:
    pair, case = {"numpy": opened("numpy"), "other": opened(spec)}, case_of("likelihood", "gradient")
    assert searching(case, pair, directions(case, 0, 0)).found()[1] is None
