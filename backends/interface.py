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
sparse_hessian      none                     tuple of vectors: the entries of the rows of each ``x_i``, in CSR order
hessian_diagonal    none                     tuple of arrays shaped like ``x_i``
laplacian           none                     the trace of the Hessian
laplacian_estimate  k tangents per argnum    ``(estimate, half width)``: mean of ``t H t``, and its 95 % interval
taylor              one tangent per argnum   tuple: the derivatives of the orders 1, 2, ... along the tangents
step                none                     tuple: the parameters after one optimizer update
==================  =======================  ==============================================================

Two kinds of operators are made of these. An operator of `vocabulary.PARTS`, such as ``value_gradient_hessian``, takes
the directions of its parts and returns a tuple of their results, with the same bits. A batch, of
`vocabulary.BATCHES`, returns the results of one operator along a new first axis of each array. ``jvp_batch``,
``vjp_batch`` and ``hvp_batch`` take several directions along a new first axis. ``gradient_batch`` and
``jacobian_batch`` take none: their rows belong to the samples, the rows of the arguments in `Objective.samples`.

A derivative has the dtype of the input or output that it belongs to. An input on which the output does not depend has
the derivative zero. A callable changes none of its arguments and may be called any number of times. For complex numbers
see `autodiff_compare.backends.operators.complex_numbers`.

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
   `autodiff_compare.backends.operators.derived`.
2. Import the framework in ``open()`` only, and set ``xp`` there: functions of the array API standard 2024.12 on the
   framework's arrays. A missing one makes the problems that use it unsupported, nothing more; `Absent` gives a reason
   of your own. ``compare.py conformance --needed`` lists the names by the number of problems that use them.
3. Implement the abstract methods. Raise `Unsupported` with a reason wherever the system lacks a capability.
4. Run ``compare.py conformance NAME`` or ``compare.py conformance ./my_backend.py``: it tries every clause of this
   contract and says how to repair a broken one.
5. A backend that needs more than one file is a folder ``backends/<name>_backend/``; its ``adapter.py`` holds the class.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends import plain_namespace
from autodiff_compare.backends.declarations import LOOP, Reports
from autodiff_compare.backends.default_dtype import in_cells
from autodiff_compare.backends.loops import python_scan, python_while
from autodiff_compare.backends.operators.complex_numbers import has_complex, require_defined
from autodiff_compare.backends.operators.derived import derive
from autodiff_compare.backends.operators.implicit import Solutions
from autodiff_compare.backends.operators.objective import (
    Absent,
    Expanded,
    Function,
    Objective,
    Prepared,
    Unsupported,
    Var,
    bare,
)
from autodiff_compare.backends.operators.request import Request, require_parameters
from autodiff_compare.backends.operators.sparse_jacobian import one_by_one
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.vocabulary import (
    OF_HESSIAN,
    ORDERS,
    SECOND_ORDER,
    TAYLOR_DEGREE,
    How,
    Operator,
    Optimizer,
)

#: All that an adapter imports from the contract.
__all__ = [
    "LOOP", "Absent", "Backend", "Compression", "Expanded", "Function", "NumpyArrays", "Objective", "Prepared",
    "Request", "Unsupported", "Var", "bare", "python_scan", "python_while",
]  # fmt: skip


