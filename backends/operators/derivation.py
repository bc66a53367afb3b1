"""The derivation of an operator from others: the request, the steps that rules share, and the form of a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.backends.operators.objective import Function, Prepared, Var
from autodiff_compare.backends.operators.request import BackendLike, Request
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Derivation:
    """A request to be answered by other operators of a backend, and the steps that several rules share."""

    backend: BackendLike
    request: Request

    def prepare(self, operator: Operator, directions: Sequence[Var] = ()) -> Prepared:
        """Prepare another operator of the same function."""
        r = self.request
        return self.backend.prepare(operator, r.f, r.args, argnums=r.argnums, directions=directions)

    def gradient_of(self, f: Function) -> Prepared:
        """Prepare the gradient of a function that takes the arguments and the directions as its arguments."""
        r = self.request
        return self.backend.prepare(Operator.GRADIENT, f, [*r.args, *r.directions], argnums=r.argnums)

    def output(self) -> Var:
        """Compute the function once, for the shape and dtype of its output."""
        return self.backend.prepare(Operator.VALUE, self.request.f, self.request.args)(*self.request.args)

    def scalar_output(self) -> Var:
        """Compute the function once and reject an output that is not a scalar."""
        output = self.output()
        self.request.require_scalar(output.shape)
        return output

    def units(self, like: Var) -> list[Var]:
        """Return the unit arrays of the space of arrays shaped like ``like``, in C order."""
        array = self.backend.to_numpy(like)
        basis = np.eye(array.size, dtype=array.dtype).reshape(array.size, *array.shape)
        return [self.backend.to_var(row) for row in basis]

    def zeros(self) -> list[Var]:
        """Return zeros shaped like the differentiated inputs."""
        return [self.backend.to_var(np.zeros_like(self.backend.to_numpy(x))) for x in self.request.inputs]

    def input_units(self) -> list[list[list[Var]]]:
        """Return, per differentiated input, the list of its unit directions (zero in the other inputs)."""
        zeros = self.zeros()
        return [
            [[*zeros[:k], unit, *zeros[k + 1 :]] for unit in self.units(x)] for k, x in enumerate(self.request.inputs)
        ]

    def stacked(self, parts: Sequence[Var], shape: tuple[int, ...], like: Var, *, axis: int = 0) -> Var:
        """Stack ``parts`` along one axis and reshape; where there are none, return zeros with the dtype of ``like``."""
        xp = self.backend.xp
        if not parts:
            return self.backend.to_var(np.zeros(shape, dtype=self.backend.to_numpy(like).dtype))
        return xp.reshape(xp.stack(list(parts), axis=axis), shape)

    def split(self, given: Sequence[Var]) -> tuple[Sequence[Var], Sequence[Var]]:
        """Separate the arguments of a prepared callable into the function's arguments and the directions."""
        return given[: len(self.request.args)], given[len(self.request.args) :]


@dataclass(frozen=True)
class Rule:
    """One way to derive an operator.

    Parameters
    ----------
    gives, needs
        The derived operator, and the operators that it is built from.
    build
        Returns the prepared callable.
    nests
        Whether the rule differentiates the backend's own gradient.
    """

    gives: Operator
    needs: frozenset[Operator]
    build: Callable[[Derivation], Prepared]
    nests: bool = False
