"""The suite that measures the NumPy engine: small programs, with their gradients written by hand in NumPy.

The gradients are written for speed, as for a descent: no value where only the gradient is needed, shared products, sums
of products as dot products, numbers as Python floats. The sizes ``medium`` and ``large`` are measured; ``small`` is for
tests. ``*_by_hand`` return ``(value, gradients)``, and are used by the engine's own benchmark too.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_SUITES = frozenset({"engine"})
_OPERATORS = frozenset({Operator.VALUE, Operator.GRADIENT, Operator.VALUE_AND_GRADIENT})
_BY_HAND = "gradient written by hand in NumPy"


def _forms(both: Any, value: Any, gradient: Any) -> dict[Operator, Any]:
    return {Operator.VALUE: value, Operator.GRADIENT: gradient, Operator.VALUE_AND_GRADIENT: both}


# --- Goldstein-Price of two numbers: f = a b with a = 1 + s^2 p, b = 30 + t^2 q, s = x + y + 1, t = 2x - 3y
#
# da = 2 s p ds + s^2 dp and db = 2 t q dt + t^2 dq, with ds = (1, 1), dt = (2, -3) and p_x = p_y = -14 + 6 x + 6 y.


def _goldstein_price(x: Any, y: Any, *, xp: Any) -> Any:  # noqa: ARG001 - arithmetic alone
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    b = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return a * b


def goldstein_price_by_hand(x: float, y: float) -> Any:
    s, t = x + y + 1, 2 * x - 3 * y
    p = 19 - 14 * x + 3 * x * x - 14 * y + 6 * x * y + 3 * y * y
    q = 18 - 32 * x + 12 * x * x + 48 * y - 36 * x * y + 27 * y * y
    a, b = 1 + s * s * p, 30 + t * t * q
    ax = 2 * s * p + s * s * (-14 + 6 * x + 6 * y)
    bx = 4 * t * q + t * t * (-32 + 24 * x - 36 * y)
    by = -6 * t * q + t * t * (48 - 36 * x + 54 * y)
    return a * b, (ax * b + a * bx, ax * b + a * by)


def _goldstein_price_both(x: Array, y: Array) -> Any:
    number = x.dtype.type
    value, (along_x, along_y) = goldstein_price_by_hand(x.item(), y.item())
    return number(value), (number(along_x), number(along_y))


def _numbers(rng: np.random.Generator, n: int) -> Inputs:  # noqa: ARG001
    return Inputs(tuple(np.asarray(x) for x in rng.uniform(-2.0, 2.0, 2)))


# --- sum |X Y - I|: with S = sign(X Y - I), the gradients are S Y^T and X^T S


def _residual(x: Any, y: Any, target: Any, *, xp: Any) -> Any:
    return xp.sum(xp.abs(xp.matmul(x, y) - target))


def residual_by_hand(x: Array, y: Array, target: Array) -> Any:
    r = x @ y - target
    s = np.sign(r)
    return np.sum(np.abs(r)), (s @ y.T, x.T @ s)


def _residual_gradient(x: Array, y: Array, target: Array) -> Any:
    s = np.sign(x @ y - target)
    return s @ y.T, x.T @ s


def _two_matrices(rng: np.random.Generator, n: int) -> Inputs:
    x, y = rng.normal(size=(2, n, n))
    return Inputs((x, y), (np.eye(n),))


# --- A cubic fit, written term by term: with the residual r, the gradient is 2 (sum r, r.x, r.x^2, r.x^3)


def _cubic(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any, *, xp: Any) -> Any:
    r = a + b * x + c * x * x + d * x * x * x - y
    return xp.sum(r * r)


def cubic_by_hand(a: Array, b: Array, c: Array, d: Array, x: Array, y: Array) -> Any:
    r = ((d * x + c) * x + b) * x + a - y
    return r.dot(r), _cubic_slopes(r, x)


def _cubic_gradient(a: Array, b: Array, c: Array, d: Array, x: Array, y: Array) -> Any:
    return _cubic_slopes(((d * x + c) * x + b) * x + a - y, x)


def _cubic_slopes(r: Array, x: Array) -> Any:
    square = x * x
    return 2 * r.sum(), 2 * r.dot(x), 2 * r.dot(square), 2 * r.dot(square * x)


def _sine(rng: np.random.Generator, n: int) -> Inputs:
    x = np.linspace(-np.pi, np.pi, n)
    return Inputs(tuple(np.asarray(v) for v in rng.normal(size=4)), (x, np.sin(x)))


# --- Rosenbrock's function: with t_i = x_{i+1} - x_i^2 and u_i = 1 - x_i, f = sum 100 t_i^2 + u_i^2
#
# t_i contributes -400 x_i t_i to the gradient at i and 200 t_i at i + 1; u_i contributes -2 u_i at i.


def _rosenbrock(x: Any, *, xp: Any) -> Any:
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _rosenbrock_slopes(a: Array, t: Array, u: Array) -> Array:
    g = np.empty(len(a) + 1, a.dtype)
    g[:-1] = -400 * a * t - 2 * u
    g[-1] = 0
    g[1:] += 200 * t
    return g


def rosenbrock_by_hand(x: Array) -> Any:
    a = x[:-1]
    t, u = x[1:] - a * a, 1 - a
    return np.sum(100 * t**2 + u**2), _rosenbrock_slopes(a, t, u)


def _rosenbrock_gradient(x: Array) -> Any:
    a = x[:-1]
    return _rosenbrock_slopes(a, x[1:] - a * a, 1 - a)


# --- A perceptron with relu layers and mean cross-entropy: dL/dz = (softmax(z) - one-hot) / n, then back-propagation

#: Size, the batch -> widths of the layers.
_WIDTHS = {3: (3, 3, 3, 2), 256: (64, 128, 128, 10)}


def _perceptron(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, labels: Any, *, xp: Any) -> Any:
    h = xp.maximum(xp.matmul(x, w1) + b1, 0.0)
    h = xp.maximum(xp.matmul(h, w2) + b2, 0.0)
    z = xp.matmul(h, w3) + b3
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - xp.take_along_axis(z, labels, axis=1)[:, 0])


def perceptron_by_hand(
    w1: Array, b1: Array, w2: Array, b2: Array, w3: Array, b3: Array, x: Array, labels: Array
) -> Any:
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = np.maximum(h1 @ w2 + b2, 0)
    z = h2 @ w3 + b3
    z -= z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1)
    rows, chosen = np.arange(len(labels)), labels[:, 0]
    value = np.mean(np.log(total) - z[rows, chosen])
    g3 = e / total[:, None]
    g3[rows, chosen] -= 1
    g3 /= len(labels)
    g2 = (g3 @ w3.T) * (h2 > 0)
    g1 = (g2 @ w2.T) * (h1 > 0)
    return value, (x.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ g3, g3.sum(0))


def _classified(rng: np.random.Generator, n: int) -> Inputs:
    widths, layers = _WIDTHS[n], []
    for m, k in itertools.pairwise(widths):
        # Units that are clearly active: at a kink several answers are right, and a gradient entry of 0 proves little.
        layers += [rng.normal(size=(m, k)) / (2 * m), rng.uniform(0.8, 1.2, k)]
    return Inputs(tuple(layers), (rng.normal(size=(n, widths[0])), rng.integers(0, widths[-1], (n, 1))))


# --- Chains of y = 1.0001 y + 0.5: the derivative is 1.0001^n


def _chain(y: Any, *, xp: Any, n: int) -> Any:
    for _ in range(n):
        y = y * 1.0001 + 0.5
    return xp.sum(y)


def _number_chain(y: Any, *, xp: Any, n: int) -> Any:  # noqa: ARG001 - arithmetic alone
    for _ in range(n):
        y = y * 1.0001 + 0.5
    return y


def chain_by_hand(y: Array, *, n: int) -> Any:
    factor = 1.0
    for _ in range(n):
        y = y * 1.0001 + 0.5
        factor *= 1.0001
    return np.sum(y), np.full_like(y, factor)


def number_chain_by_hand(y: float, *, n: int) -> Any:
    factor = 1.0
    for _ in range(n):
        y = y * 1.0001 + 0.5
        factor *= 1.0001
    return y, factor


def _number_chain_both(y: Array, *, n: int) -> Any:
    number = y.dtype.type
    value, factor = number_chain_by_hand(y.item(), n=n)
    return number(value), number(factor)


def _slope_alone(y: Array, *, n: int) -> Any:
    factor = 1.0
    for _ in range(n):
        factor *= 1.0001
    return np.full_like(y, factor)


def _number(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((np.asarray(rng.normal()),), static={"n": n})


def _ten(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.normal(size=10),), static={"n": n})


PROBLEMS = (
    Problem(
        name="engine_goldstein_price",
        title="Goldstein and Price's function of two numbers",
        source=f"as goldstein_price, of numbers; {_BY_HAND} on Python floats",
        sizes={"small": 1, "medium": 1},
        inputs=_numbers,
        objective=_goldstein_price,
        operators=_OPERATORS,
        reference=_forms(
            _goldstein_price_both,
            lambda x, y: _goldstein_price_both(x, y)[0],
            lambda x, y: _goldstein_price_both(x, y)[1],
        ),
        suites=_SUITES,
    ),
    Problem(
        name="engine_residual",
        title="sum |X Y - I|, in X and in Y",
        source=f"the residual of an inverse; {_BY_HAND}: sign(R) Y^T and X^T sign(R)",
        sizes={"small": 3, "medium": 3, "large": 100},
        inputs=_two_matrices,
        objective=_residual,
        operators=_OPERATORS,
        reference=_forms(residual_by_hand, lambda x, y, target: np.sum(np.abs(x @ y - target)), _residual_gradient),
        suites=_SUITES,
    ),
    Problem(
        name="engine_cubic",
        title="cubic fit of sin, a + b x + c x x + d x x x, in its four coefficients",
        source=f"as cubic_fit, written term by term; {_BY_HAND}: Horner's rule and dot products",
        sizes={"small": 20, "medium": 2000},
        inputs=_sine,
        objective=_cubic,
        operators=_OPERATORS,
        reference=_forms(cubic_by_hand, lambda *args: cubic_by_hand(*args)[0], _cubic_gradient),
        suites=_SUITES,
    ),
    Problem(
        name="engine_rosenbrock",
        title="Rosenbrock's function of a long vector",
        source=f"Rosenbrock (1960), chained; {_BY_HAND}",
        sizes={"small": 6, "medium": 10_000, "large": 1_000_000},
        inputs=lambda rng, n: Inputs((rng.normal(size=n),)),
        objective=_rosenbrock,
        operators=_OPERATORS,
        reference=_forms(rosenbrock_by_hand, lambda x: rosenbrock_by_hand(x)[0], _rosenbrock_gradient),
        suites=_SUITES,
    ),
    Problem(
        name="engine_perceptron",
        title="three-layer perceptron 64-128-128-10 with cross-entropy, a batch of 256",
        source=f"relu layers and log-softmax; {_BY_HAND}: softmax minus one-hot, backwards through the layers",
        sizes={"small": 3, "medium": 256},
        inputs=_classified,
        objective=_perceptron,
        operators=_OPERATORS,
        reference=_forms(
            perceptron_by_hand, lambda *args: perceptron_by_hand(*args)[0], lambda *args: perceptron_by_hand(*args)[1]
        ),
        samples=(6, 7),
        suites=_SUITES,
    ),
    Problem(
        name="engine_number_chain",
        title="1000 steps of y = 1.0001 y + 0.5 on a number",
        source=f"d/dy = 1.0001^n; {_BY_HAND} on Python floats",
        sizes={"small": 10, "medium": 1000},
        inputs=_number,
        objective=_number_chain,
        operators=_OPERATORS,
        reference=_forms(_number_chain_both, lambda y, n: _number_chain_both(y, n=n)[0], _slope_alone),
        suites=_SUITES,
    ),
    Problem(
        name="engine_vector_chain",
        title="200 steps of y = 1.0001 y + 0.5 on ten numbers, and their sum",
        source=f"d/dy = 1.0001^n; {_BY_HAND}",
        sizes={"small": 10, "medium": 200},
        inputs=_ten,
        objective=_chain,
        operators=_OPERATORS,
        reference=_forms(chain_by_hand, lambda y, n: chain_by_hand(y, n=n)[0], _slope_alone),
        suites=_SUITES,
    ),
)