class Backend(Reports, Solutions, abc.ABC):
    """One automatic differentiation system behind the neutral interface.

    `Declarations` are the class attributes that an adapter sets. Creating an instance imports no framework. Until
    `open` was called, only these attributes, ``spec`` and `versions` may be used.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, taken in (("_native", ("request",)), ("compressed", ("request", "plan"))):
            require_parameters(cls, name, taken)

    @abc.abstractmethod
    def open(self) -> None:
        """Import and configure the framework, and set ``xp``. No other method imports the framework.

        Raises
        ------
        Unsupported
            If the framework cannot run here, for instance if it finds no GPU for ``device == "gpu"``.
        """

    @abc.abstractmethod
    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        """Copy an array into a new variable of the same shape, and of the same dtype unless ``dtype`` is given.

        ``array`` is a NumPy array, anything that `numpy.array` accepts, or a variable.
        """

    @abc.abstractmethod
    def to_numpy(self, var: Var) -> NDArray[Any]:
        """Copy a variable into a NumPy array of the same shape and dtype."""

    @abc.abstractmethod
    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        """Return the gradient function of a scalar function, itself differentiable if the backend is ``nestable``.

        Returns
        -------
        Callable
            ``g(*vars)``: one array for an integer ``argnums``, a tuple of arrays for a sequence.
        """

    @abc.abstractmethod
    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]:
        """Make one update by the framework's own optimizer.

        Parameters
        ----------
        optimizer
            The rule and its hyper-parameters; `vocabulary.Optimizer` defines them.
        params, grads
            Arrays of equal shapes and dtypes, one per parameter. They are not changed.
        state
            `None` in the first call, then the state that the previous call returned. A state may be used once.

        Returns
        -------
        tuple
            The new parameters, shaped like ``params``, and the new state, which only the backend can read.

        Raises
        ------
        Unsupported
            If the framework has no such optimizer.
        """

    @abc.abstractmethod
    def _native(self, request: Request) -> Prepared:
        """Prepare an operator in ``native``: trace or compile ``request.function``, and return the bare callable.

        Raises
        ------
        Unsupported
            If the framework cannot apply this operator to this function.
        ValueError
            If the operator needs a scalar function and this one is not: `Request.require_scalar`.
        """

    @abc.abstractmethod
    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        """Run ``carry, y = f(carry, x)`` over the leading axis of ``xs``, differentiably.

        `autodiff_compare.backends.loops.python_scan` describes parameters and result, and is an implementation for any
        ``xp``.
        """

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        """Repeat ``state = body(state)`` while ``cond(state)``, at most ``limit`` times; return the last state.

        ``state`` is an array or a tuple of arrays of constant shapes and dtypes. Derivatives go through the rounds that
        were run. The default is a Python loop.

        Raises
        ------
        Unsupported
            If the backend cannot record a loop whose length depends on data.
        """
        return python_while(cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """Return ``x -> gradient`` of a scalar function of one array, for use inside an objective.

        The result can be differentiated again in either mode, as deep as the backend allows. Forward mode takes one
        directional derivative per entry of ``x``.

        Raises
        ------
        Unsupported
            If the backend has no such mode.
        """
        if mode == "forward":
            raise Unsupported(f"{self.spec} has no forward mode to use inside a function")
        gradient: Function = self.grad(f)
        return gradient

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """Return ``x -> (value, gradient)``; the gradient is that of `derivative`. By default computed in turn."""
        function, derivative = bare(f), self.derivative(f, mode)
        return lambda x: (function(x), derivative(x))

    def stop_gradient(self, x: Var) -> Var:  # noqa: ARG002 - no adapter need have it
        """Return ``x`` as a constant: the value, with the derivative zero.

        Raises
        ------
        Unsupported
            By default.
        """
        raise Unsupported(f"{self.spec} has no stop_gradient")

    def own_array(self, var: Var) -> Any:
        """Return the framework's own array of a variable, which a prepared callable takes at no further cost.

        By default it is the variable itself. An adapter whose variables wrap the framework's arrays overrides this and
        `on_variables`; its prepared callables take both.
        """
        return var

    def on_variables(self, f: Function) -> Function:
        """Return a function of the framework's own arrays as one of variables: by default ``f`` itself."""
        return f

    @final
    def implementation(self, native: Mapping[str, Function], neutral: Function | None) -> Function:
        """Return the function that a user wrote for this backend, found by ``spec`` or ``name``; else ``neutral``.

        Raises
        ------
        Unsupported
            If there is neither.
        """
        found = native.get(self.spec, native.get(self.name))
        if found is not None:
            return self.on_variables(found)
        if neutral is None:
            raise Unsupported(f"OBJECTIVES has no function for {self.name}: add one under {self.name!r}")
        return neutral

    @abc.abstractmethod
    def block(self, out: Any) -> Any:
        """Wait until ``out``, an array or a nested tuple of arrays, has been computed; return it."""

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
        degree: int = TAYLOR_DEGREE,
    ) -> Callable[..., Any]:
        """Trace or compile ``operator`` of ``f`` for arguments like ``args``; return a bare callable.

        `Request` describes the parameters, and the table at the top of this module the callable.

        Raises
        ------
        Unsupported
            If this backend cannot apply the operator to this function, natively or derived.
        """
        if self.order and operator in SECOND_ORDER and self.order not in self.orders:
            offered = ", ".join(o for o in ORDERS if o in self.orders) or "no choice of order"
            raise Unsupported(f"{self.name} has no second derivatives by {ORDERS[self.order]}; it offers: {offered}")
        request = Request(operator, f, args, tuple(argnums), directions, optimizer, degree)
        if self.complex_numbers and has_complex(request):
            require_defined(self, request)
        if self.how(operator) is How.NATIVE:
            return self._native(request)
        return derive(self, request)

    def compressed(self, request: Request, plan: Compression) -> Prepared:
        """Prepare ``sparse_jacobian`` from the products that ``plan`` lists.

        The default takes one product after the other. An adapter whose framework can batch them overrides this.
        """
        return one_by_one(self, request, plan)

    @final
    def how(self, operator: Operator) -> How:
        """Return whether `prepare` uses the framework's own operator or derives it from others."""
        derived = operator in self.deriving.get(self.variant, ())
        return How.NATIVE if operator in self.native and not derived else How.DERIVED

    @final
    def order_of(self, operator: Operator) -> str:
        """Return the key of `vocabulary.ORDERS` to use for a second-order operator; empty for other operators."""
        return (self.order or self.modes.get(operator, "")) if operator in SECOND_ORDER else ""

    def mode(self, operator: Operator) -> str:
        """Return the order of modes, in words, that the last preparation of ``operator`` used; empty if unknown."""
        return ORDERS.get(self.order_of(Operator.HVP if operator in OF_HESSIAN else operator), "")

    def minimiser(
        self, optimizer: Optimizer, f: Function, args: Sequence[Var], argnums: Sequence[int] = (0,)
    ) -> Callable[[Sequence[Var], Any], tuple[Var, tuple[Var, ...], Any]]:
        """Return ``update(args, state) -> (loss, params, state)``, one step of minimising ``f``.

        The loss is that at ``args``; ``state`` is as in `step`. The default is made of `prepare` and `step`. An adapter
        whose framework has a ``minimize(callable)`` or ``step(closure)`` of its own overrides this.
        """
        argnums = tuple(argnums)
        both = self.prepare(Operator.VALUE_AND_GRADIENT, f, args, argnums=argnums)

        def update(args: Sequence[Var], state: Any) -> tuple[Var, tuple[Var, ...], Any]:
            loss, grads = both(*args)
            params, state = self.step(optimizer, [args[i] for i in argnums], grads, state)
            return loss, params, state

        return update


class NumpyArrays(Backend):
    """A backend whose variables are NumPy arrays and that has no optimizer: a subclass implements only `_native`."""

    requires: ClassVar[tuple[str, ...]] = ("numpy",)
    # A gradient on plain NumPy arrays records nothing, so that differentiating it again would give zero.
    nestable = False

    def open(self) -> None:
        self.xp = in_cells(plain_namespace)
        # Once a block of this size was freed, the GNU allocator keeps smaller blocks for reuse. Our engine does so too
        # (`keep_freed_memory`), so that timings do not compare allocators.
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

    def stop_gradient(self, x: Var) -> Var:
        return x

    def step(self, *_: Any, **__: Any) -> tuple[tuple[Var, ...], Any]:
        raise Unsupported(f"{self.name} has no optimizer of its own")

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(self.xp, f, init, xs)

    def block(self, out: Any) -> Any:
        return out
