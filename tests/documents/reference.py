"""The reference pages, made from the code: ``python -m tests.documents.reference``.

``docs/reference/command_line.md`` is made from the parser of the command line, ``backends.md`` beside it from what
the adapters declare, and ``python.md`` from the docstrings of what the package makes public. A test fails where one
is stale. The tables have their reference in ``results/README.md``, from the documentation of their columns.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import pathlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

import autodiff_compare
from autodiff_compare import backends, testing
from autodiff_compare.backends import interface, numpy_autodiff
from autodiff_compare.cli.arguments import parser
from autodiff_compare.vocabulary import ORDERS, join_spec

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "reference"
_MADE = "<!-- made from the code: python -m tests.documents.reference -->"
#: Classes of the contract of a backend, in the order of reading, and where they are defined.
_CONTRACT = ("Backend", "NumpyArrays", "Unsupported", "Absent")
#: Public names that are described in another place, or not at all.
_ELSEWHERE = {"testing", "__version__"}
_BACKENDS = """\
A *backend* is an AD system behind one interface, and a *variant* is a way to run it. Behind `-b` stands
`NAME[:VARIANT][:ORDER][@PYTHON]`. A run that names none takes `numpy`, `torch`, `tensorflow` and `jax`. `numpy` is
the NumPy engine of this project. `--variants all` adds every variant of each, and `autograd`. Variants for single
operators (`loop`, `hooks`, `jet`, `nested`) take part in these alone.

