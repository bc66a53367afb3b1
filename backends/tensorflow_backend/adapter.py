"""TensorFlow: `tf.GradientTape` and `tf.autodiff.ForwardAccumulator`, traced by `tf.function`.

Each operator is written once, in `autodiff_compare.backends.tensorflow_backend.operators`, as plain eager code. The
variants differ in how it runs: ``eager`` returns that function as it is; the default traces it into a graph for the
given shapes and dtypes; ``xla`` also compiles that graph. A trace returns the concrete function, because a call of it
costs 100 us and one of a ``tf.function`` with an input signature 180 us (float64, two 3x3 inputs, TensorFlow 2.21):
the concrete function does not dispatch on types. AutoGraph is off, so an ``if`` on a traced value raises an error
instead of being rewritten.

Two conventions of TensorFlow are normalised: an input on which the output does not depend has a gradient of zeros (the
default is ``None``), and sparse gradients (``IndexedSlices``) become dense.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.idioms.tensorflow import TAPE
from autodiff_compare.backends.interface import LOOP, Backend, Function, Prepared, Request, Unsupported, Var, bare
from autodiff_compare.backends.operators.orders import second_derivative
from autodiff_compare.backends.operators.sparse_jacobian import constants, one_by_one
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.backends.tensorflow_backend.composite import COMPOSITE, COMPOSITE_FALLBACKS
from autodiff_compare.backends.tensorflow_backend.operators import FALLBACKS, OPERATORS, Differentiated
from autodiff_compare.backends.tensorflow_backend.series import taylor
from autodiff_compare.vocabulary import BATCHES, DTYPES, HALF_DTYPES, ORDERS, SECOND_ORDER, Operator, Optimizer

_OPERATORS, _FALLBACKS = {**OPERATORS, **COMPOSITE}, {**FALLBACKS, **COMPOSITE_FALLBACKS}


def distribution(folders: Sequence[str]) -> str:
    """Return the distribution in ``folders`` that holds TensorFlow: the one for the CPU alone has its own name."""
    names = ("tensorflow", "tensorflow-cpu")
    return next((n for n in names if any(importlib.metadata.distributions(name=n, path=[*folders]))), names[0])


@final
class TensorFlowBackend(Backend):
    """TensorFlow 2 with Keras 3 optimizers."""

    name = "tensorflow"
    requires = (distribution(sys.path), "keras")
    variants = MappingProxyType(
        {
            "": "GradientTape and ForwardAccumulator inside tf.function",
            "eager": "the plain tape, operation by operation",
            "xla": "inside tf.function(jit_compile=True)",
            "loop": "inside tf.function, one call for each row of a batch",
        }
    )
    dtypes: ClassVar[tuple[str, ...]] = (*DTYPES, *HALF_DTYPES)
    complex_numbers: ClassVar[bool] = True
    conversions: ClassVar[Mapping[Operator, str]] = MappingProxyType(
        {Operator.JACOBIAN: "rows of tf.GradientTape, conjugated for complex inputs"}
    )
    native = frozenset(_OPERATORS) | {Operator.TAYLOR}
    limited: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType({LOOP: frozenset(BATCHES)})
    deriving: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType(
        dict.fromkeys((LOOP, "eager"), frozenset(BATCHES))
    )
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType({Operator.HVP: "fr", Operator.HESSIAN: "rr"})
    orders: ClassVar[frozenset[str]] = frozenset(ORDERS)
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    import_s: ClassVar[float] = 5.0
    # 15, 13 and 9 % of the time of its import: tensorflow.lite imports jax, keras imports matplotlib.pyplot and pandas.
    foreign: ClassVar[tuple[str, ...]] = ("jax", "matplotlib", "pandas")
    idioms: ClassVar[Mapping[str, str]] = TAPE
    memory_counter = "tf.get_memory_info"

    def open(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        from autodiff_compare.backends.tensorflow_backend import namespace

        _set_threads(tf)
        if self.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        elif not tf.config.list_physical_devices("GPU"):
            raise Unsupported("tensorflow finds no GPU that it can use")
        tf.get_logger().setLevel("ERROR")
        # TensorFloat-32 would compute float32 matrix products with 10-bit mantissas.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        self._tf, self._arrays, self.xp = tf, namespace, namespace.xp
        self._asynchronous = bool(tf.config.list_physical_devices("GPU"))
        self._updates: dict[Any, Any] = {}
        self._depth = 0
        self._fell_back = False

    def traces(self) -> int:
        """Return the microseconds spent building graphs: TensorFlow's only such counter for the whole process."""
        from tensorflow.python.eager.polymorphic_function import tracing_compilation

        return int(tracing_compilation._graph_building_time_counter.get_cell().value())

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"tf": self._tf, "np": np}

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        config = self._tf.config.experimental
        try:
            config.reset_memory_stats("CPU:0")
            before = config.get_memory_info("CPU:0")["current"]
        except ValueError:
            # An allocator without statistics: TensorFlow's own on a processor for which it does not use oneDNN, where
            # nobody set TF_CPU_ALLOCATOR_USE_BFC. It returns freed memory, as that of NumPy does.
            return None
        call()
        return int(config.get_memory_info("CPU:0")["peak"]) - int(before)

    def switches(self) -> Mapping[str, str]:
        try:
            from tensorflow.python.util import _pywrap_util_port

            return {"onednn": "on" if _pywrap_util_port.IsMklEnabled() else "off"}
        except (ImportError, AttributeError):
            # TensorFlow has no public question for this, and a release may move the private one. Workers are told.
            told = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
            return {} if told is None else {"onednn": "on" if told.lower() in ("1", "true") else "off"}

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        given = self._arrays.raw(array)
        if self._tf.is_tensor(given):
            given = given.numpy()
        # A tensor may share the memory of the array that it is made of, so it is given a copy.
        return self._arrays.Array(self._tf.constant(np.array(given, dtype=dtype)))

    def to_numpy(self, var: Var) -> NDArray[Any]:
        return np.array(var.numpy())

    def own_array(self, var: Var) -> Any:
        return self._arrays.raw(var)

    def on_variables(self, f: Function) -> Function:
        return self._arrays.on_arrays(f)

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        tf, chosen = self._tf, (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args: Var) -> Any:
            # The arguments are copied, because the tape would also record uses of the caller's tensors inside ``f``.
            fresh = [tf.identity(a) for a in self._arrays.raw(args)]
            _refuse_integers(fresh, chosen)
            p = Differentiated(tf, self._inside(bare(f)), chosen, len(fresh), vectorized=False)
            gradients = self._arrays.wrapped(OPERATORS[Operator.GRADIENT](p)(*fresh))
            return gradients[0] if isinstance(argnums, int) else gradients

        return gradient

    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]:
        """Make one update by ``tf.keras.optimizers``; ``state`` holds the optimizer's variables as tensors.

        Keras defines momentum as ``v = momentum v - lr g``, which agrees with `vocabulary.Optimizer` only while the
        learning rate is constant.
        """
        from autodiff_compare.backends.tensorflow_backend.optimizers import build_update

        params, grads = self._arrays.raw(tuple(params)), self._arrays.raw(tuple(grads))
        specs = self._specs(params)
        key = (replace(optimizer, learning_rate=0.0), *((tuple(s.shape), s.dtype) for s in specs))
        if key not in self._updates:
            self._updates[key] = build_update(
                optimizer, specs, traced=self.variant != "eager", compiled=self.variant == "xla"
            )
        update, initial = self._updates[key]
        rate = self._tf.constant(
            optimizer.learning_rate, "float64" if any(s.dtype == self._tf.float64 for s in specs) else "float32"
        )
        new, slots = update(rate, list(params), list(grads), initial if state is None else state)
        return tuple(map(self._arrays.Array, new)), slots

    def _specs(self, given: Sequence[Var]) -> list[Any]:
        return [self._tf.TensorSpec(a.shape, a.dtype) for a in given]

    def _native(self, request: Request) -> Prepared:
        raw = self._arrays.raw
        operator, args, argnums = request.operator, raw(tuple(request.args)), request.argnums
        if operator != Operator.VALUE:
            _refuse_integers(args, argnums)
        self._fell_back = False
        # Eager vectorization traces at every call: 80 to 250 ms where a loop over rows takes 2 to 40 ms.
        value = operator is Operator.VALUE
        function = self._arrays.on_tensors(request.function) if value else self._inside(request.function)
        if operator in BATCHES:
            request.rows()
        p = Differentiated(self._tf, function, argnums, len(args), self.variant != "eager", request.samples)
        given = [*args, *raw(tuple(request.directions))]
        if self.order and operator in SECOND_ORDER:
            return self._in_order(operator, p, given)
        if operator is Operator.TAYLOR:
            series = taylor(p, request.degree)
            return self._eager(series) if self.variant == "eager" else self._traced(series, given)
        if self.variant == "eager":
            return self._eager(_OPERATORS[operator](p))
        try:
            return self._traced(_OPERATORS[operator](p), given)
        except Exception as first:
            if operator not in _FALLBACKS:
                raise
            try:
                run = self._traced(_FALLBACKS[operator](p), given)
            except Unsupported:
                raise  # the fallback was traced but XLA cannot compile it: that is the reason to report
            except Exception:
                # Both failed, so the objective itself is at fault: the first error is the one to report.
                raise first from None
            self._fell_back = True
            return run

    def mode(self, operator: Operator) -> str:
        """Return the order of modes in words. Every fallback for a second derivative is reverse over reverse."""
        return ORDERS["rr"] if self._fell_back and operator in SECOND_ORDER else super().mode(operator)

    def _in_order(self, operator: Operator, p: Differentiated, given: Sequence[Var]) -> Prepared:
        """Prepare a second derivative in the requested order of modes, without a fallback to another order."""
        from autodiff_compare.backends.tensorflow_backend.transforms import Transforms

        ways = [
            second_derivative(Transforms(vectorized=fast), operator, self.order, p.function, p.argnums, p.n_args)
            for fast in (True, False)
        ]
        if self.variant == "eager":
            return self._eager(ways[-1])
        try:
            return self._first_traced(ways, given)
        except Unsupported:
            raise
        except Exception as error:
            # If the objective itself is at fault, tracing its gradient raises that error here.
            self._traced(OPERATORS[Operator.GRADIENT](p), given[: p.n_args])
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise Unsupported(
                f"TensorFlow cannot trace {ORDERS[self.order]} of this{_LIMITS.get(self.order, '')}: try"
                f" tensorflow:eager:{self.order} ({type(error).__name__}: {reason})"
            ) from error

    def compressed(self, request: Request, plan: Compression) -> Prepared:
        """Compute all products in one graph: by ``tf.vectorized_map`` or, where it has no rule, unrolled."""
        from autodiff_compare.backends.tensorflow_backend.products import entries

        args, argnums = self._arrays.raw(tuple(request.args)), request.argnums
        _refuse_integers(args, argnums)
        if self.variant == "eager":
            return one_by_one(self, request, plan)
        fixed = [part for parts in self._arrays.raw(constants(self, request, plan)) for part in parts]
        p = Differentiated(self._tf, self._inside(request.function), argnums, len(args), vectorized=True)
        product = OPERATORS[plan.operator](p)
        other = FALLBACKS.get(plan.operator, OPERATORS[plan.operator])(p)
        ways = [entries(plan, product, p.n_args, at_once) for at_once in (True, False)]
        run = self._first_traced([*ways, entries(plan, other, p.n_args, False)], [*args, *fixed])
        return lambda *given: run(*given, *fixed)

    def _first_traced(self, ways: Sequence[Function], given: Sequence[Var]) -> Prepared:
        """Return the first of ``ways`` that can be traced; raise the error of the last if none can."""
        *others, last = ways
        for way in others:
            with contextlib.suppress(Exception):
                return self._traced(way, given)
        return self._traced(last, given)

    def _eager(self, function: Function) -> Prepared:
        """Return a function of tensors that also takes arrays, as a traced one does."""
        raw = self._arrays.raw
        return lambda *given: function(*map(raw, given))

    def _traced(self, function: Function, given: Sequence[Var]) -> Prepared:
        traced = self._tf.function(function, autograph=False, jit_compile=self.variant == "xla" or None)
        concrete = traced.get_concrete_function(*self._specs(given))
        if self.variant == "xla":
            self._compile(concrete, given)
        return concrete  # type: ignore[no-any-return]

    def _compile(self, concrete: Callable[..., Any], given: Sequence[Var]) -> None:
        """Compile by calling once: XLA compiles at the first call, and has no other interface for it."""
        errors = self._tf.errors
        try:
            concrete(*given)
        # TensorFlow 2.21 raises InternalError for the second gradient of a while loop.
        except (errors.InvalidArgumentError, errors.UnimplementedError, errors.InternalError) as error:
            raise Unsupported(f"XLA cannot compile this: {_reason(error.message)}: use tensorflow") from error

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        from autodiff_compare.backends.tensorflow_backend.scan import scan

        nest = self._tf.nest.map_structure
        raw, wrapped = (partial(nest, part) for part in (self._arrays.raw, self._arrays.wrapped))
        carry, ys = scan(lambda carry, x: raw(f(wrapped(carry), wrapped(x))), raw(init), raw(xs))
        return wrapped(carry), wrapped(ys)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        """Run `tf.while_loop`. XLA can differentiate it because the limit is known; eagerly, it is a Python loop."""
        raw, wrapped = self._arrays.raw, self._arrays.wrapped
        (last,) = self._tf.while_loop(
            lambda state: raw(cond(wrapped(state))),
            lambda state: [raw(body(wrapped(state)))],
            [raw(init)],
            maximum_iterations=limit,
        )
        return wrapped(last)

    def stop_gradient(self, x: Var) -> Var:
        return self._arrays.Array(self._tf.stop_gradient(self._arrays.raw(x)))

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        if mode == "reverse":
            return self.grad(f)
        from autodiff_compare.backends.tensorflow_backend.forward_mode import forward_derivative

        return self._arrays.on_arrays(forward_derivative(self._inside(bare(f)), lambda: self._depth == 0))

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        if mode == "forward":
            return super().value_and_derivative(f, mode)

        def both(x: Var) -> tuple[Var, Var]:
            p = Differentiated(self._tf, self._inside(bare(f)), (0,), 1, vectorized=False)
            given = self._tf.identity(self._arrays.raw(x))
            value, (gradient,) = self._arrays.wrapped(OPERATORS[Operator.VALUE_AND_GRADIENT](p)(given))
            return value, gradient

        return both

    def _inside(self, f: Function) -> Function:
        """Return ``f`` on tensors, with a counter of active calls.

        By the counter `derivative` detects an enclosing differentiation.
        """
        on_tensors = self._arrays.on_tensors(f)

        def function(*args: Var) -> Var:
            self._depth += 1
            try:
                return on_tensors(*args)
            finally:
                self._depth -= 1

        return function

    def block(self, out: Any) -> Any:
        """Wait for accelerators. CPU kernels have finished when a call returns."""
        if self._asynchronous:
            self._tf.test.experimental.sync_devices()
        return out


