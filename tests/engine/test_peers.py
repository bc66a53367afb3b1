"""The engine's gradients against PyTorch's and HIPS autograd's, function by function, where both have it.

Optional: a peer that is not installed is skipped, with that as the reason. Peers agree to rounding, so one tolerance
serves. A row without a function for a peer is not compared with it: it lacks the function, its rule or complex numbers.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import special, vjp
from tests.engine.peers import CALLS, COMPLEX, TORCH_ALONE


@dataclass(frozen=True)
class Peer:
    """One function by the name it has in each system; None where it is not compared."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    numpy: Callable[..., Any]
    torch: Callable[..., Any] | None
    autograd: Callable[..., Any] | None
    domain: tuple[float, float] = (0.2, 0.8)
    kind: str = "f"
    rtol: float = 1e-10

    def arguments(self) -> list[Any]:
        rng = np.random.default_rng(7)
        parts = [rng.uniform(*self.domain, size=(2, *s)) for s in self.shapes]
        return [p[0] + 1j * p[1] if self.kind == "c" else p[0] for p in parts]


def _named(path: str) -> Callable[..., Any]:
    """The function ``module:dotted.name``, looked up when called."""
    module, _, name = path.partition(":")

    def call(*args: Any, **kwargs: Any) -> Any:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found(*args, **kwargs)

    return call


def _same(names: str, domain: tuple[float, float] = (0.2, 0.8), shape: tuple[int, ...] = (2, 3)) -> list[Peer]:
    """Functions of one array, by their names; ``ours=theirs`` where PyTorch has another."""
    pairs = [(entry.partition("=")[0], entry.rpartition("=")[2]) for entry in names.split()]
    return [
        Peer(n, (shape,), _named(f"numpy:{n}"), _named(f"torch:{t}"), _named(f"autograd.numpy:{n}"), domain)
        for n, t in pairs
    ]


def _special() -> list[Peer]:
    names = {
        "gammaln": "gammaln", "psi": "digamma", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "expit": "expit",
        "logit": "logit", "i0": "i0", "i1": "i1", "entr": "entr", "erfcx": "erfcx", "ndtr": "ndtr", "ndtri": "ndtri",
        "log_ndtr": "log_ndtr", "i0e": "i0e", "i1e": "i1e",
    }  # fmt: skip
    lacking = {"entr", "erfcx", "ndtr", "ndtri", "log_ndtr"}
    rows = [
        Peer(
            f"special {ours}",
            ((2, 3),),
            _named(f"scipy.special:{ours}"),
            _named(f"torch:special.{theirs}"),
            # PyTorch's trigamma is good to 4e-10 only; ours agrees with pi^2/6 at 1 to rounding.
            rtol=1e-9 if ours == "psi" else 1e-10,
            autograd=None if ours in lacking | {"i0e", "i1e"} else _named(f"autograd.scipy.special:{ours}"),
        )
        for ours, theirs in names.items()
    ]
    alone = ("gamma", "j0", "j1", "y0", "y1", "beta", "betaln")
    pairs = {"beta", "betaln"}
    rows += [
        Peer(
            f"special {n}",
            ((2, 3), (3,)) if n in pairs else ((2, 3),),
            _named(f"scipy.special:{n}"),
            None,
            _named(f"autograd.scipy.special:{n}"),
        )
        for n in alone
    ]
    rows += [
        Peer(
            f"special {n}",
            ((2, 3), (3,)),
            _named(f"scipy.special:{n}"),
            _named(f"torch:special.{n}"),
            None,
        )
        for n in ("xlogy", "xlog1py")
    ]
    return rows


def _sums() -> list[Peer]:
    """Functions whose axis has another name there."""
    rows = [
        Peer(
            f"{name} along an axis",
            ((3, 4),),
            functools.partial(_named(f"numpy:{name}"), axis=1),
            lambda x, t=name: (lambda y: y[0] if isinstance(y, tuple) else y)(_named(f"torch:{t}")(x, dim=1)),
            # Autograd has no rule for cumprod, nor for sorting along an axis.
            None if name in ("cumprod", "sort") else functools.partial(_named(f"autograd.numpy:{name}"), axis=1),
        )
        for name in ("cumsum", "cumprod", "sum", "prod", "mean", "sort")
    ]
    rows += [
        Peer(
            f"{name} along an axis",
            ((3, 4),),
            functools.partial(getattr(special, name), axis=1),
            functools.partial(_named(f"torch:{name}"), dim=1),
            functools.partial(_named("autograd.scipy.special:logsumexp"), axis=1) if name == "logsumexp" else None,
        )
        for name in ("logsumexp", "softmax", "log_softmax")
    ]
    return rows + [
        Peer(
            f"vector norm {ord}",
            ((5,),),
            functools.partial(_named("numpy:linalg.norm"), ord=ord),
            functools.partial(_named("torch:linalg.norm"), ord=ord),
            functools.partial(_named("autograd.numpy:linalg.norm"), ord=ord) if ord in (2, 3, 2.5) else None,
        )
        for ord in (0.5, 1, 2, 2.5, 3, np.inf, -np.inf)
    ]


