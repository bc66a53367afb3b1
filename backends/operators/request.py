"""The request to prepare an operator, and the members of a backend that derived operators are built from.

`Backend.prepare` makes one `Request` from its arguments. An adapter receives it in ``_native``; the rules of
`autodiff_compare.backends.operators.derived` receive it together with a `BackendLike`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from autodiff_compare.backends.operators.objective import Function, Objective, Prepared, Var, bare
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.vocabulary import OF_HESSIAN, SAMPLED, TAYLOR_DEGREE, Operator, Optimizer, directed

#: Operators that are defined for functions with a scalar output alone.
SCALAR_ONLY = frozenset(
    {
        Operator.GRADIENT,
        Operator.VALUE_AND_GRADIENT,
        Operator.HVP,
        Operator.HESSIAN,
        Operator.VALUE_GRADIENT_HESSIAN,
        Operator.GRADIENT_BATCH,
        Operator.HVP_BATCH,
        *OF_HESSIAN,
    }
)


@dataclass(frozen=True, eq=False)
class Request:
    """An operator to prepare: of which function, for which arguments.

    Parameters
    ----------
    operator
        The operator.
    f
        The function, often an `Objective`. An adapter traces ``function``, which is the callable inside.
    args
        Example arguments, arrays of the backend. Only their shapes and dtypes may enter the prepared callable,
        never their values: the callable is later judged and timed at another point.
    argnums
        Positions of the differentiated arguments. The other arguments are data.
    directions
        Example tangents for ``jvp`` and ``hvp`` (one per ``argnums``, shaped like that argument), one example cotangent
        for ``vjp`` (shaped like the output). Empty for other operators, and where the caller gave none. A batch of
        products has several of them along a new first axis, and must be given them: their number is prepared.
    optimizer
        The update rule of ``step``; `None` for other operators.
    degree
        The highest derivative of ``taylor``.
    """

    operator: Operator
    f: Function
    args: Sequence[Var]
    argnums: tuple[int, ...] = (0,)
    directions: Sequence[Var] = ()
    optimizer: Optimizer | None = None
    degree: int = TAYLOR_DEGREE

    @property
    def function(self) -> Function:
        """The callable to trace: ``f`` itself, or the function inside an `Objective`."""
        return bare(self.f)

    @property
    def inputs(self) -> tuple[Var, ...]:
        """The differentiated arguments, in the order of ``argnums``."""
        return tuple(self.args[i] for i in self.argnums)

    def directions_like(self, output: Any) -> tuple[Any, ...]:
        """Return arrays with the shapes and dtypes of the directions, for a function whose output is like ``output``.

        These are the differentiated arguments for ``jvp`` and ``hvp``, the output for ``vjp``, and nothing otherwise.
        """
        takes = directed(self.operator)
        if takes in (Operator.JVP, Operator.HVP):
            return self.inputs
        return (output,) if takes is Operator.VJP else ()

    @property
    def samples(self) -> tuple[int, ...]:
        """The positions of the arguments whose leading axis counts samples."""
        return self.f.samples if isinstance(self.f, Objective) else ()

    def rows(self) -> int:
        """Return the number of rows of a batch: of its directions, or of its samples.

        Raises
        ------
        ValueError
            If they are missing, or their numbers differ.
        """
        sampled = self.operator in SAMPLED
        arrays = [self.args[i] for i in self.samples] if sampled else list(self.directions)
        if not arrays:
            missing = "Objective(f, samples=(1,)), the arguments with one sample in each row"
            expected = missing if sampled else "directions=..., several along a new first axis of each"
            raise ValueError(f"got {self.operator} without rows, expected {expected}")
        lengths = {tuple(a.shape)[:1] for a in arrays}
        if len(lengths) > 1 or () in lengths or (0,) in lengths:
            shapes = ", ".join(str(tuple(a.shape)) for a in arrays)
            raise ValueError(f"got rows of {self.operator} of shapes {shapes}, expected one length of 1 or more")
        return int(arrays[0].shape[0])

    def sample(self, args: Sequence[Var], row: int) -> list[Var]:
        """Return the arguments of one sample: its row alone, as a leading axis of length 1."""
        return [a[row : row + 1, ...] if i in self.samples else a for i, a in enumerate(args)]

    def require_scalar(self, shape: Sequence[int]) -> None:
        """Reject an output of this shape if the operator is defined for scalar functions alone.

        Raises
        ------
        ValueError
            If it is, and ``shape`` is not ``()``.
        """
        if self.operator in SCALAR_ONLY and tuple(shape) != ():
            raise ValueError(
                f"got a function with an output of shape {tuple(shape)}, expected a scalar of shape ():"
                f" sum it, or ask for vjp or jacobian instead of {self.operator}"
            )


class BackendLike(Protocol):
    """The members of `autodiff_compare.backends.interface.Backend` that derived operators use.

    A protocol, so that `autodiff_compare.backends.operators.derived` does not import the interface, which imports it.
    """

    name: ClassVar[str]
    native: ClassVar[frozenset[Operator]]
    nestable: ClassVar[bool]
    xp: Any

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var: ...

    def to_numpy(self, var: Var) -> NDArray[Any]: ...

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]: ...

    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]: ...

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
    ) -> Prepared: ...

    def compressed(self, request: Request, plan: Compression) -> Prepared: ...


def require_parameters(cls: type, name: str, taken: tuple[str, ...]) -> None:
    """Reject a method of an adapter that does not accept the parameters of the contract.

    In version 0.1 these methods took ``operator``, ``f``, ``args``, ``argnums`` and ``directions`` one by one. Without
    this check, an adapter written for that version would fail only when called, with a count of missing arguments.

    Raises
    ------
    TypeError
        With the signature that was found, the one that is expected, and where the former parameters are now.
    """
    method = inspect.signature(getattr(cls, name))
    try:
        method.bind("self", *taken)
    except TypeError as error:
        raise TypeError(
            f"got {cls.__name__}.{name}{method}, expected {name}(self, {', '.join(taken)}):"
            " operator, f, args, argnums and directions are attributes of the request"
        ) from error
