"""The backend contract: the interface behind which every automatic differentiation system stands.

A backend turns a function, written once against an array namespace ``xp``, into values and derivatives. It has two
groups of methods. ``to_var``, ``grad`` and ``step`` are for interactive use. ``prepare`` and ``block`` are for the
harness: ``prepare`` returns a bare callable on the framework's own arrays, so that a timed call runs the framework's
code and nothing else.

Prepared callables
------------------
``f(*args)`` returns one array. ``argnums`` lists the differentiated arguments; the others are data. A prepared
callable takes ``(*args, *directions)``. It returns, with one entry per ``argnums`` and x_i the i-th of them:

==================  =======================  ==============================================================
operator            directions               result
==================  =======================  ==============================================================
value               none                     ``f(*args)``
gradient            none                     tuple of gradients (``f`` must be scalar)
value_and_gradient  none                     ``(value, tuple of gradients)`` (``f`` must be scalar)
jvp                 one tangent per argnum   tangent of the output
vjp                 one cotangent            tuple of cotangents of the inputs
jacobian            none                     tuple of arrays ``f.shape + x_i.shape``
sparse_jacobian     none                     tuple of vectors: the entries of each pattern, in CSR order
hvp                 one tangent per argnum   tuple: the rows of ``H t``, shaped like ``x_i`` (``f`` must be scalar)
hessian             none                     tuple of tuples of ``x_i.shape + x_j.shape`` (``f`` must be scalar)
step                none                     tuple: the parameters after one optimizer update
==================  =======================  ==============================================================

A derivative has the dtype of the input or output that it belongs to. An input on which the output does not depend has
the derivative zero. A callable changes none of its arguments and may be called any number of times.

A first adapter
---------------
A backend is one file: ``backends/<name>_backend.py``, or a file of your own passed as ``-b ./my_backend.py``. It holds
one final subclass of `Backend`, or of `NumpyArrays` if its arrays are NumPy's::

    class MyBackend(NumpyArrays):
        name, native = "my", frozenset({Operator.VALUE, Operator.JVP})

        def _native(self, request):
            ...  # return a callable for request.operator of request.function

1. Set ``name`` (as in the file's name), ``requires`` (distributions, as pip calls them) and ``native`` (the operators
   that ``_native`` prepares). All other operators are derived from the native ones by
   `autodiff_compare.backends.derived`.
2. Import the framework in ``open()`` only, and set ``xp`` there: functions of the array API standard 2024.12 on the
   framework's arrays. Every problem uses these names; a missing one makes those problems unsupported, nothing more.
3. Implement the abstract methods. Raise `Unsupported` with a reason wherever the system lacks a capability.
4. Run ``compare.py conformance NAME`` or ``compare.py conformance ./my_backend.py``: it tries every clause of this
   contract and tells how to repair a broken one.

A backend that needs more than one file is a folder ``backends/<name>_backend/`` whose ``adapter.py`` holds the class.
"""

from __future__ import annotations

import abc
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.derived import derive
from autodiff_compare.backends.loops import python_scan, python_while
from autodiff_compare.backends.objective import Expanded, Function, Objective, Prepared, Unsupported, Var, bare
from autodiff_compare.backends.orders import parted
from autodiff_compare.backends.request import Request
from autodiff_compare.backends.sparse_jacobian import one_by_one
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.vocabulary import ORDERS, SECOND_ORDER, How, Operator, Optimizer

__all__ = [
    "Backend",
    "Compression",
    "Expanded",
    "Function",
    "NumpyArrays",
    "Objective",
    "Prepared",
    "Request",
    "Unsupported",
    "Var",
    "bare",
    "python_scan",
    "python_while",
]


def _require_parameters(cls: type, name: str, taken: tuple[str, ...]) -> None:
    """Reject a method that cannot be called with the parameters of the contract.

    Until version 0.1 these methods took ``operator, f, args, argnums, directions`` one by one. Without this check an
    adapter of that time would fail at its first call, with Python's count of missing arguments.
    """
    method = inspect.signature(getattr(cls, name))
    try:
        method.bind("self", *taken)
    except TypeError as error:
        raise TypeError(
            f"got {cls.__name__}.{name}{method}, expected {name}(self, {', '.join(taken)}):"
            " operator, f, args, argnums and directions are attributes of the request"
        ) from error


