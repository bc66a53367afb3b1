"""How a PyTorch user spells the questions of ``problems/tape.py``: source text, imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

IDIOMS: Mapping[str, str] = MappingProxyType(
    {
        "value": """
            x = torch.tensor(5.0)
            y = x**2 - 2 * x + 1
            answer = y
        """,
        "gradient": """
            x = torch.tensor(5.0, requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward()
            answer = x.grad
        """,
        "intermediate_dropped": """
            x = torch.tensor(5.0, requires_grad=True)
            z = 2 * x
            y = x**2 - z + 1
            y.backward()
            answer = z.grad
        """,
        "intermediate_retained": """
            x = torch.tensor(5.0, requires_grad=True)
            z = 2 * x
            z.retain_grad()
            y = x**2 - z + 1
            y.backward()
            answer = z.grad
        """,
        "seed_ones": """
            x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward(torch.ones_like(y))
            answer = x.grad
        """,
        "seed_rows": """
            x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward(torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
            answer = x.grad
        """,
        "no_seed": """
            x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward()
            answer = x.grad
        """,
        "second_derivative": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (ddx,) = torch.autograd.grad(dx, x)
            answer = [dx, ddx]
        """,
        "third_derivative": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (ddx,) = torch.autograd.grad(dx, x, create_graph=True)
            (answer,) = torch.autograd.grad(ddx, x)
        """,
        "accumulates": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (x**3).backward()
            dx.backward()
            answer = x.grad
        """,
        "cleared": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (x**3).backward()
            x.grad = None
            dx.backward()
            answer = x.grad
        """,
        "recording_kept": """
            x = torch.tensor(5.0, requires_grad=True)
            y = x**3
            y.backward(retain_graph=True)
            first = x.grad
            x.grad = None
            y.backward()
            answer = [first, x.grad]
        """,
        "unused_input": """
            a = torch.tensor(5.0, requires_grad=True)
            b = torch.tensor(2.0, requires_grad=True)
            y = a**2
            y.backward()
            answer = b.grad
        """,
        "integer_input": """
            x = torch.tensor(5, requires_grad=True)
            y = x**2
            y.backward()
            answer = x.grad
        """,
    }
)
