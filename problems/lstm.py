"""A diagonal LSTM that predicts a text character by character, as in ADBench and GradBench.

A character has b numbers. Each layer has weights and biases of four gates of width b, and a state (h, c). Its input x
is the hidden state of the layer below; for the lowest layer it is the character times ``extra[0]``. Elementwise::

    forget = sigmoid(x wf + bf)     ingate = sigmoid(h wi + bi)
    outgate = sigmoid(x wo + bo)    change = tanh(h wc + bc)
    c' = c forget + ingate change   h' = outgate tanh(c')

With ``y = h' extra[1] + extra[2]`` of the highest layer the prediction is ``y - log(2 + sum exp y)``, and the loss is
``-sum_t s_{t+1} . prediction_t / ((c - 1) b)`` over the c characters s.

The recurrence is written once and loops by the `scan` of each backend. ``lstm_unrolled`` is the same function with a
Python loop, which a tracing framework sees as one long program.

The closed form is back-propagation through time. Given the derivatives dh', dc' of the loss by the new state, with
``z`` the argument of a gate::

    dc'      += dh' outgate (1 - tanh(c')^2)
    dforget   = dc' c,    dingate = dc' change,    dchange = dc' ingate,    doutgate = dh' tanh(c')
    dz        = dgate gate (1 - gate) for a sigmoid,    dgate (1 - gate^2) for tanh
    dweight   = dz input,    dbias = dz,    dinput = dz weight,    dc = dc' forget

The loss has by y, with S the sum of the numbers of the character s to predict, the derivative
``(S exp y / (2 + sum exp y) - s) / ((c - 1) b)``.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Instances, Problem
from autodiff_compare.problems.base.complex_step import hessian_products
from autodiff_compare.problems.base.instances import lstm as instance
from autodiff_compare.vocabulary import Operator

#: Size, the number of characters -> layers; a character has 14 bits.
_LAYERS = {10: 2, 1024: 2, 4096: 4}
_BITS = 14


def _loss(main: Any, extra: Any, state: Any, text: Any, *, scan: Callable[..., Any], xp: Any) -> Any:
    layers, b = state.shape[0] // 2, state.shape[1]
    # sigmoid(z) = (1 + tanh(z / 2)) / 2 never overflows, and one tanh computes all four gates.
    part = xp.asarray([[0.5], [0.5], [0.5], [1.0]], dtype=main.dtype)
    rest = 1.0 - part
    rows = xp.unstack(xp.reshape(xp.reshape(main, (-1, 4, b)) * part, (-1, 4 * b)))

    def advance(carry: Any, x: Any) -> tuple[Any, Any]:
        before, after = xp.unstack(carry), []
        for i in range(0, 2 * layers, 2):
            h, c = before[i : i + 2]
            z = xp.tanh(xp.concat([x, h, x, h]) * rows[i] + rows[i + 1])
            forget, ingate, outgate, change = xp.unstack(xp.reshape(z, (4, b)) * part + rest)
            c = c * forget + ingate * change
            x = outgate * xp.tanh(c)
            after += [x, c]
        return xp.stack(after), x

    factor, scale, offset = xp.unstack(extra)
    _, hidden = scan(advance, state, text[:-1, ...] * factor)
    y = hidden * scale + offset
    predicted = y - xp.log(2.0 + xp.sum(xp.exp(y), axis=1, keepdims=True))
    return -xp.sum(text[1:, ...] * predicted) / ((text.shape[0] - 1) * b)


def _unrolled(main: Any, extra: Any, state: Any, text: Any, *, xp: Any) -> Any:
    def scan(f: Callable[..., Any], carry: Any, xs: Any) -> tuple[Any, Any]:
        ys = []
        for x in xp.unstack(xs):
            carry, y = f(carry, x)
            ys.append(y)
        return carry, xp.stack(ys)

    return _loss(main, extra, state, text, scan=scan, xp=xp)


def _gradient(main: Array, extra: Array, state: Array, text: Array) -> tuple[Array, Array]:
    """Return the gradient by back-propagation through time."""
    layers, b = state.shape[0] // 2, state.shape[1]
    parameters = main.reshape(layers, 2, 4, b)
    rounds, carry = [], state.reshape(layers, 2, b)
    for s in text[:-1]:
        kept, carry = _forward(parameters, carry, s * extra[0])
        rounds.append(kept)
    hidden = np.stack([kept[-1].h for kept in rounds])
    e = np.exp(hidden * extra[1] + extra[2])
    count = text[1:].sum(axis=1, keepdims=True)
    dy = (count * e / (2 + e.sum(axis=1, keepdims=True)) - text[1:]) / (len(rounds) * b)
    dextra = np.stack([np.zeros_like(extra[0]), (dy * hidden).sum(axis=0), dy.sum(axis=0)])
    dmain, dcarry = np.zeros_like(parameters), np.zeros_like(carry)
    for s, kept, slope in zip(text[-2::-1], rounds[::-1], dy[::-1] * extra[1], strict=True):
        dx = slope
        for i in reversed(range(layers)):
            dx, dcarry[i] = _backward(kept[i], parameters[i], dx, dcarry[i], dmain[i])
        dextra[0] += dx * s
    return dmain.reshape(main.shape), dextra


class _Kept:
    """The intermediate values of one layer's step that its backward step needs."""

    def __init__(self, weights: Array, biases: Array, x: Array, before: Array) -> None:
        h, self.c_before = before
        self.inputs = np.stack([x, h, x, h])
        z = self.inputs * weights + biases
        self.gates = np.concatenate([1 / (1 + np.exp(-z[:3])), np.tanh(z[3:])])
        forget, ingate, self.outgate, change = self.gates
        self.c = self.c_before * forget + ingate * change
        self.h = self.outgate * np.tanh(self.c)