class Backend(abc.ABC):
    """One automatic differentiation system behind the neutral interface.

    Creating an instance imports nothing; `open` imports and configures the framework and must be
    called before anything else but the class attributes.

    Parameters
    ----------
    variant
        A key of ``variants``; ``""`` is the default way to run this backend. After it, or alone, may stand an order of
        modes, such as ``"fr"``, ``"forward_over_reverse"`` or ``"eager:fr"``: second derivatives are then taken in it.

    Raises
    ------
    ValueError
        If this backend has no such variant.
    """

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    variants: ClassVar[Mapping[str, str]] = MappingProxyType({"": "default"})
    native: ClassVar[frozenset[Operator]]
    #: Operator of second order -> the order of modes that it is taken in unless another is asked for.
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType({})
    #: The keys of `vocabulary.ORDERS` that second derivatives can be asked for in.
    orders: ClassVar[frozenset[str]] = frozenset()
    #: Where it can compute; `device` is set to one of them before `open`.
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    #: Whether `grad` returns a function that this backend can differentiate again.
    nestable: ClassVar[bool] = True
    #: Question name -> source text that sets ``answer``, as a user of this framework would write it; run in
    #: the names of `idiom_scope`. The questions and what an answer may be: ``problems/tape.py``.
    idioms: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: How `peak_bytes` counts, where the process's resident memory does not tell because the framework keeps what it
    #: has freed; empty where the resident memory does.
    memory_counter: ClassVar[str] = ""
    #: The array namespace over this backend's variables; set by `open`.
    xp: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, taken in (("_native", ("request",)), ("compressed", ("request", "plan"))):
            _require_parameters(cls, name, taken)

    def __init__(self, variant: str = "") -> None:
        self.variant, self.order = parted(variant, self.variants)
        if self.variant not in self.variants:
            known = ", ".join(repr(v) for v in self.variants if v) or "none"
            known += f"; or, for second derivatives, an order of modes: {', '.join(ORDERS)}"
            raise ValueError(f"got variant {variant!r} of backend {self.name!r}, expected one of: {known}")
        self.device = "cpu"

    @property
    def full_variant(self) -> str:
        """``variant``, ``order`` or ``variant:order``, whichever there are: what the tables call the variant."""
        return ":".join(filter(None, (self.variant, self.order)))

    @property
    def spec(self) -> str:
        """``name[:variant][:order]``, as written on the command line."""
        return ":".join(filter(None, (self.name, self.full_variant)))

    @abc.abstractmethod
    def open(self) -> None:
        """Import and configure the framework: the only place where that happens."""

    @abc.abstractmethod
    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        """Make a new variable of ``array``, never an alias of it; its dtype is kept unless given."""

    @abc.abstractmethod
    def to_numpy(self, var: Var) -> NDArray[Any]:
        """Copy a variable into a NumPy array of the same shape and dtype."""

    @abc.abstractmethod
    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        """The gradient of a scalar function, itself differentiable.

        Returns ``g`` with ``g(*vars)`` one array for an integer ``argnums``, else a tuple.
        """

    @abc.abstractmethod
    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]:
        """One update by the framework's own optimizer.

        ``state`` is ``None`` at first and then what the previous call returned; it is opaque and
        must be used once. ``params`` are not changed. Returns new parameters and the new state.
        """

    @abc.abstractmethod
    def _native(self, request: Request) -> Prepared:
        """Prepare an operator in ``native``: trace or compile ``request.function`` and return the callable.

        Raises
        ------
        Unsupported
            If the framework cannot do this for this function.
        """

    @abc.abstractmethod
    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        """``carry, y = f(carry, x)`` over the leading axis of ``xs``; returns the last carry and stacked ys."""

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        """``state = body(state)`` while ``cond(state)``, at most ``limit`` times; returns the last state.

        ``state`` is an array or a tuple of arrays whose shapes and dtypes stay. Derivatives go through the
        rounds that were made. Raises `Unsupported` where a loop that depends on data cannot be recorded.
        """
        return python_while(cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """``x -> gradient`` of a scalar function of one array, to be used inside an objective.

        It can be differentiated again, in either mode, as deep as the backend allows. ``forward`` is made of
        one directional derivative per entry of ``x``. Raises `Unsupported` where the backend has no such mode.
        """
        if mode == "forward":
            raise Unsupported(f"{self.spec} has no forward mode to use inside a function")
        gradient: Function = self.grad(f)
        return gradient

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """``x -> (value, gradient)``, the latter as by `derivative`. Derived: one after the other."""
        function, derivative = bare(f), self.derivative(f, mode)
        return lambda x: (function(x), derivative(x))

    @final
    def implementation(self, native: Mapping[str, Function], neutral: Function | None) -> Function:
        """The function that a user wrote for this backend, by ``spec`` or ``name``; else the ``neutral`` one.

        Raises
        ------
        Unsupported
            If there is neither.
        """
        found = native.get(self.spec, native.get(self.name, neutral))
        if found is None:
            raise Unsupported(f"OBJECTIVES has no function for {self.name}: add one under {self.name!r}")
        return found

    @abc.abstractmethod
    def block(self, out: Any) -> Any:
        """Return ``out`` once it is really computed."""

    @final
    def prepare(
        self,
        operator: Operator,
        f: Function,
        args: Sequence[Var],
        *,
        argnums: Sequence[int] = (0,),
        directions: Sequence[Var] = (),
        optimizer: Optimizer | None = None,
    ) -> Callable[..., Any]:
        """Trace or compile ``operator`` of ``f`` for arguments like ``args``; return a bare callable.

        Parameters
        ----------
        operator, f, args, argnums
            See the module's table. ``args`` only give shapes and dtypes: their values must not
            find their way into the callable.
        directions
            Tangents or a cotangent of the right shapes, where the operator takes them.
        optimizer
            The update rule; needed by ``step``.

        Raises
        ------
        Unsupported
            If this backend cannot do it, natively or derived.
        """
        if self.order and operator in SECOND_ORDER and self.order not in self.orders:
            offered = ", ".join(o for o in ORDERS if o in self.orders) or "none that can be chosen"
            raise Unsupported(f"{self.name} has no second derivatives by {ORDERS[self.order]}, but: {offered}")
        request = Request(operator, f, args, tuple(argnums), directions, optimizer)
        if operator in self.native:
            return self._native(request)
        return derive(self, request)

    def compressed(self, request: Request, plan: Compression) -> Prepared:
        """``sparse_jacobian``: the products of ``plan``, and the entries read from them.

        Derived: one product after the other. An adapter whose framework takes them all at once overrides it.
        """
        return one_by_one(self, request, plan)

    @final
    def how(self, operator: Operator) -> How:
        """Whether `prepare` uses the framework's own operator or one built from others."""
        return How.NATIVE if operator in self.native else How.DERIVED

    @final
    def order_of(self, operator: Operator) -> str:
        """The key of `vocabulary.ORDERS` that a second derivative is to be taken in; empty for other operators."""
        return (self.order or self.modes.get(operator, "")) if operator in SECOND_ORDER else ""

    def mode(self, operator: Operator) -> str:
        """The order of modes, in words, in which `prepare` last took a second derivative; empty where not known."""
        return ORDERS.get(self.order_of(operator), "")

    def minimiser(
        self, optimizer: Optimizer, f: Function, args: Sequence[Var], argnums: Sequence[int] = (0,)
    ) -> Callable[[Sequence[Var], Any], tuple[Var, tuple[Var, ...], Any]]:
        """Minimise a callable: ``update(args, state)`` returns the loss at ``args``, new parameters, new state.

        Derived from `prepare` and `step`; an adapter whose framework has its own ``minimize(callable)``
        or ``step(closure)`` overrides it. ``state`` is as in `step`.
        """
        argnums = tuple(argnums)
        both = self.prepare(Operator.VALUE_AND_GRADIENT, f, args, argnums=argnums)

        def update(args: Sequence[Var], state: Any) -> tuple[Var, tuple[Var, ...], Any]:
            loss, grads = both(*args)
            params, state = self.step(optimizer, [args[i] for i in argnums], grads, state)
            return loss, params, state

        return update

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """Growth of allocated bytes at the peak of one call by ``memory_counter``; `None` where nothing is counted.

        The resident memory of the process is measured then.
        """
        del call
        return None

    def traces(self) -> int:
        """A number that grows whenever the framework traces or compiles; 0 where it never does, or does not tell.

        Looked at before and after timed calls, so that what was traced in between is known.
        """
        return 0

    def switches(self) -> Mapping[str, str]:
        """Return how the framework runs in this process where that changes its results; after `open`.

        Names are columns of ``runs.csv``, values single words: ``{"onednn": "on"}`` of TensorFlow.
        """
        return {}

    def idiom_scope(self) -> Mapping[str, Any]:
        """The names that ``idioms`` may use without importing them, such as ``{"torch": torch}``; after `open`."""
        return {}

    def versions(self) -> Mapping[str, str]:
        """Installed version of each required distribution, found without importing it."""
        return {name: importlib.metadata.version(name) for name in self.requires}


class NumpyArrays(Backend):
    """A backend whose arrays are NumPy's and that has no optimizer: all but `_native` is here."""

    requires: ClassVar[tuple[str, ...]] = ("numpy",)
    # Nothing records through NumPy arrays: a derivative of a derivative would come out as zero.
    nestable = False

    def open(self) -> None:
        self.xp = np
        # Once so large a block was freed, the GNU allocator keeps smaller ones for reuse. Our engine asks for the same
        # (`keep_freed_memory`): what is compared is not the allocator.
        np.empty(31 << 20, np.int8)

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        return np.array(array, dtype=dtype)

    def to_numpy(self, var: Var) -> NDArray[Any]:
        return np.array(var)

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args: Var) -> Any:
            found = self.prepare(Operator.GRADIENT, f, args, argnums=wanted)(*args)
            return found[0] if isinstance(argnums, int) else found

        return gradient

    def step(self, *_: Any, **__: Any) -> tuple[tuple[Var, ...], Any]:
        raise Unsupported(f"{self.name} has no optimizer of its own")

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(self.xp, f, init, xs)

    def block(self, out: Any) -> Any:
        return out
