"""Taps: the identity on every framework, in every order of modes, and what a listener sees of them."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare import tap
from autodiff_compare.backends import numpy_autodiff
from autodiff_compare.explaining import marks
from autodiff_compare.explaining.directions import directions
from autodiff_compare.explaining.marked import MarkedSearch, MarkError
from autodiff_compare.explaining.records import Parted
from autodiff_compare.plan.cases import Case, build_case, leaves
from autodiff_compare.problems import SCALAR, Problem, load
from autodiff_compare.process.protocol import decode, encode
from autodiff_compare.taps import listening
from autodiff_compare.vocabulary import SECOND_ORDER, Operator
from tests.conftest import opened

ORDERED = ("numpy", "numpy:compiled", "torch", "torch:fr", "torch:rf", "tensorflow:eager", "jax:eager", "jax:rf")


def with_taps(xp: Any) -> Any:
    return lambda x: xp.sum(tap("product", x * tap("sine", xp.sin(x))) * x)


def without(xp: Any) -> Any:
    return lambda x: xp.sum(x * xp.sin(x) * x)


@pytest.mark.parametrize("operator", ["value", "gradient", "jvp", "hvp", "hessian"])
@pytest.mark.parametrize("spec", ORDERED)
def test_a_tap_changes_no_bit_of_any_derivative(spec: str, operator: str) -> None:
    backend, which = opened(spec), Operator(operator)
    if backend.order and which not in SECOND_ORDER:
        pytest.skip("an order of modes is one of second derivatives")
    x, t = backend.to_var([0.3, -1.2, 2.0]), backend.to_var([1.0, 0.5, -0.5])
    along = [t] if operator in ("jvp", "hvp") else []

    def found(f: Any) -> list[bytes]:
        run = backend.prepare(which, f(backend.xp), [x], directions=along)
        return [backend.to_numpy(leaf).tobytes() for leaf in leaves(run(x, *along))]

    assert found(with_taps) == found(without)


def test_a_compiler_traces_through_a_tap() -> None:
    torch = opened("torch")._torch
    f = torch.compile(torch.func.grad(with_taps(torch)), fullgraph=True, backend="eager")
    x = torch.tensor([0.3, -1.2, 2.0])
    assert torch.equal(f(x), torch.func.grad(without(torch))(x))


def test_a_tap_without_a_listener_records_nothing() -> None:
    x = np.array([0.3, -1.2, 2.0])
    tapped, plain = (numpy_autodiff.primitive_counts(f(np), x) for f in (with_taps, without))
    assert tapped == plain


def test_the_last_listener_hears_the_taps_and_ends_with_its_context() -> None:
    heard: list[str] = []

    def note(who: str) -> Any:
        return lambda name, x: heard.append(f"{who} {name}") or x

    with listening(note("outer")):
        with listening(note("inner")):
            assert tap("a", 1.0) == 1.0
        tap("b", 2.0)
    tap("c", 3.0)
    assert heard == ["inner a", "outer b"]


# ---- the search between taps


SOURCE = """
import numpy as np
from autodiff_compare import tap
from autodiff_compare.backends.numpy_autodiff import stop_gradient


def right(x):
    h = tap("hidden", np.tanh(2 * x))
    z = tap("logits", h * np.sum(h))
    s = tap("soft", np.exp(z) / np.sum(np.exp(z)))
    return np.sum(s * x)


def other(x):
    h = tap("hidden", np.tanh(2 * x))
    z = tap("logits", h * {logits})
    s = tap("soft", {soft})
    return {result}