def _fft() -> list[Peer]:
    rows = []
    names = "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn"
    for name in names.split():
        for kind in "f" if name in ("rfft", "ihfft", "rfft2", "rfftn") else "fc":
            peer = _named(f"autograd.numpy:fft.{name}") if name[:4] not in ("hfft", "ihff") else None
            rows.append(
                Peer(
                    f"{name} {kind}",
                    ((3, 4),),
                    _named(f"numpy:fft.{name}"),
                    _named(f"torch:fft.{name}"),
                    peer,
                    kind=kind,
                )
            )
    return rows


def _well(x: Any, eye: Any) -> Any:
    """Away from singular matrices and equal eigenvalues, in any system."""
    return x + eye(np.eye(3) * np.array([2.0, 3.0, 5.0]))


def _adjoint(x: Any) -> Any:
    """Also for the boxes of autograd, which are real here and have no ``conj``."""
    return x.T.conj() if hasattr(x, "conj") else x.T


def _linalg() -> list[Peer]:
    def row(name: str, f: Callable[[Any, Any], Any], **more: Any) -> list[Peer]:
        def autograd(x: Any) -> Any:
            return f(importlib.import_module("autograd.numpy").linalg, _well(x, np.asarray))

        def torch(x: Any) -> Any:
            peer = importlib.import_module("torch")
            return f(peer.linalg, _well(x, lambda e: peer.asarray(e, dtype=x.dtype)))

        return [
            Peer(
                f"{name} {kind}",
                ((3, 3),),
                lambda x: f(np.linalg, _well(x, np.asarray)),
                torch,
                autograd if kind == "f" and more.get("autograd", True) else None,
                kind=kind,
            )
            for kind in "fc"
        ]

    return [
        *row("inv", lambda la, x: la.inv(x)),
        *row("det", lambda la, x: la.det(x)),
        *row("slogdet", lambda la, x: la.slogdet(x)[1]),
        *row("pinv", lambda la, x: la.pinv(x)),
        *row("cholesky", lambda la, x: la.cholesky(x @ _adjoint(x))),
        *row("solve", lambda la, x: la.solve(x, x * x)),
        *row("eigvalsh", lambda la, x: la.eigh(x + _adjoint(x))[0]),
        *row("svdvals", lambda la, x: la.svd(x, full_matrices=False)[1]),
        *row("qr", lambda la, x: la.qr(x)[1], autograd=False),
        *row("eigvals", lambda la, x: abs(la.eigvals(x)), autograd=False),
        *row("matrix_power", lambda la, x: la.matrix_power(x, 3), autograd=False),
        *row("nuclear norm", lambda la, x: la.norm(x, "nuc")),
        *row("spectral norm", lambda la, x: la.norm(x, 2), autograd=False),
        *row("norm", lambda la, x: la.norm(x)),
    ]