def _forward(parameters: Array, carry: Array, x: Array) -> tuple[list[_Kept], Array]:
    kept: list[_Kept] = []
    for (weights, biases), before in zip(parameters, carry, strict=True):
        kept.append(_Kept(weights, biases, x, before))
        x = kept[-1].h
    return kept, np.stack([(k.h, k.c) for k in kept])


def _backward(kept: _Kept, parameters: Array, dx: Array, dcarry: Array, dparameters: Array) -> tuple[Array, Array]:
    """Return the derivatives by a layer's input and old state, from those by its hidden state and new state.

    The derivatives by the parameters are added to ``dparameters`` in place.
    """
    dh, dc = dx + dcarry[0], dcarry[1]
    forget, ingate, outgate, change = kept.gates
    lifted = np.tanh(kept.c)
    dc = dc + dh * outgate * (1 - lifted**2)
    slopes = np.stack([dc * kept.c_before, dc * change, dh * lifted, dc * ingate])
    dz = slopes * np.concatenate([kept.gates[:3] * (1 - kept.gates[:3]), 1 - kept.gates[3:] ** 2])
    dparameters += np.stack([dz * kept.inputs, dz])
    dinputs = dz * parameters[0]
    return dinputs[0] + dinputs[2], np.stack([dinputs[1] + dinputs[3], dc * forget])


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw uniform weights and state, as in the public instances, and characters of random bits."""
    layers = _LAYERS[n]
    main, extra = rng.random((2 * layers, 4 * _BITS)), rng.random((3, _BITS))
    state, text = rng.random((2 * layers, _BITS)), rng.integers(0, 2, (n, _BITS)).astype(np.float64)
    return Inputs((main, extra), (state, text))


def _from_file(path: pathlib.Path) -> Inputs:
    found = instance.read(path)
    return Inputs((found.main, found.extra), (found.state, found.text))


_SOURCE = "ADBench (Srajer et al. 2018) and GradBench; sizes: characters of 14 bits, in 2, 2 and 4 layers"
PROBLEMS = (
    Problem(
        name="lstm",
        title="cross-entropy of a diagonal LSTM on a text",
        source=f"{_SOURCE}; the loop is the backend's scan",
        sizes=dict(zip(("small", "medium", "large"), _LAYERS, strict=True)),
        inputs=_inputs,
        objective=_loss,
        # No Hessian, of 266^2 to 490^2 entries.
        operators=SCALAR - {Operator.HESSIAN},
        reference={Operator.GRADIENT: _gradient, Operator.HVP: hessian_products(_gradient, 2)},
        suites=frozenset({"adbench", "gradbench"}),
        uses=("scan",),
        instances=Instances("lstm_l*_c*.txt", _from_file),
    ),
    Problem(
        name="lstm_unrolled",
        title="cross-entropy of a diagonal LSTM on a text, unrolled in Python",
        source=f"{_SOURCE}; compared with lstm: the cost of tracing an unrolled loop",
        sizes={"small": 10},
        inputs=_inputs,
        objective=_unrolled,
        operators=frozenset({Operator.VALUE, Operator.GRADIENT}),
        reference={Operator.GRADIENT: _gradient},
        suites=frozenset({"gradbench"}),
    ),
)
