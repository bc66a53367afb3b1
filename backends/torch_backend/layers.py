"""Gradients of single samples from the layers of a model, by one backward sweep: the variant ``torch:hooks``.

Let a layer compute ``y_b = h_b W`` for each sample b. If no operation mixes samples, the gradient of the loss of
sample b by W is ``h_b^T g_b``, where g_b is the slope of the total loss by y_b: one sweep gives the g of all samples
(Goodfellow 2015, "Efficient per-example gradient computations"; Opacus computes them so). For ``y_b + w`` it is g_b,
for ``y_b * w`` it is ``y_b g_b``, summed over the axes along which w is repeated.

The function is run on all samples under a mode that sees each call of torch. A call with a parameter is a layer if it
is one of these products and sums of an array of samples and the parameter. Others have no gradient of this form, and
are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.objective import Prepared, Unsupported, Var
from autodiff_compare.backends.torch_backend.eager import Task

#: The gradients of all samples by the parameter of a layer, from the array of samples and the slope of the result.
_Rule = Callable[[Var, Var, Var], Var]

#: What torch calls a layer -> the name of the layer; the parameter is its second argument.
_CALLS = MappingProxyType(
    {
        **dict.fromkeys(("matmul", "__matmul__", "mm", "mv"), "matmul"),
        **dict.fromkeys(("add", "__add__", "__radd__"), "add"),
        **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__"), "multiply"),
        **dict.fromkeys(("sub", "subtract", "__sub__"), "subtract"),
    }
)


def by_layers(task: Task, example: Sequence[Var]) -> Prepared:
    """Return the gradients of all samples by the layers of the function.

    Parameters
    ----------
    task, example
        The function of any number of samples, and example arguments.

    Raises
    ------
    Unsupported
        If a parameter is used outside of a layer, if samples are differentiated, or if the function of all samples is
        neither the sum nor the mean of those of single ones.
    """
    if set(task.samples) & set(task.argnums):
        raise Unsupported("torch:hooks has gradients of parameters, and the differentiated arguments hold samples")
    count = example[task.samples[0]].shape[0]
    rows = [[a[k : k + 1] if i in task.samples else a for i, a in enumerate(example)] for k in range(count)]
    _swept(task, example, mean=False)  # what is no layer is named first
    mean = _is_mean(task, example, rows)

    def gradients(*args: Var) -> tuple[Var, ...]:
        return _swept(task, args, mean=mean)

    found = gradients(*example)
    for k in (0, count - 1):
        out, leaves = task.record(rows[k])
        alone = task.torch.autograd.grad(out, leaves, allow_unused=True, materialize_grads=True)
        if not all(_near(task, g[k], one) for g, one in zip(found, alone, strict=True)):
            raise Unsupported(
                "torch:hooks differentiates layers that treat each sample alone; this function mixes them"
            )
    return gradients


def _is_mean(task: Task, example: Sequence[Var], rows: Sequence[Sequence[Var]]) -> bool:
    """Return whether the function of all samples is the mean of those of single samples, and not their sum."""
    torch = task.torch
    with torch.no_grad():
        total, each = task.f(*example), torch.stack([task.f(*row) for row in rows])
    size = torch.sum(torch.abs(each))
    for mean, expected in ((True, torch.mean(each)), (False, torch.sum(each))):
        if torch.abs(total - expected) <= 8 * len(rows) * torch.finfo(each.dtype).eps * size:
            return mean
    raise Unsupported(
        "torch:hooks needs a function of all samples that is the mean or the sum of those of single samples"
    )


def _near(task: Task, a: Var, b: Var) -> bool:
    """Return whether two gradients agree in half of their digits: rounding is judged elsewhere."""
    torch = task.torch
    return bool(torch.linalg.vector_norm(a - b) <= torch.finfo(b.dtype).eps ** 0.5 * torch.linalg.vector_norm(b))


def _swept(task: Task, args: Sequence[Var], *, mean: bool) -> tuple[Var, ...]:
    """Return the gradients of all samples by one sweep from the total to the results of all layers."""
    torch, count = task.torch, args[task.samples[0]].shape[0]
    inputs, parameters = list(args), []
    for i in task.argnums:
        # An alias of its own: two parameters may be one tensor.
        inputs[i] = args[i].detach().view_as(args[i])
        parameters.append(inputs[i])
    layers = _Layers(torch, {id(p): k for k, p in enumerate(parameters)}, count)
    with torch.enable_grad(), layers.mode():
        total = task.f(*inputs)
    found = [torch.zeros((count, *p.shape), dtype=p.dtype, device=p.device) for p in parameters]
    outputs = [out for _, _, _, out in layers.found]
    if not outputs or not total.requires_grad:
        return tuple(found)
    slopes = torch.autograd.grad(total * count if mean else total, outputs, allow_unused=True)
    with torch.no_grad():
        for (k, rule, samples, _), slope in zip(layers.found, slopes, strict=True):
            if slope is not None:
                found[k] = found[k] + rule(samples, slope, parameters[k])
    return tuple(found)


class _Layers:
    """The layers that a run of the function comes by.

    Attributes
    ----------
    found
        For each layer the number of its parameter, its rule, its array of samples and its result.
    """

    def __init__(self, torch: Any, numbers: Mapping[int, int], count: int) -> None:
        self._torch, self._numbers, self._count = torch, numbers, count
        self.found: list[tuple[int, _Rule, Var, Var]] = []

    def mode(self) -> Any:
        """Return the context manager under which each call of torch is seen."""
        layers = self

        class Seen(self._torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
            def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                return layers.call(function, args, kwargs or {})

        return Seen()

    def call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Make a call, as a layer if a parameter is among its arguments."""
        at = [i for i, a in enumerate(args) if id(a) in self._numbers]
        if not at and not any(id(a) in self._numbers for part in (*args, *kwargs.values()) for a in _members(part)):
            return function(*args, **kwargs)
        name = str(getattr(function, "__name__", function))
        if name == "__get__":
            name = str(getattr(getattr(function, "__self__", None), "__name__", name))
        layer = _CALLS.get(name, "")
        both = list(args[:2])
        if layer in ("add", "multiply") and at == [0]:
            both.reverse()
        if layer and not kwargs and len(args) == 2 and len(at) == 1 and (at == [1] or both[1] is args[0]):
            samples, parameter = both
            if self._fits(layer, samples, parameter):
                return self._layer(layer, function, args, samples, parameter)
        out = function(*args, **kwargs)
        if isinstance(out, self._torch.Tensor):
            raise Unsupported(
                f"torch:hooks differentiates parameters of layers x @ W, x + w, x - w and x * w, with samples along the"
                f" first axis of x; parameter {self._used(args, kwargs)} is used by {name}: use torch"
            )
        return out

    def _used(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        every = (a for part in (*args, *kwargs.values()) for a in (part, *_members(part)))
        return next(self._numbers[id(a)] for a in every if id(a) in self._numbers)

    def _fits(self, layer: str, samples: Any, parameter: Var) -> bool:
        """Return whether an argument has one sample in each row, to each of which the parameter is applied."""
        if not isinstance(samples, self._torch.Tensor) or samples.shape[:1] != (self._count,):
            return False
        if layer == "matmul":
            return parameter.ndim in (1, 2) and samples.ndim >= 2
        return bool(parameter.ndim < samples.ndim)

    def _layer(
        self, layer: str, function: Callable[..., Any], args: Sequence[Any], samples: Var, parameter: Var
    ) -> Var:
        out = function(*args)
        out = out if out.requires_grad else out.detach().requires_grad_()
        rule = partial(_of_matrix, self._torch) if layer == "matmul" else _RULES[layer]
        self.found.append((self._numbers[id(parameter)], rule, samples.detach(), out))
        return out


def _members(part: Any) -> Sequence[Any]:
    return part if isinstance(part, (list, tuple)) else ()


def _of_matrix(torch: Any, samples: Var, slope: Var, parameter: Var) -> Var:
    if parameter.ndim == 1:
        return torch.einsum("b...i,b...->bi", samples, slope)
    return torch.einsum("b...i,b...o->bio", samples, slope)


def _summed(slope: Var, parameter: Var) -> Var:
    """Sum over the axes along which a parameter is repeated within a sample."""
    lead = slope.ndim - 1 - parameter.ndim
    axes = [*range(1, 1 + lead)]
    axes += [1 + lead + i for i, n in enumerate(parameter.shape) if n == 1]
    found = slope.sum(axes) if axes else slope
    return found.reshape((slope.shape[0], *parameter.shape))


_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "add": lambda _, slope, parameter: _summed(slope, parameter),
        "subtract": lambda _, slope, parameter: -_summed(slope, parameter),
        "multiply": lambda samples, slope, parameter: _summed(samples * slope, parameter),
    }
)
