"""How an explanation asks the backends: a request goes to the worker of a backend, or is answered in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: ``ask(spec, verb, params)`` returns what the backend's worker answers.
#: It raises `autodiff_compare.process.client.WorkerError` if there is no answer.
Ask = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]
