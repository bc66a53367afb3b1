"""Scripts in a framework's own words: a program, the derivative that is wrong, what it gives and what it should.

A script needs the framework alone, so that it can be pasted into a report of the fault. It ends with exit code 1 if the
result differs from the expected one. A finding that its script does not show is a fault of our adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from autodiff_compare.fuzzing.evidence.nearness import ROUNDINGS
from autodiff_compare.fuzzing.program import Program, Step
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import ORDERS, Operator

#: Framework -> prefix of the neutral namespace -> its own, replaced in this order.
_NAMES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "torch": (("xp.inf", "torch.inf"), ("xp.", "torch.")),
        "jax": (("xp.", "jnp."),),
        "numpy": (("xp.", "np."),),
        "tensorflow": (("xp.inf", "np.inf"), ("xp.sum(", "tf.reduce_sum("), ("xp.", "tf.")),
    }
)
_IMPORTS = {
    "torch": "import torch",
    "jax": (
        "import jax\nimport jax.numpy as jnp\nimport jax.scipy.special\nimport numpy as np\n\n"
        'jax.config.update("jax_enable_x64", True)'
    ),
    "numpy": "import numpy as np\n\nfrom autodiff_compare.backends import numpy_autodiff as ad",
    "tensorflow": "import math\n\nimport numpy as np\nimport tensorflow as tf",
}
_ARRAY = {
    "torch": "torch.tensor({values}, dtype=torch.{dtype})",
    "jax": "jnp.asarray(np.array({values}, dtype='{dtype}'))",
    "numpy": "np.array({values}, dtype='{dtype}')",
    "tensorflow": "tf.constant(np.array({values}, dtype='{dtype}'))",
}
_SCAN = """\
def scan(f, c, xs):
    ys = []
    for x in {unstacked}:
        c, y = f(c, x)
        ys.append(y)
    return c, None if ys[0] is None else {stack}(ys)"""
#: The end of every script: the comparison of ``got`` with ``expected``.
_COMPARED = """\
got = list(got) if isinstance(got, (tuple, list)) else [got]
while any(isinstance(part, (tuple, list)) for part in got):
    got = [p for part in got for p in (part if isinstance(part, (tuple, list)) else [part])]
