"""From the source of a kernel to instructions of LLVM.

A kernel is written in a small part of Python: numbers, vectors, assignments, ``for`` over ranges, and returns. Numba
can compile that, and takes 10 ms a line to infer types which are all known. Here each line becomes instructions at
once, and numba is left with a function of one call: it wraps it for Python and keeps the machine code. Four things are
said to the optimizer that Python cannot say: arrays do not overlap, indices do not wrap around, and the additions of a
reduction, and no others, may be done in any order. In the functions of `pointwise`, a product and a sum may be one
instruction.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from llvmlite import ir

from autodiff_compare.backends.numpy_autodiff.loops import pointwise

F64, F32, I64, I8, I1 = ir.DoubleType(), ir.FloatType(), ir.IntType(64), ir.IntType(8), ir.IntType(1)
#: Type of a parameter, as numba writes it -> that of a number in a variable, and of one in memory.
TYPES: Mapping[str, tuple[Any, Any]] = MappingProxyType(
    {"float64": (F64, F64), "float32": (F32, F32), "int64": (I64, I64), "boolean": (I1, I8)}
)
_NUMPY = {"float64": F64, "float32": F32, "int64": I64, "bool_": I1}
#: Functions that are instructions of LLVM, which it can use on vectors.
_INTRINSIC = {"exp", "log", "sin", "cos", "exp2", "log2", "log10", "sqrt", "floor", "ceil", "trunc"}
#: Functions of the mathematical library of C, by NumPy's name.
_LIBRARY = {name: name for name in ("tan", "log1p", "expm1", "tanh", "sinh", "cosh", "cbrt", "hypot")} | {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
}
_ARITHMETIC: dict[type, tuple[str, str]] = {
    ast.Add: ("fadd", "add"),
    ast.Sub: ("fsub", "sub"),
    ast.Mult: ("fmul", "mul"),
}
_COMPARED: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


@functools.cache
def _inlined(name: str) -> ast.FunctionDef:
    """Return the definition of a function that kernels call."""
    (found,) = ast.parse(inspect.getsource(pointwise.CALLED[name])).body
    assert isinstance(found, ast.FunctionDef)
    return found


class Writer:
    """Writes the instructions of one kernel into a function of LLVM.

    Parameters
    ----------
    function
        The function, whose arguments are pointers and numbers.
    types
        The type of each parameter, as numba writes it.
    """

    def __init__(self, function: Any, definition: ast.FunctionDef, types: Sequence[str]) -> None:
        self.function = function
        self.module = function.module
        self._entry = function.append_basic_block("entry")
        self.b = ir.IRBuilder(function.append_basic_block("body"))
        self.arrays: dict[str, tuple[Any, Any]] = {}
        self.slots: dict[str, Any] = {}
        #: Functions of `pointwise` that are being written, one within the other.
        self._within = 0
        for arg, name, kind in zip(function.args, (a.arg for a in definition.args.args), types, strict=True):
            _, stored = TYPES[kind.partition("[")[0]]
            if "[" in kind:
                self.arrays[name] = (arg, stored)
            else:
                self._assign(name, arg)
        for line in definition.body:
            self._statement(line)
        # The body is entered after all variables were made.
        ir.IRBuilder(self._entry).branch(function.blocks[1])

    # --- Statements

    def _statement(self, line: ast.stmt) -> None:
        if isinstance(line, ast.Assign):
            self._assignment(line)
        elif isinstance(line, ast.For):
            self._for(line)
        elif isinstance(line, ast.If):
            self._leave(line)
        elif isinstance(line, ast.Return):
            self._return(line)

    def _assignment(self, line: ast.Assign) -> None:
        (target,) = line.targets
        if isinstance(target, ast.Subscript):
            name, at = self._place(target)
            value = self.value(line.value)
            stored = self.arrays[name][1]
            self.b.store(self.b.zext(value, I8) if stored == I8 else value, at)
        elif isinstance(target, ast.Tuple):
            values = self.values(line.value)
            for one, value in zip(target.elts, values, strict=True):
                assert isinstance(one, ast.Name)
                self._assign(one.id, value)
        else:
            assert isinstance(target, ast.Name)
            if _calls(line.value, "empty"):
                self._make(target.id, line.value)
            elif not _calls(line.value, "reshape"):
                self._assign(target.id, self.value(line.value))

    def _make(self, name: str, call: Any) -> None:
        """Make a small array on the stack."""
        size, kind = call.args
        number = _NUMPY[kind.attr]
        stored = I8 if number == I1 else number
        builder = ir.IRBuilder(self._entry)
        self.arrays[name] = (builder.alloca(stored, ir.Constant(I64, max(1, size.value))), stored)

    def _assign(self, name: str, value: Any) -> None:
        if name not in self.slots:
            self.slots[name] = ir.IRBuilder(self._entry).alloca(value.type, name=name)
        self.b.store(value, self.slots[name])

    def _for(self, line: ast.For) -> None:
        """Count up from a start to an end, by a constant step."""
        assert isinstance(line.iter, ast.Call)
        assert isinstance(line.target, ast.Name)
        low, high, *step = [self.value(x, whole=True) for x in _range(line.iter.args)]
        self._assign(line.target.id, low)
        slot = self.slots[line.target.id]
        head, body, end = (self.function.append_basic_block(n) for n in ("head", "loop", "end"))
        self.b.branch(head)
        self.b.position_at_end(head)
        self.b.cbranch(self.b.icmp_signed("<", self.b.load(slot), high), body, end)
        self.b.position_at_end(body)
        for one in line.body:
            self._statement(one)
        self.b.store(self.b.add(self.b.load(slot), step[0] if step else ir.Constant(I64, 1), flags=("nsw",)), slot)
        self.b.branch(head)
        self.b.position_at_end(end)

    def _leave(self, line: ast.If) -> None:
        """Return where a guard fails."""
        leave, stay = (self.function.append_basic_block(n) for n in ("leave", "stay"))
        self.b.cbranch(self._truth(self.value(line.test)), leave, stay)
        self.b.position_at_end(leave)
        for one in line.body:
            self._statement(one)
        self.b.position_at_end(stay)

    def _return(self, line: ast.Return) -> None:
        kind = self.function.function_type.return_type
        if isinstance(kind, ir.VoidType):
            self.b.ret_void()
            return
        assert line.value is not None
        found = ir.Constant(kind, ir.Undefined)
        for i, value in enumerate(self.values(line.value)):
            found = self.b.insert_value(found, self._cast(value, kind.elements[i]), i)
        self.b.ret(found)

    # --- Expressions

    def values(self, x: ast.expr) -> list[Any]:
        """Return the numbers of a tuple, or of a function that returns one."""
        if isinstance(x, ast.Tuple):
            return [self.value(one) for one in x.elts]
        if isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id == "compensated":
            return self._inline(x.func.id, [self.value(a) for a in x.args])
        return [self.value(x)]

    def value(self, x: ast.expr, whole: bool = False) -> Any:
        """Return the value of an expression; ``whole`` for an index, which does not overflow."""
        if isinstance(x, ast.Constant):
            return _constant(x.value)
        if isinstance(x, ast.Name):
            return self.b.load(self.slots[x.id])
        if isinstance(x, ast.Attribute):
            return ir.Constant(F64, math.inf if x.attr == "inf" else math.nan)
        if isinstance(x, ast.Subscript):
            name, at = self._place(x)
            found = self.b.load(at)
            return self.b.icmp_signed("!=", found, ir.Constant(I8, 0)) if self.arrays[name][1] == I8 else found
        if isinstance(x, ast.UnaryOp):
            return self._unary(x, whole)
        if isinstance(x, ast.BinOp):
            return self._binary(x.op, self.value(x.left, whole), self.value(x.right, whole), whole)
        if isinstance(x, ast.Compare):
            return self._compare(_COMPARED[type(x.ops[0])], self.value(x.left), self.value(x.comparators[0]))
        if isinstance(x, ast.IfExp):
            yes, no = self._alike(self.value(x.body), self.value(x.orelse))
            return self.b.select(self._truth(self.value(x.test)), yes, no)
        assert isinstance(x, ast.Call)
        return self._call(x)

    def _place(self, x: ast.Subscript) -> tuple[str, Any]:
        assert isinstance(x.value, ast.Name)
        pointer, stored = self.arrays[x.value.id]
        at = self.value(x.slice, whole=True)
        return x.value.id, self.b.gep(pointer, [at], inbounds=True, source_etype=stored)

    def _unary(self, x: ast.UnaryOp, whole: bool) -> Any:
        value = self.value(x.operand, whole)
        if isinstance(x.op, ast.Not):
            return self.b.not_(self._truth(value))
        if isinstance(value, ir.Constant) and value.type == I64:
            return ir.Constant(I64, -value.constant)
        return self.b.neg(value) if value.type == I64 else self.b.fneg(value)

    def _binary(self, op: ast.operator, x: Any, y: Any, whole: bool) -> Any:
        x, y = self._alike(x, y)
        if isinstance(op, ast.BitAnd):
            return self.b.and_(x, y)
        if isinstance(op, ast.BitOr):
            return self.b.or_(x, y)
        if isinstance(op, ast.Div):
            return self.b.fdiv(x, y)
        if isinstance(op, ast.Pow):
            return self._intrinsic("pow", [x, y])
        of_floats, of_integers = _ARITHMETIC[type(op)]
        if x.type == I64:
            return getattr(self.b, of_integers)(x, y, flags=("nsw",) if whole else ())
        return getattr(self.b, of_floats)(x, y, flags=("contract",) if self._within else ())

    def _alike(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return both in one type: a literal without a type of its own takes that of the other number."""
        if x.type == y.type:
            return x, y
        for one, other in ((x, y), (y, x)):
            if isinstance(one, ir.Constant):
                return (self._cast(x, other.type), y) if one is x else (x, self._cast(y, other.type))
        return self._cast(x, F64), self._cast(y, F64)

    def _cast(self, x: Any, kind: Any) -> Any:
        if x.type == kind:
            return x
        if isinstance(x, ir.Constant) and x.type in (F64, I64) and kind in (F64, F32):
            return ir.Constant(kind, float(x.constant))
        if kind in (F64, F32):
            if x.type in (F64, F32):
                return (self.b.fpext if kind == F64 else self.b.fptrunc)(x, kind)
            return (self.b.uitofp if x.type == I1 else self.b.sitofp)(x, kind)
        if kind == I1:
            return self._truth(x)
        return self.b.zext(x, I64) if x.type == I1 else self.b.fptosi(x, I64)

    def _truth(self, x: Any) -> Any:
        return x if x.type == I1 else self._compare("!=", x, ir.Constant(x.type, 0))

    def _compare(self, sign: str, x: Any, y: Any) -> Any:
        if x.type != y.type and I1 in (x.type, y.type):
            x, y = self._cast(x, I64), self._cast(y, I64)
        x, y = self._alike(x, y)
        if x.type == I64:
            return self.b.icmp_signed(sign, x, y)
        if x.type == I1:
            return self.b.icmp_unsigned(sign, x, y)
        # nan is unequal to all numbers, and neither smaller nor larger.
        return (self.b.fcmp_unordered if sign == "!=" else self.b.fcmp_ordered)(sign, x, y)

    # --- Calls

    def _call(self, x: ast.Call) -> Any:
        name = x.func.attr if isinstance(x.func, ast.Attribute) else x.func.id  # type: ignore[attr-defined]
        args = [self.value(a) for a in x.args]
        if isinstance(x.func, ast.Attribute):
            return self._of_numpy(name, args)
        if name == "abs":
            return self._intrinsic("fabs", args)
        if name == "min":
            return self.b.select(self.b.icmp_signed("<", *args), *args)
        if name == "power_of_two":
            return self._power_of_two(args[0])
        if name == "accumulate":
            total, term = self._alike(*args)
            return self.b.fadd(total, term, flags=("reassoc",))
        if name in ("greatest", "least"):
            return self._intrinsic("maximum" if name == "greatest" else "minimum", list(self._alike(*args)))
        return self._inline(name, args)[0]

    def _power_of_two(self, k: Any) -> Any:
        """Put a whole number into the exponent: 1.5 * 2^52 + 1023 more leaves it, with its bias, in the lowest bits."""
        shifted = self.b.fadd(k, ir.Constant(F64, 6755399441055744.0 + 1023.0))
        return self.b.bitcast(self.b.shl(self.b.bitcast(shifted, I64), ir.Constant(I64, 52)), F64)

    def _of_numpy(self, name: str, args: list[Any]) -> Any:
        if name in _NUMPY:
            return self._cast(args[0], _NUMPY[name])
        if name in _INTRINSIC:
            return self._intrinsic(name, args)
        if name in _LIBRARY:
            return self._library(_LIBRARY[name], args)
        if name == "isnan":
            return self.b.fcmp_unordered("uno", *args, *args)
        inf = ir.Constant(args[0].type, math.inf)
        return self.b.fcmp_ordered("<" if name == "isfinite" else "==", self._intrinsic("fabs", args), inf)

    def _intrinsic(self, name: str, args: list[Any]) -> Any:
        kind = args[0].type
        function = self.module.declare_intrinsic(f"llvm.{name}", [kind], ir.FunctionType(kind, [kind] * len(args)))
        return self.b.call(function, args)

    def _library(self, name: str, args: list[Any]) -> Any:
        kind = args[0].type
        full = name if kind == F64 else f"{name}f"
        if full not in self.module.globals:
            made = ir.Function(self.module, ir.FunctionType(kind, [kind] * len(args)), full)
            made.attributes.add("nounwind")
            made.attributes.add("readnone")
        return self.b.call(self.module.globals[full], args)

    def _inline(self, name: str, args: list[Any]) -> list[Any]:
        """Write the lines of a function that kernels call, with variables of its own.

        Its products and sums may be one instruction with one rounding: polynomials only gain by it. What a user wrote
        keeps each rounding, so that ``x * x - x * x`` is 0.
        """
        definition = _inlined(name)
        outer, self.slots = self.slots, {}
        self._within += 1
        for arg, value in zip(definition.args.args, args, strict=True):
            self._assign(arg.arg, value)
        found: list[Any] = []
        for line in definition.body:
            if isinstance(line, ast.Return):
                assert line.value is not None
                found = self.values(line.value)
            else:
                self._statement(line)
        self._within -= 1
        self.slots = outer
        return found


