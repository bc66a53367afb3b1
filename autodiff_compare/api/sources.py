"""The source text of a function or class that the caller has defined, and the names that it looks up outside itself.

Text is taken only where it is that of the object: same name, same line, same instructions. A file may have been edited
since it was loaded.
"""

from __future__ import annotations

import ast
import builtins
import dis
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any


class NotSendable(Exception):  # noqa: N818 - no failure: it is then computed in this process
    """An object cannot be serialised for another process; the message names the reason."""


def definition(f: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """Return the syntax tree of a function, from its source text.

    Raises
    ------
    NotSendable
        If the text cannot be read, or is not that of the function.
    """
    tree = _tree(f.__code__.co_filename, word(f), f.__globals__)
    found = [node for node in ast.walk(tree) if _is_of(f.__code__, node)]
    if len(found) != 1:
        why = "is no longer in its source" if not found else "shares its line with an equal function"
        raise NotSendable(f"{word(f)} {why}, in {f.__code__.co_filename}")
    node = found[0]
    assert isinstance(node, (ast.FunctionDef, ast.Lambda))
    if isinstance(node, ast.FunctionDef):
        # Decorators are dropped: f is the plain function, and a call of it runs this very definition.
        node.decorator_list = []
    return node


def class_definition(cls: type, near: FunctionType | None) -> tuple[ast.ClassDef, dict[str, Any]]:
    """Return the syntax tree of a class, and the names around it.

    Parameters
    ----------
    cls
        The class. The methods that it has must be those of its text.
    near
        A function that uses the class: where to look for the text of a class without methods, such as a dataclass.

    Raises
    ------
    NotSendable
        If the text cannot be read, or is not that of the class.
    """
    own = [f for f in methods(cls).values() if f.__qualname__ == f"{cls.__qualname__}.{f.__name__}"]
    what, first = f"class {cls.__name__}", own[0] if own else near
    if first is None:
        raise NotSendable(f"{what} has no method by which its source is found")
    files = [first.__code__.co_filename, *([] if own else reversed([n for n in linecache.cache if "ipy" in n]))]
    for file in files:
        for node in ast.walk(_tree(file, what, first.__globals__)):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__ and _is_class(cls, own, node):
                return node, first.__globals__
    raise NotSendable(f"{what} is no longer in its source, in {first.__code__.co_filename}")


def _is_class(cls: type, own: list[FunctionType], node: ast.ClassDef) -> bool:
    """Return whether a definition is that of ``cls``: the same annotations and the same methods."""
    if own:
        body = _body(node)
        codes = [(c.co_name, _instructions(c)) for c in body.co_consts if isinstance(c, CodeType)]
        return all((f.__name__, _instructions(f.__code__)) in codes for f in own)
    named = [
        part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    ]
    return named == list(vars(cls).get("__annotations__", {}))


def _body(node: ast.ClassDef) -> CodeType:
    """Return the code of a class body."""
    outer = compile(ast.Module([node], []), "", "exec")
    return next(c for c in outer.co_consts[::-1] if isinstance(c, CodeType) and c.co_name == node.name)


def methods(cls: type) -> dict[str, FunctionType]:
    """Return the functions that a class body defines by ``def``, by name; generated ones have no file."""
    found: dict[str, FunctionType] = {}
    for name, value in vars(cls).items():
        f = getattr(value, "__func__", getattr(value, "fget", value))
        while hasattr(f, "__wrapped__"):
            f = f.__wrapped__
        if isinstance(f, FunctionType) and not f.__code__.co_filename.startswith("<string"):
            found[name] = f
    return found


def _tree(file: str, what: str, scope: dict[str, Any]) -> ast.Module:
    text = "".join(linecache.getlines(file, scope))
    if not text:
        raise NotSendable(f"the source of {what} cannot be read")
    try:
        return ast.parse(text)
    except SyntaxError:
        raise NotSendable(f"the source of {what} has changed since it was loaded") from None


def _is_of(code: CodeType, node: ast.AST) -> bool:
    """Return whether a definition is that of ``code``: same name, same line, same instructions."""
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
        return False
    named = _name(node)
    line = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    if named != code.co_name or line != code.co_firstlineno:
        return False
    made = _compiled(node)
    return made is None or _instructions(made) == _instructions(code)


def _name(node: ast.FunctionDef | ast.Lambda) -> str:
    return node.name if isinstance(node, ast.FunctionDef) else "<lambda>"


def _compiled(node: ast.FunctionDef | ast.Lambda) -> CodeType | None:
    """Return the code of a definition that is compiled on its own; `None` if it does not compile."""
    try:
        if isinstance(node, ast.Lambda):
            outer = compile(ast.Expression(node), "", "eval")
        else:
            outer = compile(ast.Module([node], []), "", "exec")
    except SyntaxError:
        return None
    # Take the last one: a default or a decorator may hold a function of the same name, which comes first.
    return next((c for c in outer.co_consts[::-1] if isinstance(c, CodeType) and c.co_name == _name(node)), None)


def _instructions(code: CodeType) -> list[tuple[str, Any]]:
    """Return the instructions of a function, without the differences that depend on where it is compiled."""
    # In place, closures and methods of imported modules compile to other opcodes than in a function on its own.
    plain = {"LOAD_DEREF": "LOAD_GLOBAL", "LOAD_CLASSDEREF": "LOAD_GLOBAL", "LOAD_METHOD": "LOAD_ATTR"}
    return [
        (plain.get(i.opname, i.opname), _instructions(i.argval) if isinstance(i.argval, CodeType) else i.argval)
        for i in dis.get_instructions(code)
        if i.opname not in ("COPY_FREE_VARS", "RESUME", "PUSH_NULL", "PRECALL", "CACHE", "MAKE_CELL")
        and "JUMP" not in i.opname
    ]


def names(f: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the names that a function looks up outside itself, with their values."""
    enclosed = {}
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            enclosed[name] = cell.cell_contents
        except ValueError:
            raise NotSendable(f"{name} in {word(f)} has no value yet") from None
    yield from enclosed.items()
    for name in dict.fromkeys(_looked_up(f.__code__)):
        if name in f.__globals__ and name not in enclosed:
            yield name, f.__globals__[name]
        elif not hasattr(builtins, name) and name not in enclosed:
            raise NotSendable(f"{name} in {word(f)} has no value")


def _looked_up(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
        # A function that assigns an outer name keeps state between calls, which another process does not have.
        outside = instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars
        if outside or instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            raise NotSendable(f"{code.co_name} assigns {instruction.argval}, a name outside the function")
        if isinstance(instruction.argval, CodeType):
            yield from _looked_up(instruction.argval)


def class_names(node: ast.ClassDef, scope: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names that a class looks up outside itself, those of its methods aside, with their values.

    Raises
    ------
    NotSendable
        If one has no value.
    """
    outer, body = compile(ast.Module([node], []), "", "exec"), _body(node)
    own = {part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
    inner = [c for c in body.co_consts if isinstance(c, CodeType) and c.co_name not in own]
    inside = {i.argval for i in dis.get_instructions(body) if i.opname == "STORE_NAME"} | {"__name__", node.name}
    used = [*_loaded(outer), *_loaded(body), *(name for code in inner for name in _looked_up(code))]
    for name in dict.fromkeys(used):
        if name in inside:
            continue
        if name in scope:
            yield name, scope[name]
        elif not hasattr(builtins, name):
            raise NotSendable(f"{name} in class {node.name} has no value")


def _loaded(code: CodeType) -> Iterator[str]:
    return (i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))


def without_defaults(node: ast.FunctionDef | ast.Lambda, name: str) -> str:
    """Return a definition as text, with defaults of `None`: their present values are set afterwards."""
    copied = ast.parse(ast.unparse(node)).body[0]
    made: Any = copied.value if isinstance(copied, ast.Expr) else copied
    made.args.defaults = [ast.Constant(None) for _ in made.args.defaults]
    made.args.kw_defaults = [d and ast.Constant(None) for d in made.args.kw_defaults]
    if isinstance(made, ast.Lambda):
        return f"{name} = {ast.unparse(made)}"
    made.name = name
    return ast.unparse(made)


def word(f: Any) -> str:
    """Return the name of an object in messages."""
    return str(getattr(f, "__name__", None) or type(f).__name__)
