"""Many products of one function in one graph: what a compressed Jacobian is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from autodiff_compare.backends.sparsity.colouring import Compression

Product = Callable[..., Any]


def entries(plan: Compression, product: Product, n: int, at_once: bool) -> Product:
    """The entries that ``plan`` finds, of ``(*args, *seeds, *index)``.

    Parameters
    ----------
    plan, product
        Which products, and one of them: ``product(*args, *directions)``.
    n
        How many arguments there are.
    at_once
        By `tf.vectorized_map`, which does not know every operation; else one beside the other in the graph.
    """
    k = len(plan.colours)
    many = tf.vectorized_map if at_once else _side_by_side

    def read(*given: Any) -> tuple[Any, ...]:
        args, seeds, index = given[:n], given[n : n + k], given[n + k :]
        found = many(lambda seed: product(*args, *seed), tuple(seeds))
        parts = zip(plan.sources(found), index, strict=True)
        return tuple(tf.gather(tf.reshape(part, (-1,)), at) for part, at in parts)

    return read


def _side_by_side(product: Product, seeds: Sequence[Any]) -> Any:
    rows = zip(*(tf.unstack(seed) for seed in seeds), strict=True)
    return tf.nest.map_structure(lambda *parts: tf.stack(parts), *(product(row) for row in rows))