def _range(args: Sequence[ast.expr]) -> list[ast.expr]:
    return list(args) if len(args) > 1 else [ast.Constant(0), *args]


def _calls(x: ast.expr, name: str) -> bool:
    return isinstance(x, ast.Call) and isinstance(x.func, ast.Attribute) and x.func.attr == name


def _constant(x: Any) -> Any:
    if x.__class__ is bool:
        return ir.Constant(I1, int(x))
    return ir.Constant(I64, x) if x.__class__ is int else ir.Constant(F64, x)


def code(text: str, types: Sequence[str], returns: Sequence[str]) -> Callable[..., Any]:
    """Return what writes the call of a kernel into a function of numba: the code generator of an intrinsic.

    Parameters
    ----------
    text
        The source of the kernel.
    types, returns
        The types of the parameters and of the results, as numba writes them.
    """
    (definition,) = ast.parse(text).body
    assert isinstance(definition, ast.FunctionDef)
    numbers = [TYPES[kind][0] for kind in returns]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given = [
            context.make_array(kind)(context, builder, arg).data if "[" in text_ else arg
            for kind, arg, text_ in zip(signature.args, args, types, strict=True)
        ]
        result = ir.LiteralStructType(numbers) if numbers else ir.VoidType()
        kind = ir.FunctionType(result, [x.type for x in given])
        function = ir.Function(builder.module, kind, builder.module.get_unique_name("loops"))
        function.linkage = "internal"
        for parameter, text_ in zip(function.args, types, strict=True):
            if "[" in text_:
                parameter.add_attribute("noalias")
        Writer(function, definition, types)
        found = builder.call(function, given)
        values = [builder.extract_value(found, i) for i in range(len(numbers))]
        if len(values) > 1:
            return context.make_tuple(builder, signature.return_type, values)
        return values[0] if values else context.get_dummy_value()

    return generate
