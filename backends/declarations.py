"""What an adapter declares of its system, as class attributes, and what an opened backend reports of its framework.

No framework is imported to read the class attributes.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from autodiff_compare.backends.default_dtype import with_default_dtype
from autodiff_compare.backends.operators.orders import split_variant
from autodiff_compare.vocabulary import BATCHES, DTYPES, ORDERS, PARTS, Operator

#: Name of the variant that computes the rows of a batch one after the other.
LOOP = "loop"


class Declarations:
    """The properties of a backend, and the variant that was chosen of it.

    Parameters
    ----------
    variant
        A key of ``variants``; an order of modes for second derivatives, ``"fr"`` or ``"forward_over_reverse"``; or
        both, ``"eager:fr"``. ``""`` is the default way to run this backend.

    Raises
    ------
    ValueError
        If this backend has no such variant.
    """

    #: The name on the command line and in the tables: an identifier, the same as in the adapter's file name.
    name: ClassVar[str]
    #: The distributions that must be installed, as pip names them.
    requires: ClassVar[tuple[str, ...]]
    #: Variant -> one line about it for ``compare.py list``.
    variants: ClassVar[Mapping[str, str]] = MappingProxyType({"": "default"})
    #: The operators that `_native` prepares; `prepare` derives the others.
    native: ClassVar[frozenset[Operator]]
    #: Second-order operator -> key of `vocabulary.ORDERS`: the order of modes that is used by default.
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType({})
    #: Variant -> the operators in which it differs from the default: a run computes no others with it.
    limited: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType({})
    #: Variant -> the operators in ``native`` that it derives all the same.
    deriving: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType({LOOP: frozenset(BATCHES)})
    #: Keys of `vocabulary.ORDERS` that a user may choose for second derivatives; `_native` then heeds `order_of`.
    orders: ClassVar[frozenset[str]] = frozenset()
    #: The devices it can compute on. The attribute ``device`` is set to one of them before `open` is called.
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    #: The floating dtypes of `vocabulary.DTYPES` and `vocabulary.HALF_DTYPES` that it computes in.
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    #: Whether it differentiates functions of complex numbers in the convention of `operators.complex_numbers`.
    complex_numbers: ClassVar[bool] = False
    #: Operator -> how the framework's own result for complex numbers is brought to that convention.
    conversions: ClassVar[Mapping[Operator, str]] = MappingProxyType({})
    #: Seconds that `open` takes, roughly. Where frameworks are imported side by side, the slowest is begun first.
    import_s: ClassVar[float] = 1.0
    #: Packages that the framework does not require, and imports if they happen to be installed: a worker imports it
    #: without them. A user's file may import them afterwards.
    foreign: ClassVar[tuple[str, ...]] = ()
    #: Whether the function that `grad` returns can be differentiated again; `hvp` is derived from it only if so.
    nestable: ClassVar[bool] = True
    #: Question of ``problems/tape.py`` -> source text in the framework's own style, which sets ``answer``. It runs in
    #: the names of `idiom_scope`.
    idioms: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: The counter that `peak_bytes` reads. Empty where the resident memory of the process is a valid measure, as it is
    #: not if the framework keeps freed memory.
    memory_counter: ClassVar[str] = ""
    #: The array namespace: functions of the array API standard 2024.12 on this backend's variables. Set by `open`.
    xp: Any

    def __init__(self, variant: str = "") -> None:
        self.variant, self.order = split_variant(variant, self.variants)
        if self.variant not in self.variants:
            known = ", ".join(repr(v) for v in self.variants if v) or "none"
            known += f"; or, for second derivatives, an order of modes: {', '.join(ORDERS)}"
            close = difflib.get_close_matches(variant, [*self.variants, *ORDERS], n=2)
            hint = f"did you mean {' or '.join(close)}? Expected" if close else "expected"
            raise ValueError(f"got variant {variant!r} of backend {self.name!r}, {hint} one of: {known}")
        self.device = "cpu"

    def conversion(self, operator: Operator) -> str:
        """Return how the framework's own result for complex numbers is brought to the convention; empty if it is."""
        row = BATCHES.get(operator, operator)
        words = (self.conversions.get(part, "") for part in PARTS.get(row, (row,)))
        return "; ".join(dict.fromkeys(filter(None, words)))

    @property
    def full_variant(self) -> str:
        """The variant as the tables show it: ``variant``, ``order`` or ``variant:order``."""
        return ":".join(filter(None, (self.variant, self.order)))

    @property
    def spec(self) -> str:
        """``name[:variant][:order]``, as written on the command line."""
        return ":".join(filter(None, (self.name, self.full_variant)))


class Reports(Declarations):
    """What an opened backend reports of its framework. An adapter overrides what the framework can tell."""

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """Return the peak growth of allocated bytes in one call by ``memory_counter``; `None` without a counter."""
        del call
        return None

    def computing_in(self, dtype: str) -> contextlib.AbstractContextManager[None]:
        """Return a context for all work on a cell of ``dtype``: there it is the default dtype of floats.

        An adapter extends this if its framework has a setting that belongs to a dtype.
        """
        return with_default_dtype(dtype)

    def traces(self) -> int:
        """Return a number that grows with each trace or compilation; 0 if none is counted."""
        return 0

    def fallbacks(self) -> int:
        """Return a number that grows with each function that is prepared in another way than the variant's own."""
        return 0

    def switches(self) -> Mapping[str, str]:
        """Return settings that change results, column of ``runs.csv`` -> word: ``{"onednn": "on"}``; after `open`."""
        return {}

    def idiom_scope(self) -> Mapping[str, Any]:
        """Return the names that ``idioms`` use without importing them, such as ``{"torch": torch}``; after `open`."""
        return {}

    def versions(self) -> Mapping[str, str]:
        """Return the installed version of each required distribution, without importing it."""
        return {name: importlib.metadata.version(name) for name in self.requires}
