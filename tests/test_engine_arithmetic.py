"""The hand-written sweeps of the operators give what the rules of the same functions give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.numpy_autodiff import grad, jvp

#: name, by operators, by the primitives' own rules.
PAIRS: list[tuple[str, Any, Any]] = [
    ("add", lambda x, y: x + y, np.add),
    ("subtract", lambda x, y: x - y, np.subtract),
    ("multiply", lambda x, y: x * y, np.multiply),
    ("shift", lambda x, y: (x + 2.0) * (3 + y), lambda x, y: np.multiply(np.add(x, 2.0), np.add(3, y))),
    ("shift back", lambda x, y: (x - 2.0) * y, lambda x, y: np.multiply(np.subtract(x, 2.0), y)),
    ("from", lambda x, y: (2.0 - x) * y, lambda x, y: np.multiply(np.subtract(2.0, x), y)),
    ("scale", lambda x, y: (2 * x) * (y * 0.5), lambda x, y: np.multiply(np.multiply(2, x), np.multiply(y, 0.5))),
    ("negative", lambda x, y: -x * y, lambda x, y: np.multiply(np.negative(x), y)),
    *((f"power {n}", lambda x, y, n=n: x**n * y, lambda x, y, n=n: np.multiply(np.power(x, n), y)) for n in (2, 3, 4)),
]
SHAPES = [((), ()), ((3,), (3,)), ((2, 1), (3,)), ((), (2, 2)), ((0,), ())]


@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f4", "f4"), ("f4", "f8"), ("f8", "c16")], ids=str)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize(("fast", "ruled"), [p[1:] for p in PAIRS], ids=[p[0] for p in PAIRS])
def test_operators_agree_with_rules(fast: Any, ruled: Any, shapes: Any, dtypes: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = (np.asarray(rng.uniform(0.5, 2, s)).astype(d)[()] for s, d in zip(shapes, dtypes, strict=True))
    by_operators, by_rules = (
        grad(lambda x, y, f=f: np.sum(np.real(f(x, y)) ** 2), (0, 1))(x, y) for f in (fast, ruled)
    )
    tangents = [np.ones_like(v) for v in (x, y)]
    for a, b, v in zip(by_operators, by_rules, (x, y), strict=True):
        assert (a.dtype, a.shape) == (v.dtype, v.shape)
        np.testing.assert_allclose(a, b, rtol=4 * np.finfo(v.dtype).eps)
    np.testing.assert_allclose(jvp(fast, (x, y), tangents)[1], jvp(ruled, (x, y), tangents)[1], rtol=1e-6)
