"""The NumPy engine of this project, `numpy_autodiff`. A variable is a plain NumPy array until a transform traces it."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal, final

import numpy as np

from autodiff_compare.backends.default_dtype import in_cells
from autodiff_compare.backends.idioms.numpy import TAPE
from autodiff_compare.backends.interface import (
    LOOP,
    Function,
    NumpyArrays,
    Prepared,
    Request,
    Unsupported,
    Var,
    bare,
    python_while,
)
from autodiff_compare.backends.numpy_backend.composite import COMPOSITE
from autodiff_compare.backends.operators.complex_numbers import has_complex
from autodiff_compare.backends.operators.curvature import by_second_derivatives
from autodiff_compare.backends.operators.derivation import Derivation
from autodiff_compare.backends.operators.derived import derive
from autodiff_compare.backends.operators.orders import closed, second_derivative
from autodiff_compare.backends.operators.series import nested
from autodiff_compare.backends.operators.sparse_jacobian import constants, one_by_one
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.vocabulary import (
    BATCHES,
    BY_UNITS,
    DTYPES,
    NO_CACHE,
    ORDERS,
    SECOND_ORDER,
    SERIES,
    STANDARD_OPERATORS,
    Operator,
    Optimizer,
)

#: Variants that trace a function once, and compile it.
_TRACED = ("compiled", "numba")
#: The first version of NumPy with all names of the array API standard.
_OLDEST_NUMPY = (2, 1)


@final
class NumpyBackend(NumpyArrays):
    """`autodiff_compare.backends.numpy_autodiff` behind the neutral interface."""

    name: ClassVar[str] = "numpy"
    requires: ClassVar[tuple[str, ...]] = ("numpy",)
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "": "recorded at every call",
            "compiled": "traced once, rewritten, and emitted as straight-line NumPy code",
            "loop": "recorded again for each row of a batch",
            "jet": "diagonals and Laplacians by Taylor series along each unit vector",
            "nested": "Taylor series, diagonals and Laplacians by forward mode within forward mode",
            "numba": "traced once, and compiled to fused loops by numba",
        }
    )
    nestable = True
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType(dict.fromkeys(SECOND_ORDER, "fr"))
    orders: ClassVar[frozenset[str]] = frozenset(ORDERS)
    dtypes: ClassVar[tuple[str, ...]] = (*DTYPES, "float16")
    complex_numbers: ClassVar[bool] = True
    native: ClassVar[frozenset[Operator]] = STANDARD_OPERATORS | set(COMPOSITE) | BY_UNITS | {Operator.TAYLOR}
    limited: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType({LOOP: frozenset(BATCHES), **SERIES})
    deriving: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType(
        {"": BY_UNITS, LOOP: frozenset(BATCHES) | BY_UNITS, **dict.fromkeys(_TRACED, frozenset(COMPOSITE) | BY_UNITS)}
    )
    idioms: ClassVar[Mapping[str, str]] = TAPE

    def __init__(self, variant: str = "") -> None:
        super().__init__(variant)
        if self.variant == "numba":
            self.requires = ("numpy", "numba")  # type: ignore[misc]
        #: How `numpy_autodiff.loops` makes kernels.
        self.build = "compiled" if os.environ.get(NO_CACHE) else "cached"

    @property
    def traced(self) -> bool:
        """Whether functions are traced once and compiled."""
        return self.variant in _TRACED

    def open(self) -> None:
        # A worker under another interpreter may find any version of NumPy.
        if tuple(map(int, np.__version__.split(".")[:2])) < _OLDEST_NUMPY:
            oldest = ".".join(map(str, _OLDEST_NUMPY))
            raise Unsupported(f"our engine differentiates NumPy {oldest} and later, got {np.__version__}")
        from autodiff_compare.backends import numpy_autodiff
        from autodiff_compare.backends.numpy_autodiff.array import namespace
        from autodiff_compare.backends.numpy_autodiff.tools import optimizers

        numpy_autodiff.keep_freed_memory()
        self._engine, self._optimizers, self.xp = numpy_autodiff, optimizers, in_cells(namespace.xp)
        self._followed: Any = None
        self._traced_before = self._fell_back_before = 0
        if self.variant == "numba" and self.build != "python":
            importlib.import_module("numba")

    def follow(self, made: Any) -> None:
        """Count the traces of this `numpy_autodiff.compiler.Compiled` from now on, and no longer of the former one."""
        self._traced_before, self._fell_back_before = self.traces(), self.fallbacks()
        self._followed = made

    def traces(self) -> int:
        """Return how often our compiler has traced the functions prepared so far."""
        return self._traced_before + (self._followed.traces if self._followed else 0)

    def fallbacks(self) -> int:
        """Return how often `numpy_autodiff.loops` has written straight-line code for functions prepared so far."""
        return self._fell_back_before + (len(self._followed.fallbacks) if self._followed else 0)

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"np": np} | {name: getattr(self._engine, name) for name in self._engine.__all__}

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        return self._engine.grad(bare(f), argnums if isinstance(argnums, int) else tuple(argnums))

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        if not self.traced:
            return python_while(cond, body, init, limit)
        from autodiff_compare.backends.numpy_autodiff.compiler import goes_on

        # Compiled for the number of rounds that the data take, and again for another one.
        return python_while(lambda state: goes_on(cond(state)), body, init, limit)

    def stop_gradient(self, x: Var) -> Var:
        return self._engine.stop_gradient(x)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        if mode == "forward":
            forward: Function = self._engine.jacobian(bare(f), mode="forward")
            return forward
        return self.grad(f)

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        if mode == "forward":
            return super().value_and_derivative(f, mode)
        return self._engine.value_and_grad(bare(f))

    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]:
        rule = getattr(self._optimizers, optimizer.name)
        names = _HYPER_PARAMETERS[optimizer.name]
        return rule(params, grads, state, **{name: getattr(optimizer, name) for name in names})  # type: ignore[no-any-return]

    def compressed(self, request: Request, plan: Compression) -> Prepared:
        """Record the function once per call, and push or pull all products through that recording."""
        if self.traced and plan.number > _MOST_PRODUCTS:
            return one_by_one(self, request, plan)
        seeds, index = constants(self, request, plan)
        rows = [[seed[k] for seed in seeds] for k in range(plan.number)]
        function, argnums, transform = request.function, request.argnums, _PRODUCTS[plan.operator]

        def entries(*given: Var) -> tuple[Var, ...]:
            product = transform(self._engine)(*_chosen(function, given, argnums))[1]
            found = [product(*row) for row in rows]
            sources = (
                np.stack(found) if plan.operator is Operator.JVP else list(map(np.stack, zip(*found, strict=True)))
            )
            return tuple(np.take(part, at) for part, at in zip(plan.sources(sources), index, strict=True))

        return _emitted(self, entries, "value", request) if self.traced else entries

    def _native(self, request: Request) -> Prepared:
        operator, function, n = request.operator, request.function, len(request.args)
        engine, argnums, order = self._engine, request.argnums, self.order_of(request.operator)
        if order not in ("", self.modes.get(operator)):
            nested = second_derivative(_Transforms(engine), operator, order, function, argnums, n)
            return _emitted(self, nested, "value", request) if self.traced else nested
        if operator is Operator.TAYLOR or operator in BY_UNITS:
            return _series(self, request)
        if self.traced:
            return _compiled(self, request)
        direct: dict[Operator, Callable[[], Prepared]] = {
            Operator.VALUE: lambda: function,
            Operator.GRADIENT: lambda: engine.grad(function, argnums),
            Operator.VALUE_AND_GRADIENT: lambda: engine.value_and_grad(function, argnums),
            Operator.JACOBIAN: lambda: engine.jacobian(function, argnums),
            Operator.HESSIAN: lambda: engine.hessian(function, argnums),
        }
        if operator in COMPOSITE:
            return COMPOSITE[operator](engine, request)
        if operator in direct:
            return direct[operator]()
        return _directional(engine, operator, function, argnums, n)


def _series(backend: NumpyBackend, request: Request) -> Prepared:
    """Return derivatives of higher order along directions, by the arithmetic of truncated series or nested."""
    engine, f, argnums, n = backend._engine, request.function, request.argnums, len(request.args)
    if backend.traced:
        raise Unsupported(f"numpy:{backend.variant} emits no Taylor series: use numpy")
    degree = request.degree if request.operator is Operator.TAYLOR else 2

    def series(*given: Var) -> tuple[Var, ...]:
        partial, *xs = _chosen(f, given[:n], argnums)
        found = engine.taylor(partial, xs, given[n:], degree)
        with np.errstate(over="ignore", invalid="ignore"):
            return tuple(c * _factorial(k) for k, c in enumerate(found[1:], 1))

    one = nested(_Transforms(engine), f, argnums, n, degree) if backend.variant == "nested" else series
    if request.operator is Operator.TAYLOR:
        return one

    def second(units: Sequence[Var]) -> Prepared:
        del units
        return lambda *given: np.stack([one(*given[:n], *row)[1] for row in zip(*given[n:], strict=True)])

    return by_second_derivatives(Derivation(backend, request), second)


def _factorial(k: int) -> float:
    """Return ``k!``, infinite where no double holds it."""
    return float(math.factorial(k)) if k <= 170 else math.inf


#: A Jacobian or Hessian of more sweeps than this calls one compiled sweep repeatedly. One of fewer sweeps is emitted as
#: a single long function.
_MOST_SWEEPS = 32
#: The same for the products of a sparse Jacobian, whose functions are long more often.
_MOST_PRODUCTS = 4


def _compiled(backend: NumpyBackend, request: Request) -> Prepared:
    """Emit the operator as one function, or derive a large Jacobian or Hessian from compiled sweeps."""
    operator = request.operator
    if operator in (Operator.JACOBIAN, Operator.HESSIAN):
        sweeps = sum(map(np.size, request.inputs))
        if operator is Operator.JACOBIAN:
            sweeps = min(sweeps, np.size(request.function(*request.args)))
        # A Jacobian of complex numbers derived from products would be that of real numbers.
        if sweeps > _MOST_SWEEPS and not has_complex(request):
            return derive(backend, request)
    return _emitted(backend, request.function, operator.value, request)


def _emitted(backend: NumpyBackend, f: Function, operator: str, request: Request) -> Prepared:
    """Emit ``operator`` of ``f`` for arguments and directions like those of the request."""
    from autodiff_compare.backends.numpy_autodiff import compiler, loops

    compile = partial(loops.compile, build=backend.build) if backend.variant == "numba" else compiler.compile
    try:
        example = (*request.args, *request.directions)
        made = compile(f, *example, argnums=request.argnums, operator=operator)
        backend.follow(made)
        return made if made.guarded else made.entry
    except compiler.CompileError as error:
        raise Unsupported(str(error)) from error


class _Transforms:
    """The engine's transforms for `backends.operators.orders`: Jacobians also of functions that return a tuple."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.grad, self.jvp, self.vjp = engine.grad, engine.jvp, engine.vjp

    def jacfwd(self, f: Function, argnums: tuple[int, ...]) -> Function:
        return self._jacobian(f, argnums, "forward")

    def jacrev(self, f: Function, argnums: tuple[int, ...]) -> Function:
        return self._jacobian(f, argnums, "reverse")

    def _jacobian(self, f: Function, argnums: tuple[int, ...], mode: str) -> Function:
        def jacobian(*args: Var) -> tuple[Any, ...]:
            shapes: list[tuple[int, ...]] = []

            def flat(*xs: Var) -> Var:
                out = f(*xs)
                if not isinstance(out, tuple):
                    return out
                shapes[:] = map(np.shape, out)
                return np.concatenate([np.ravel(part) for part in out])

            blocks: tuple[Any, ...] = self._engine.jacobian(flat, argnums, mode)(*args)
            return tuple(_split_rows(blocks, shapes)) if shapes else blocks

        return jacobian