def _calls() -> list[Peer]:
    """Each table row, with its modules looked up when called."""

    def of(module: str, f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: f(importlib.import_module(module), *xs)

    rows = [
        Peer(n, shapes, of("numpy", f), t and of("torch", t), of("autograd.numpy", f))
        for n, (shapes, f, t) in CALLS.items()
    ]
    rows += [
        Peer(n, ((2, 3),), of("numpy", f), of("torch", t), of("autograd.numpy", f), kind="c")
        for n, (f, t) in COMPLEX.items()
    ]
    return rows + [Peer(n, shapes, f, of("torch", t), None) for n, (shapes, f, t) in TORCH_ALONE.items()]


ROWS = [
    *_same("exp log sqrt sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arctanh log2 log10 log1p expm1"),
    *_same("absolute sinc square reciprocal exp2 negative"),
    *_same("arccosh", domain=(1.2, 3.0)),
    *_same("sum prod mean max=amax min=amin"),
    *(
        Peer(n, ((2, 3), (2, 3)), _named(f"numpy:{n}"), _named(f"torch:{n}"), _named(f"autograd.numpy:{n}"))
        for n in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "arctan2", "logaddexp", "logaddexp2")
    ),
    Peer("power", ((2, 3), (2, 3)), np.power, _named("torch:pow"), _named("autograd.numpy:power")),
    Peer("matmul", ((2, 3), (3, 2)), np.matmul, _named("torch:matmul"), _named("autograd.numpy:matmul")),
    Peer("outer", ((2,), (3,)), np.outer, _named("torch:outer"), _named("autograd.numpy:outer")),
    Peer("kron", ((2, 2), (2, 3)), np.kron, _named("torch:kron"), _named("autograd.numpy:kron")),
    Peer(
        "einsum",
        ((2, 3), (3, 4)),
        *(functools.partial(_named(f"{m}:einsum"), "ij,jk->ki") for m in ("numpy", "torch", "autograd.numpy")),
    ),
    *_calls(),
    *_special(),
    *_sums(),
    *_fft(),
    *_linalg(),
]


def required(name: str) -> Any:
    """The peer; skips without it, except in CI, where it must be there."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed")


def pull_torch(f: Callable[..., Any], args: list[Any], cotangent: Any) -> tuple[Any, list[Any]]:
    torch = required("torch")
    xs = [torch.tensor(x, requires_grad=True) for x in args]
    out = f(*xs)
    value = out.detach().resolve_conj().numpy()
    found = torch.autograd.grad(out, xs, torch.asarray(np.asarray(cotangent(value))))
    return value, [np.asarray(g.resolve_conj().numpy()) for g in found]


def pull_autograd(f: Callable[..., Any], args: list[Any], cotangent: Any) -> tuple[Any, list[Any]]:
    autograd = required("autograd")
    value = f(*args)
    found = []
    for i in range(len(args)):
        # Its pullback is the plain transpose: conjugates at both ends give our convention.
        pull, _ = autograd.make_vjp(f, i)(*args)
        found.append(np.conj(pull(np.conj(cotangent(value)))))
    return value, found


PULLS = {"torch": pull_torch, "autograd": pull_autograd}


@pytest.mark.parametrize(
    ("row", "peer"),
    [(row, peer) for row in ROWS for peer in PULLS if getattr(row, peer)],
    ids=lambda v: getattr(v, "name", v),
)
def test_gradients_agree(row: Peer, peer: str) -> None:
    args = row.arguments()

    def cotangent(value: Any) -> Any:
        rng = np.random.default_rng(3)
        parts = rng.normal(size=(2, *np.shape(value)))
        return (parts[0] + 1j * parts[1] if np.iscomplexobj(value) else parts[0]).astype(np.asarray(value).dtype)

    expected_value, expected = PULLS[peer](getattr(row, peer), args, cotangent)
    value, pullback = vjp(row.numpy, *args)
    np.testing.assert_allclose(value, expected_value, rtol=1e-11, atol=1e-13)
    for found, wanted in zip(pullback(cotangent(value)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=row.rtol, atol=1e-11)


#: What autograd has a rule for and is not compared: other names, parts of its own, and what is no function of NumPy's.
_NOT_COMPARED = {
    *("abs", "acos", "acosh", "amax", "amin", "asin", "asinh", "atan", "atan2", "atanh", "conjugate", "mod", "pow"),
    *("permute_dims", "true_divide", "astype", "full", "real_if_close", "linalg.eig", "linalg.eigh", "linalg.svd"),
    *("_original_where", "array_from_args", "concatenate_args", "make_diagonal", "fft.truncate_pad"),
    "linalg._primitive_norm",
}


def test_every_function_of_autograd_is_compared() -> None:
    """Eigenvectors have no one value; their values are compared. ``full`` does not ask its arguments."""
    rules = required("autograd").core.primitive_vjps
    numpy = importlib.import_module("autograd.numpy")
    modules = (("", numpy), ("linalg.", numpy.linalg), ("fft.", numpy.fft))
    names = {
        prefix + name
        for prefix, module in modules
        for name in dir(module)
        if callable(getattr(module, name)) and getattr(module, name) in rules
    }
    compared = {row.name.partition(" ")[0] for row in ROWS if row.autograd}
    compared |= {f"{prefix}{name}" for name in compared for prefix in ("linalg.", "fft.")}
    assert not names - compared - _NOT_COMPARED