OBJECTIVES = {{"numpy": right, "numpy:compiled": other}}
INPUTS = ([0.3, -0.8, 1.2],)
"""
WHOLE = {"logits": "np.sum(h)", "soft": "np.exp(z) / np.sum(np.exp(z))", "result": "np.sum(s * x)"}
#: Change of the second function -> operator, stage, tap, the other end. By hand: see the source.
APART = [
    ({"logits": "stop_gradient(np.sum(h))"}, "gradient", "cotangents", 'tap "hidden"', 'tap "logits"'),
    ({"logits": "np.sum(h[:2])"}, "gradient", "values", 'tap "logits"', 'tap "hidden"'),
    ({"soft": "np.exp(z) / stop_gradient(np.sum(np.exp(z)))"}, "gradient", "cotangents", 'tap "logits"', 'tap "soft"'),
    ({"soft": "np.exp(z) / stop_gradient(np.sum(np.exp(z)))"}, "jvp", "tangents", 'tap "soft"', 'tap "logits"'),
    ({"result": "np.sum(stop_gradient(s) * x)"}, "gradient", "cotangents", 'tap "soft"', "the result"),
    ({"result": "np.sum(s * x) * (1 + 1e-9)"}, "gradient", "values", "the result", 'tap "soft"'),
    ({"result": "np.sum(s * stop_gradient(x))"}, "gradient", "cotangents", "x", 'tap "hidden"'),
    (
        {"result": "np.sum(s * x) + np.sum((z - stop_gradient(z)) ** 2)"}, "hvp",
        "derivatives of cotangents", 'tap "logits"', 'tap "soft"',
    ),
]  # fmt: skip


def searched(folder: pathlib.Path, source: str, operator: str) -> Parted | None:
    """Return where the two functions of a file part, both on our engine in this process."""
    (folder / "mine.py").write_text(source)
    (subject,) = load(str(folder / "mine.py"))
    case = _case(subject, operator)

    def ask(spec: str, verb: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        # A worker gets its parameters as text.
        sent: Any = decode(encode(params))
        given = {name: value for name, value in sent.items() if name != "source"} | {"problem": subject}
        serve: Any = {"taps": marks.listed, "tapped": marks.observed}[verb]
        found: Mapping[str, Any] = serve(opened(spec), **given)
        return found

    return MarkedSearch(case, ("numpy", "numpy:compiled"), ask, directions(case, 0, 0), "mine.py").found()[1]


def _case(subject: Problem, operator: str) -> Case:
    return build_case(replace(subject, operators=SCALAR), "small", "float64", Operator(operator), 0)


@pytest.mark.parametrize(("change", "operator", "stage", "name", "until"), APART)
def test_the_taps_around_a_difference_are_named(
    tmp_path: pathlib.Path, change: Mapping[str, str], operator: str, stage: str, name: str, until: str
) -> None:
    found = searched(tmp_path, SOURCE.format(**{**WHOLE, **change}), operator)
    assert found is not None
    assert (found.stage, found.entry.name, found.until) == (stage, name, until)


@pytest.mark.parametrize("operator", ["gradient", "hvp"])
def test_a_tap_may_be_a_number(tmp_path: pathlib.Path, operator: str) -> None:
    scalar = SOURCE.replace("np.sum(s * x)", 'tap("loss", np.sum(s * x))')
    found = searched(
        tmp_path, scalar.format(**{**WHOLE, "result": 'tap("loss", np.sum(s * stop_gradient(x)))'}), operator
    )
    assert found is not None
    assert found.until in ('tap "hidden"', 'tap "loss"')


@pytest.mark.parametrize("operator", ["gradient", "jvp", "hvp", "hessian"])
def test_nothing_is_named_between_equal_functions(tmp_path: pathlib.Path, operator: str) -> None:
    equal = {"logits": "np.sum(np.flip(h))", "soft": "1 / (np.exp(-z) * np.sum(np.exp(z)))", "result": "np.dot(s, x)"}
    assert searched(tmp_path, SOURCE.format(**equal), operator) is None


def test_functions_without_a_common_tap_are_refused(tmp_path: pathlib.Path) -> None:
    source = SOURCE.format(**WHOLE).replace("tap(", "(lambda name, x: x)(", 3)
    with pytest.raises(MarkError, match="got taps none on numpy and hidden, logits, soft on numpy:compiled"):
        searched(tmp_path, source, "gradient")


def test_taps_of_different_shapes_are_refused(tmp_path: pathlib.Path) -> None:
    source = SOURCE.format(**WHOLE).replace(
        'tap("hidden", np.tanh(2 * x))', 'tap("hidden", np.tanh(2 * x)[None])[0]', 1
    )
    with pytest.raises(MarkError, match=r"got tap 'hidden' of shape \(1, 3\) on numpy and \(3,\) on numpy:compiled"):
        searched(tmp_path, source, "gradient")
