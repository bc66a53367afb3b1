"""All products of a sparse Jacobian in one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from autodiff_compare.backends.sparsity.colouring import Compression

Product = Callable[..., Any]


def entries(plan: Compression, product: Product, n: int, at_once: bool) -> Product:
    """Return a function of ``(*args, *seeds, *index)`` that computes the entries of the Jacobian.

    Parameters
    ----------
    plan
        The products to compute.
    product
        One product: ``product(*args, *directions)``.
    n
        The number of ``args``.
    at_once
        Whether to batch the products by `tf.vectorized_map`, which lacks rules for some operations. Otherwise they are
        unrolled in the graph.
    """
    k = len(plan.colours)
    many = tf.vectorized_map if at_once else _unrolled

    def read(*given: Any) -> tuple[Any, ...]:
        args, seeds, index = given[:n], given[n : n + k], given[n + k :]
        found = many(lambda seed: product(*args, *seed), tuple(seeds))
        parts = zip(plan.sources(found), index, strict=True)
        return tuple(tf.gather(tf.reshape(part, (-1,)), at) for part, at in parts)

    return read


def _unrolled(product: Product, seeds: Sequence[Any]) -> Any:
    rows = zip(*(tf.unstack(seed) for seed in seeds), strict=True)
    return tf.nest.map_structure(lambda *parts: tf.stack(parts), *(product(row) for row in rows))