def _split_rows(blocks: Sequence[Var], shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[Var, ...]]:
    """Split the rows of Jacobian blocks of a flattened output into one tuple of blocks per original output array."""
    end = 0
    for shape in shapes:
        start, end = end, end + math.prod(shape)
        yield tuple(np.reshape(block[start:end], shape + block.shape[1:]) for block in blocks)


#: Operator -> the transform that returns ``(output, product)``. The product applies one recording to any direction.
_PRODUCTS: Mapping[Operator, Callable[[Any], Callable[..., Any]]] = MappingProxyType(
    {Operator.JVP: lambda engine: engine.linearize, Operator.VJP: lambda engine: engine.vjp}
)


def _chosen(f: Function, args: Sequence[Var], argnums: tuple[int, ...]) -> tuple[Any, ...]:
    """Return ``f`` as a function of the differentiated arguments alone, followed by these arguments."""
    return closed(f, args, argnums), *(args[i] for i in argnums)


def _directional(engine: Any, operator: Operator, f: Function, argnums: tuple[int, ...], n: int) -> Callable[..., Any]:
    """Return ``jvp``, ``vjp`` or ``hvp``: tangents or a cotangent follow the arguments."""

    def jvp(*given: Var) -> Var:
        partial, *xs = _chosen(f, given[:n], argnums)
        return engine.jvp(partial, xs, given[n:])[1]

    def vjp(*given: Var) -> Any:
        partial, *xs = _chosen(f, given[:n], argnums)
        return engine.vjp(partial, *xs)[1](given[n])

    def hvp(*given: Var) -> Any:
        partial, *xs = _chosen(f, given[:n], argnums)
        return engine.hvp(partial, xs, given[n:])

    return {Operator.JVP: jvp, Operator.VJP: vjp, Operator.HVP: hvp}[operator]


_HYPER_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("learning_rate",),
    "momentum": ("learning_rate", "momentum"),
    "nesterov": ("learning_rate", "momentum"),
    "adam": ("learning_rate", "b1", "b2", "eps", "eps_hat"),
}