#: Order of modes -> what TensorFlow 2.21 cannot trace in that order; its own messages do not tell.
_LIMITS = {
    "fr": ", nor forward mode of the gradient of any tf.while_loop",
    "rf": ", nor the gradient of forward mode of any tf.while_loop",
    "ff": ", nor of any tf.while_loop or comparison",
}


def _reason(message: str) -> str:
    """Return XLA's message without the names and numbers that differ from one compilation to the next."""
    missing = re.findall(r"No registered '(\w+)' OpKernel", message)
    if missing:
        return f"it has no kernel for {', '.join(dict.fromkeys(missing))}"
    if "Cannot find body function" in message:
        return "it cannot differentiate this tf.while_loop twice, which this operator requires"
    return re.sub(r"__inference_\w+(\[[^\]]*\])?|\{\{node [^}]*\}\}", "", message.splitlines()[0]).strip()


def _refuse_integers(args: Sequence[Var], argnums: tuple[int, ...]) -> None:
    """Reject integers, for which a tape only logs a warning and gives no gradient."""
    for i in argnums:
        if not (args[i].dtype.is_floating or args[i].dtype.is_complex):
            raise TypeError(f"got dtype {args[i].dtype.name} for differentiated argument {i}, expected a floating one")


def _set_threads(tf: Any) -> None:
    """Set thread counts from environment variables, which some builds of TensorFlow do not read."""
    for variable, knob in (("TF_NUM_INTRAOP_THREADS", "intra_op"), ("TF_NUM_INTEROP_THREADS", "inter_op")):
        wanted = int(os.environ.get(variable, "0"))
        if wanted and getattr(tf.config.threading, f"get_{knob}_parallelism_threads")() != wanted:
            getattr(tf.config.threading, f"set_{knob}_parallelism_threads")(wanted)