`manual` is the closed form of the problem, where it has one, and `finite_difference` needs no framework either: it
is `wrong` by the tolerance of automatic differentiation, so read its error ([limits](../limits.md)). `numpy:numba`
needs the extra `numba`, and keeps machine code in your cache folder between runs; `--no-cache` does not. An order
of modes chooses how second derivatives are computed ([operators](../operators.md#orders-of-modes-hvp-hessian)).
`@PYTHON` runs the backend under another Python ([own backend](../own_backend.md#another-environment))."""
#: Options that every verb has.
_SHARED = ("--help", "--no-color", "--no-config")
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.M)
_RULED = re.compile(r"^(?:=+ +)+=+\n.*?\n(?:=+ +)+=+$(?!\n\S)", re.M | re.S)


# ---- the command line


def command_line() -> str:
    """Return the page of all verbs with their options."""
    whole = parser()
    (verbs,) = [action for action in whole._actions if isinstance(action, argparse._SubParsersAction)]
    lines = [_MADE, "", "# Every command", "", _sentences(str(whole.description)), ""]
    lines += ["In a clone, `python compare.py VERB` is the same as `autodiff-compare VERB`. Every verb also has:", ""]
    lines += _options(next(iter(verbs.choices.values())), _SHARED, among=True)
    lines += ["", "| verb | what it does |", "|---|---|"]
    lines += [f"| [`{a.dest}`](#{a.dest}) | {_cell(str(a.help))} |" for a in verbs._choices_actions]
    for name, verb in verbs.choices.items():
        lines += ["", f"## {name}", "", _sentences(str(verb.description)), ""]
        lines += _options(verb, _SHARED, among=False)
        lines += ["", *_examples(str(verb.epilog))]
    return "\n".join(lines) + "\n"


def _options(verb: argparse.ArgumentParser, named: Iterable[str], *, among: bool) -> list[str]:
    """Return a table of the options that are named, or of those that are not."""
    chosen = [a for a in verb._actions if among == (not set(named).isdisjoint(a.option_strings))]
    rows = [f"| {_spelled(action)} | {_cell(_meaning(verb, action))} |" for action in chosen]
    return ["| argument | meaning |", "|---|---|", *rows]


def _spelled(action: argparse.Action) -> str:
    """Return the argument as it is written: ``-b`` ``--backend NAME``, or a name in its place."""
    value = "" if action.nargs == 0 else _value(action)
    if not action.option_strings:
        return f"`{value}`" if action.nargs in (None, 1) else f"`[{value}{' ...' if action.nargs != '?' else ''}]`"
    *short, long = action.option_strings
    return " ".join([*(f"`{name}`" for name in short), f"`{long} {value}`" if value else f"`{long}`"])


def _value(action: argparse.Action) -> str:
    if action.metavar:
        return str(action.metavar)
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()


def _meaning(verb: argparse.ArgumentParser, action: argparse.Action) -> str:
    return str(verb._get_formatter()._expand_help(action)) if action.help else ""


def _cell(text: str) -> str:
    """Return a text for a cell of a table; words that Markdown would read as markup stay as they are."""
    return re.sub(r"([|*<_])", r"\\\1", " ".join(text.split()))


def _sentences(text: str) -> str:
    return textwrap.fill(text.replace("*", r"\*").replace("<", r"\<"), 120, break_on_hyphens=False)


def _examples(epilog: str) -> list[str]:
    """Return the examples at the end of a verb's help as a block of commands."""
    commands = re.sub(r"^example: ", "", epilog).split("; ")
    lines = [re.sub(r"^(or|then): ", "", line) for line in commands]
    program = "autodiff-compare"
    return ["```sh", *(line if line.startswith((program, "source")) else f"{program} {line}" for line in lines), "```"]


# ---- backends


def backend_table() -> str:
    """Return the page of all backends with their variants, from what the adapters declare."""
    lines = [
        _MADE,
        "",
        "# Backends and variants",
        "",
        _BACKENDS,
        "",
        "| backend | how it runs | needs |",
        "|---|---|---|",
    ]
    for name, backend in backends.available().items():
        for variant, words in backend.variants.items():
            needs = ", ".join(backend.requires) if not variant else ""
            own = words if words != "default" else (inspect.getdoc(backend) or "").partition("\n")[0].rstrip(".")
            lines.append(f"| `{join_spec(name, variant)}` | {_cell(own)} | {needs} |")
    lines += ["", "| backend | dtypes | complex numbers | orders of modes | devices |", "|---|---|---|---|---|"]
    for name, backend in backends.available().items():
        orders = " ".join(order for order in ORDERS if order in backend.orders) or "its own"
        complex_numbers = "yes" if backend.complex_numbers else "no"
        dtypes, devices = " ".join(backend.dtypes), " ".join(backend.devices)
        lines.append(f"| `{name}` | {dtypes} | {complex_numbers} | {orders} | {devices} |")
    return "\n".join(lines) + "\n"


# ---- Python


def python() -> str:
    """Return the page of the public names of the package."""
    lines = [_MADE, "", "# Python", "", "`import autodiff_compare` imports no framework. It has these names:", ""]
    for name in sorted(set(autodiff_compare.__all__) - _ELSEWHERE, key=lambda name: (name != "compare", name)):
        lines += _described(getattr(autodiff_compare, name), name, "##")
    lines += ["## autodiff_compare.testing", "", _markdown(inspect.getdoc(testing.assertions) or "")]
    for name in testing.__all__:
        lines += _described(getattr(testing, name), name, "###")
    lines += ["## autodiff_compare.backends.interface", "", _markdown(inspect.getdoc(interface) or ""), ""]
    for name in _CONTRACT:
        lines += _described(getattr(interface, name), name, "##" if name == "Backend" else "###")
    lines += [*_engine()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _engine() -> Iterator[str]:
    yield from ("## autodiff_compare.backends.numpy_autodiff", "")
    yield "The NumPy engine, which can be used by itself. Its guide is `backends/numpy_autodiff/README.md`."
    yield from ("", "| name | what it is |", "|---|---|")
    for name in numpy_autodiff.__all__:
        found = getattr(numpy_autodiff, name)
        first = (inspect.getdoc(found) or "").partition("\n\n")[0]
        yield f"| `{name}` | {' '.join(first.split()).replace('``', '`').replace('|', chr(92) + '|')} |"


def _described(found: Any, name: str, mark: str) -> list[str]:
    """Return the heading, the signature and the documentation of a function or class, with its public methods."""
    lines = [f"{mark} {name}", "", *_signature(found, name), _markdown(inspect.getdoc(found) or ""), ""]
    if inspect.isclass(found) and issubclass(found, Enum):
        return [*lines, f"Its members: {', '.join(f'`{name}.{member.name}`' for member in found)}.", ""]
    if inspect.isclass(found):
        lines += _attributes(found)
        for owner, method in _methods(found):
            source = inspect.getattr_static(owner, method)
            function = getattr(source, "fget", None) or getattr(source, "__func__", source)
            lines += [f"{mark}# {name}.{method}", ""]
            lines += [] if isinstance(source, property) else _signature(function, method)
            lines += [_markdown(inspect.getdoc(function) or ""), ""]
    return lines


def _methods(found: type) -> Iterator[tuple[type, str]]:
    """Yield the public methods and properties that are defined in this project, and ``_native`` of a backend."""
    seen = set()
    for owner in found.__mro__:
        inside = owner.__module__.startswith(autodiff_compare.__name__)
        for name, value in vars(owner).items() if inside else ():
            called = inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
            documented = inspect.getdoc(getattr(value, "fget", None) or getattr(value, "__func__", value))
            if called and documented and name not in seen and (not name.startswith("_") or name == "_native"):
                seen.add(name)
                yield owner, name


def _attributes(found: type) -> list[str]:
    """Return the class attributes that have a comment ``#:``, as a list."""
    lines = []
    for owner in found.__mro__:
        if not owner.__module__.startswith(autodiff_compare.__name__):
            continue
        for comment, name in re.findall(r"((?: +#: .*\n)+) +(\w+):", inspect.getsource(owner)):
            words = " ".join(line.strip().removeprefix("#: ") for line in comment.splitlines())
            lines.append(f"- **{name}**: {words.replace('``', '`')}")
    return [*lines, ""] if lines else []


def _signature(found: Callable[..., Any], name: str) -> list[str]:
    """Return the signature as a block of code, from the source: a default is shown as it is written."""
    node = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    if isinstance(node, ast.FunctionDef):
        given = [ast.unparse(argument) for argument in _arguments(node.args)]
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    else:
        assert isinstance(node, ast.ClassDef)
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
        dataclass = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        if not dataclass:
            return []
        given = [ast.unparse(part) for part in fields]
        result = ""
    line = f"{name}({', '.join(given)}){result}"
    if len(line) > 100:
        line = "\n".join([f"{name}(", *(f"    {part}," for part in given), f"){result}"])
    return ["```text", line, "```", ""]


def _arguments(given: ast.arguments) -> Iterator[ast.AST]:
    """Yield the arguments one by one as code: each with its default, and the mark before keywords."""
    every = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(every) - len(given.defaults)) + list(given.defaults)
    for argument, default in zip(every, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield _argument(argument, default)
    if given.vararg or given.kwonlyargs:
        star = f"*{ast.unparse(given.vararg)}" if given.vararg else "*"
        yield ast.Name(star)
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(argument, default)
    if given.kwarg:
        yield ast.Name(f"**{ast.unparse(given.kwarg)}")


def _argument(argument: ast.arg, default: ast.expr | None) -> ast.AST:
    text = ast.unparse(argument)
    return ast.Name(text if default is None else f"{text} = {ast.unparse(default)}")


# ---- docstrings


def _markdown(text: str) -> str:
    """Return a numpydoc docstring as Markdown: its sections as bold words, its entries as lists."""
    head, *sections = _SECTION.split(text)
    lines = [_prose(head)]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        entries = title in ("Parameters", "Attributes", "Raises", "Warns", "Returns", "Yields")
        made = _entries(body) if entries else _example(body) if title == "Examples" else _prose(body)
        lines += [f"**{title}**", "", made]
    return "\n".join(line for part in lines for line in (part.rstrip(), "")).rstrip() + "\n"


def _prose(text: str) -> str:
    """Return running text: tables drawn with rules become blocks, ``::`` begins indented code."""
    text = _RULED.sub(lambda match: f"```text\n{match[0]}\n```", text.strip())
    parts = re.split(r"(```.*?```)", text, flags=re.S)
    return "".join(part if part.startswith("```") else part.replace("::\n", ":\n").replace("``", "`") for part in parts)


def _entries(text: str) -> str:
    """Return the entries of a section as a list: names with their types, each with its description."""
    lines: list[str] = []
    for line in textwrap.dedent(text).strip().splitlines():
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            lines.append(f"- **{name}**" + (f" ({kind})" if kind else ""))
        else:
            lines.append(f"  {line.strip()}".rstrip().replace("``", "`"))
    return "\n".join(_joined(lines))


def _joined(lines: list[str]) -> Iterator[str]:
    """Yield the lines with a colon between a name and its description."""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        yield f"{line}:" if line.startswith("- **") and following.startswith("  ") else line


def _example(text: str) -> str:
    shown = re.sub(r"  # doctest: \+SKIP", "", textwrap.dedent(text).strip())
    return f"```pycon\n{shown}\n```"


PAGES: dict[str, Callable[[], str]] = {
    "command_line.md": command_line,
    "backends.md": backend_table,
    "python.md": python,
}


def main() -> None:
    """Write the pages anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, made in PAGES.items():
        (FOLDER / name).write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main()