got = [np.asarray(part) for part in got]
print("got     ", [part.tolist() for part in got])
print("expected", expected)
for a, b in zip(got, expected):
    b = np.asarray(b)
    tolerance = {tolerance} * max(np.max(np.abs(b), initial=0), 1e-4)
    if a.shape != b.shape or not np.all(np.abs(a - b) <= tolerance):
        raise SystemExit("they differ")"""
#: Framework -> function that a step may call -> its definition.
_FUNCTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "torch": {
            "scan(": _SCAN.format(unstacked="torch.unbind(xs)", stack="torch.stack"),
            "derivative(": "def derivative(f, mode):\n"
            "    return torch.func.grad(f) if mode == 'reverse' else torch.func.jacfwd(f)",
            "torch_prod(": "def torch_prod(x, axis, keepdims):\n"
            "    if axis is not None:\n        return torch.prod(x, dim=axis, keepdim=keepdims)\n"
            "    return torch.prod(x).reshape([1] * x.ndim) if keepdims else torch.prod(x)",
            "torch_logsumexp(": "def torch_logsumexp(x, axis, keepdims):\n"
            "    axes = tuple(range(x.ndim)) if axis is None else axis\n"
            "    return torch.logsumexp(x, dim=axes, keepdim=keepdims)",
            "torch_amax(": "def torch_amax(x, axis, keepdims):\n"
            "    return torch.amax(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims)",
            "torch_amin(": "def torch_amin(x, axis, keepdims):\n"
            "    return torch.amin(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims)",
        },
        "jax": {
            "scan(": "def scan(f, c, xs):\n    return jax.lax.scan(f, c, xs)",
            "derivative(": "def derivative(f, mode):\n    return jax.grad(f) if mode == 'reverse' else jax.jacfwd(f)",
        },
        "numpy": {
            "scan(": _SCAN.format(unstacked="np.unstack(xs)", stack="np.stack"),
            "derivative(": "def derivative(f, mode):\n"
            "    return ad.grad(f) if mode == 'reverse' else ad.jacobian(f, mode='forward')",
        },
        "tensorflow": {
            "scan(": _SCAN.format(unstacked="tf.unstack(xs)", stack="tf.stack"),
            # A tape watches the tensor itself: a copy keeps its other uses in the function out.
            "derivative(": "def derivative(f, mode):\n    def slope(x):\n        x = tf.identity(x)\n"
            "        with tf.GradientTape() as tape:\n            tape.watch(x)\n            y = f(x)\n"
            "        return tape.gradient(y, x)\n\n    return slope",
            "tf_solve(": "def tf_solve(a, b):\n"
            "    return tf.linalg.solve(a, b[:, None])[:, 0] if len(b.shape) == 1 else tf.linalg.solve(a, b)",
            "tf_matrix_power(": "def tf_matrix_power(a, n):\n"
            "    power = tf.eye(a.shape[-1], dtype=a.dtype) + tf.zeros_like(a)\n"
            "    for _ in range(abs(n)):\n        power = power @ (tf.linalg.inv(a) if n < 0 else a)\n    return power",
            "tf_matrix_norm(": "def tf_matrix_norm(a, ord):\n"
            "    if ord in ('nuc', 2):\n        s = tf.linalg.svd(a, compute_uv=False)\n"
            "        return tf.reduce_sum(s, axis=-1) if ord == 'nuc' else tf.reduce_max(s, axis=-1)\n"
            "    return tf.norm(a, ord=ord, axis=(-2, -1))",
            "tf_var(": "def tf_var(x, axis, correction, keepdims):\n"
            "    d = x - tf.reduce_mean(x, axis=axis, keepdims=True)\n"
            "    n = math.prod(x.shape) if axis is None else x.shape[axis]\n"
            "    return tf.reduce_sum(d * d, axis=axis, keepdims=keepdims) / (n - correction)",
            "tf_fft(": "def tf_fft(x):\n"
            "    return tf.signal.fft(tf.cast(x, tf.complex64 if x.dtype == tf.float32 else tf.complex128))",
        },
    }
)  # fmt: skip
#: Differentiate with respect to all inputs.
_ALL = "argnums=tuple(range(len(x)))"
_HELPERS = {
    "torch": {
        "gradient(": "def gradient(*x, t=None):\n    x = [a.detach().requires_grad_() for a in x]\n"
        "    return torch.autograd.grad(f(*x), x, t, materialize_grads=True)",
    },
    "tensorflow": {
        "gradient": "def gradient(*x, t=None):\n    with tf.GradientTape() as tape:\n        tape.watch(x)\n"
        "        y = f(*x)\n    return tape.gradient(y, x, t, unconnected_gradients='zero')",
        "jvp(": "def jvp(g, x, t):\n    with tf.autodiff.ForwardAccumulator(x, t) as along:\n        y = g(*x)\n"
        "    return along.jvp(y, unconnected_gradients='zero')",
    },
}
#: (framework, operator, order of modes) -> expression in the words of the framework. The order is empty for operators
#: of first order. ``x`` are the inputs, ``t`` the directions.
_WORDS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("torch", "gradient", ""): "gradient(*x)",
        ("torch", "vjp", ""): "gradient(*x, t=t[0])",
        ("torch", "jvp", ""): "torch.func.jvp(f, x, t)[1]",
        ("torch", "jacobian", ""): f"torch.func.jacrev(f, {_ALL})(*x)",
        ("torch", "hvp", "rr"): "torch.autograd.functional.vhp(f, x, t)[1]",
        ("torch", "hvp", "fr"): f"torch.func.jvp(torch.func.grad(f, {_ALL}), x, t)[1]",
        ("torch", "hvp", "rf"): f"torch.func.grad(lambda *x: torch.func.jvp(f, x, t)[1], {_ALL})(*x)",
        ("torch", "hvp", "ff"): f"torch.func.jacfwd(lambda *x: torch.func.jvp(f, x, t)[1], {_ALL})(*x)",
        ("torch", "hessian", "rr"): "torch.autograd.functional.hessian(f, x)",
        ("torch", "hessian", "fr"): f"torch.func.jacfwd(torch.func.jacrev(f, {_ALL}), {_ALL})(*x)",
        ("torch", "hessian", "rf"): f"torch.func.jacrev(torch.func.jacfwd(f, {_ALL}), {_ALL})(*x)",
        ("torch", "hessian", "ff"): f"torch.func.jacfwd(torch.func.jacfwd(f, {_ALL}), {_ALL})(*x)",
        ("jax", "gradient", ""): f"jax.grad(f, {_ALL})(*x)",
        ("jax", "vjp", ""): "jax.vjp(f, *x)[1](t[0])",
        ("jax", "jvp", ""): "jax.jvp(f, x, t)[1]",
        ("jax", "jacobian", ""): f"jax.jacrev(f, {_ALL})(*x)",
        ("jax", "hvp", "rr"): f"jax.vjp(jax.grad(f, {_ALL}), *x)[1](t)",
        ("jax", "hvp", "fr"): f"jax.jvp(jax.grad(f, {_ALL}), x, t)[1]",
        ("jax", "hvp", "rf"): f"jax.grad(lambda *x: jax.jvp(f, x, t)[1], {_ALL})(*x)",
        ("jax", "hvp", "ff"): f"jax.jacfwd(lambda *x: jax.jvp(f, x, t)[1], {_ALL})(*x)",
        ("jax", "hessian", "rr"): f"jax.jacrev(jax.jacrev(f, {_ALL}), {_ALL})(*x)",
        ("jax", "hessian", "fr"): f"jax.jacfwd(jax.jacrev(f, {_ALL}), {_ALL})(*x)",
        ("jax", "hessian", "rf"): f"jax.jacrev(jax.jacfwd(f, {_ALL}), {_ALL})(*x)",
        ("jax", "hessian", "ff"): f"jax.jacfwd(jax.jacfwd(f, {_ALL}), {_ALL})(*x)",
        ("numpy", "gradient", ""): "ad.grad(f, tuple(range(len(x))))(*x)",
        ("numpy", "vjp", ""): "ad.vjp(f, *x)[1](t[0])",
        ("numpy", "jvp", ""): "ad.jvp(f, x, t)[1]",
        ("numpy", "jacobian", ""): "ad.jacobian(f, tuple(range(len(x))))(*x)",
        ("numpy", "hvp", "fr"): "ad.hvp(f, x, t)",
        ("tensorflow", "gradient", ""): "gradient(*x)",
        ("tensorflow", "vjp", ""): "gradient(*x, t=t[0])",
        ("tensorflow", "jvp", ""): "jvp(f, x, t)",
        ("tensorflow", "hvp", "fr"): "jvp(gradient, x, t)",
    }
)
_DEFAULT_ORDER = {"torch": "rr", "jax": "fr", "numpy": "fr", "tensorflow": "fr"}
#: ``backend:mode`` -> how the expression is compiled.
_COMPILED = {
    "jax": "jax.jit(lambda x, t: {words})(x, t)",
    "tensorflow": "tf.function(lambda x, t: {words})(x, t)",
    "tensorflow:xla": "tf.function(lambda x, t: {words}, jit_compile=True)(x, t)",
    "torch:compile": "torch.compile(lambda x, t: {words}, fullgraph=True)(x, t)",
}
_VALUE = "f(*x)"
#: Relative error above which a script says that results differ; where digits are lost, `ROUNDINGS`.
_TOLERANCE = {"float64": 1e-8, "float32": 1e-3}


def script(
    program: Program,
    spec: str,
    operator: Operator,
    dtype: str,
    directions: Sequence[Array],
    expected: Sequence[Array],
    title: str,
    digits: bool = False,
) -> str:
    """Return the script; empty if the derivative has no words in this framework.

    Parameters
    ----------
    program, spec, operator, dtype
        What is computed.
    directions
        The directions of the operator.
    expected
        The leaves of the right result.
    title
        What is wrong, in one line.
    digits
        Whether the result has lost digits only, so that the script must look at all of them.
    """
    backend, _, variant = spec.partition(":")
    words = _expression(backend, variant, operator)
    if not words:
        return ""
    return "\n".join(_lines(program, backend, words, dtype, directions, expected, title, digits)) + "\n"


def _expression(backend: str, variant: str, operator: Operator) -> str:
    mode, order = _parts(variant)
    if operator == Operator.VALUE:
        words = _VALUE
    elif operator in (Operator.HVP, Operator.HESSIAN):
        words = _WORDS.get((backend, str(operator), order or _DEFAULT_ORDER.get(backend, "")), "")
    else:
        words = _WORDS.get((backend, str(operator), ""), "")
    compiled = _COMPILED.get(f"{backend}:{mode}" if mode else backend, "{words}")
    return compiled.format(words=words) if words else ""


def _parts(variant: str) -> tuple[str, str]:
    """Return the way of running and the order of modes in a variant."""
    parts = variant.split(":") if variant else []
    order = parts.pop() if parts and parts[-1] in ORDERS else ""
    return ":".join(parts), order


def _lines(
    program: Program,
    backend: str,
    words: str,
    dtype: str,
    directions: Sequence[Array],
    expected: Sequence[Array],
    title: str,
    digits: bool,
) -> Iterator[str]:
    tolerance = ROUNDINGS * float(np.finfo(dtype).eps) if digits else _TOLERANCE[dtype]
    steps = [f"    {step.name} = {spelled(step, backend)}" for step in program.steps]
    text = "\n".join([*steps, words])
    yield from (f'"""{title}"""', "", _IMPORTS[backend])
    if "import numpy as np" not in _IMPORTS[backend]:
        yield "import numpy as np"
    for name, definition in (*_FUNCTIONS[backend].items(), *_HELPERS.get(backend, {}).items()):
        if name in text:
            yield from ("", "", definition)
    yield from ("", "", f"def f({', '.join(x.name for x in program.inputs)}):", *steps, f"    return {program.result}")
    yield from ("", "", f"x = {_tuple(backend, [x.value for x in program.inputs], dtype)}")
    yield f"t = {_tuple(backend, directions, dtype)}"
    yield f"expected = {[array.tolist() for array in expected]!r}"
    yield from ("", f"got = {words}", *_COMPARED.format(tolerance=f"{tolerance:.2g}").splitlines())


def spelled(step: Step, backend: str) -> str:
    """Return a step in a framework's own words."""
    text = step.text(step.kind.spelled.get(backend, ""))
    for neutral, own in _NAMES[backend]:
        text = text.replace(neutral, own)
    return text


def _tuple(backend: str, arrays: Sequence[Array], dtype: str) -> str:
    parts = [
        _ARRAY[backend].format(values=array.tolist(), dtype=dtype)
        if array.size
        else _ARRAY[backend].format(values=f"np.zeros({array.shape})", dtype=dtype)
        for array in arrays
    ]
    return f"({', '.join(parts)},)" if parts else "()"


def is_spoken(backend: str) -> bool:
    """Return whether there are scripts for a backend."""
    return backend in _IMPORTS
