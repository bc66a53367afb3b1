"""One function, written by hand for two frameworks: each runs on its own arrays, and is judged against the other."""


def in_torch(x):
    import torch

    return torch.sum(torch.sin(x) ** 2)


def in_jax(x):
    import jax.numpy as jnp

    return jnp.sum(jnp.sin(x) ** 2)


OBJECTIVES = {"torch": in_torch, "jax": in_jax}
x = [1.0, 2.0, 0.0]
