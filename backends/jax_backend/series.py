"""Taylor series of JAX: by ``jax.experimental.jet``, or by ``jax.jvp`` within itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff_compare.backends.operators.objective import Function, Prepared, Unsupported, Var
from autodiff_compare.backends.operators.orders import closed
from autodiff_compare.backends.operators.series import nested


def taylor(jax: Any, f: Function, argnums: Sequence[int], n: int, degree: int, way: str) -> Prepared:
    """Return ``taylor``; ``way`` is ``"nested"``, or anything else for jet."""
    return nested(jax, f, argnums, n, degree) if way == "nested" else _by_jet(jax, f, tuple(argnums), n, degree)


def _by_jet(jax: Any, f: Function, argnums: tuple[int, ...], n: int, degree: int) -> Prepared:
    """Return the terms of jet, which are derivatives: its series are ``sum_k term_k t^k / k!``."""
    import jax.extend.core
    from jax.experimental import jet

    transform: Any = jet.jet

    def series(*given: Var) -> tuple[Var, ...]:
        xs = tuple(given[i] for i in argnums)
        terms = [[tangent, *[jax.numpy.zeros_like(tangent)] * (degree - 1)] for tangent in given[n:]]
        try:
            value, found = transform(closed(f, given[:n], argnums), xs, terms)
        except NotImplementedError as error:
            raise Unsupported(f"jax.experimental.jet: {error}: use jax:nested") from error
        except KeyError as error:
            # jet looks its rules up by primitive, and says no more of one that it lacks.
            if not isinstance(error.args[0], jax.extend.core.Primitive):
                raise
            raise Unsupported(f"jax.experimental.jet has no rule for {error.args[0]}: use jax:nested") from error
        return tuple(jax.numpy.broadcast_to(jax.numpy.asarray(term, value.dtype), value.shape) for term in found)

    return series


def second_along(jax: Any, series: Prepared, n: int) -> Prepared:
    """Return the second derivatives along several directions, vectorised."""
    return lambda *given: jax.vmap(lambda *row: series(*given[:n], *row)[1])(*given[n:])
