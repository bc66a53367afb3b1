"""Complex inputs, dtypes, integers, unused inputs, and outputs that are not scalars."""

from __future__ import annotations

from functools import partial

import numpy as np

from autodiff_compare.problems.conventions.case import Case, Kink, Undefined, Value

_complex = partial(Case, "complex")
_dtype = partial(Case, "dtypes")
_integer = partial(Case, "integers", operator="answer")
_unused = partial(Case, "unused", operator="answer")
_output = partial(Case, "non_scalar", operator="answer")

_MIXED = "a system may refuse to mix dtypes"
_SPLIT = "differentiate in the real and the imaginary part, and state the convention"

_COMPLEX = (
    _complex("square_real_part", "xp.real(x * x)", (1 + 2j,), Value(2 - 4j), "dL/da + i dL/db of a^2 - b^2", _SPLIT),
    _complex("modulus_squared", "xp.real(x * xp.conj(x))", (1 + 2j,), Value(2 + 4j), "a^2 + b^2", _SPLIT),
    _complex("modulus", "xp.abs(x)", (3 + 4j,), Value(0.6 + 0.8j), "z/|z|", _SPLIT),
    _complex("modulus_zero", "xp.abs(x)", (0j,), Kink([1, 0], [0, 1], [-1, 0], [0, -1], more="the unit disc"),
             "the cone's tip", "mask 0 before the root"),
    _complex("modulus_squared_zero", "xp.abs(x) ** 2", (0j,), Value(0j), "a^2 + b^2", "xp.real(x * xp.conj(x))"),
    _complex("real_part", "xp.real(x)", (1 + 2j,), Value(1 + 0j), "a", ""),
    _complex("imaginary_part", "xp.imag(x)", (1 + 2j,), Value(1j), "b", _SPLIT),
    _complex("exponential", "xp.real(xp.exp(x))", (1j,), Value(np.conj(np.exp(1j))), "the conjugate of e^z", _SPLIT),
    _complex("logarithm", "xp.real(xp.log(x))", (3 + 4j,), Value((3 + 4j) / 25), "z/|z|^2", _SPLIT),
    _complex("logarithm_cut", "xp.imag(xp.log(x))", (-1 + 0j,), Undefined("the branch cut of the angle"),
             "jumps by 2 pi", ""),
    _complex("root", "xp.real(xp.sqrt(x))", (4 + 0j,), Value(0.25 + 0j), "the conjugate of 1/(2 sqrt z)", ""),
    _complex("cube", "xp.imag(x * x * x)", (1 + 1j,), Value(6 + 0j), "3 a^2 b - b^3: 6 a b, 3 a^2 - 3 b^2", _SPLIT),
    _complex("conjugate", "xp.imag(xp.conj(x))", (1 + 2j,), Value(-1j), "-b", _SPLIT),
    _complex("constant_factor", "xp.real((1.0 + 2.0j) * x)", (1 + 0j,), Value(1 - 2j), "a - 2 b", _SPLIT),
    _complex("real_input_complex_inside", "xp.real(xp.exp(1j * x))", (0.5,), Value(-np.sin(0.5)), "cos x", "",
             refusal=_MIXED),
    _complex("modulus_of_real_made_complex", "xp.abs(x + 0.0j)", (0.0,), Kink(-1, 1), "|x|", "", refusal=_MIXED),
    _complex("vector_norm", "xp.linalg.vector_norm(x)", ([3 + 0j, 4j],), Value([0.6 + 0j, 0.8j]), "z/|z|", _SPLIT),
)  # fmt: skip

_F32, _F64 = np.float32, np.float64
_CAST = "cast both sides yourself"

_DTYPES = (
    _dtype("float32_stays", "xp.sum(x * x)", (np.array([1, 2], _F32),), Value([2, 4]), "2 x, in float32", ""),
    _dtype("float64_stays", "xp.sum(x * x)", (np.array([1, 2], _F64),), Value([2, 4]), "2 x, in float64", ""),
    _dtype("float32_times_number", "xp.sum(x * 3.0)", (np.array([1, 2], _F32),), Value([3, 3]),
           "a Python number takes the array's dtype", ""),
    _dtype("number_minus_float32", "xp.sum(1.0 - x)", (np.array([1, 2], _F32),), Value([-1, -1]),
           "a Python number takes the array's dtype", ""),
    _dtype("float32_times_float64", "xp.sum(x * a)", (np.array([1, 2], _F32),), Value([3, 4]),
           "the product is float64, the gradient of a float32 input float32", _CAST, data=(np.array([3, 4], _F64),),
           refusal=_MIXED),
    _dtype("float64_times_float32", "xp.sum(x * a)", (np.array([1, 2], _F64),), Value([3, 4]), "float64 throughout",
           _CAST, data=(np.array([3, 4], _F32),), refusal=_MIXED),
    _dtype("float32_times_float64_scalar", "xp.sum(x * a)", (np.array([1, 2], _F32),), Value([3, 3]),
           "an array without axes promotes like any other", _CAST, data=(np.array(3.0, _F64),), refusal=_MIXED),
    _dtype("float32_matmul_float64", "xp.sum(x @ a)", (np.array([[1, 2]], _F32),), Value([3, 4]),
           "the product is float64", _CAST, data=(np.array([[3], [4]], _F64),), refusal=_MIXED),
    _dtype("float_times_integer", "xp.sum(x * a)", (np.array([1, 2], _F64),), Value([3, 4]), "the integers are data",
           _CAST, data=(np.array([3, 4]),), refusal=_MIXED),
    _dtype("float32_times_integer", "xp.sum(x * a)", (np.array([1, 2], _F32),), Value([3, 4]),
           "the gradient of a float32 input is float32", _CAST, data=(np.array([3, 4]),), refusal=_MIXED),
    _dtype("float_times_boolean", "xp.sum(x * a)", (np.array([1, 2], _F64),), Value([1, 0]), "true counts as 1", _CAST,
           data=(np.array([True, False]),), refusal=_MIXED),
    _dtype("cast_down_and_up", "xp.sum(xp.astype(xp.astype(x, xp.float32), xp.float64) * 3.0)", (np.array([1.0, 2.0]),),
           Value([3, 3]), "casting is the identity", ""),
    _dtype("cast_to_integer", "xp.sum(xp.astype(xp.astype(x, xp.int64), xp.float64))", (np.array([1.5, 2.5]),),
           Value([0, 0]), "truncation is constant around it", "", refusal="integers carry no derivative"),
    _dtype("float16_stays", "xp.sum(x * x)", (np.array([1, 2], np.float16),), Value([2, 4]), "2 x, in float16", ""),
    _dtype("float32_mean", "xp.mean(x)", (np.array([1, 2], _F32),), Value([0.5, 0.5]), "1/n, in float32", ""),
    _dtype("integer_exponent_array", "xp.sum(x ** a)", (np.array([2.0, 3.0]),), Value([4, 1]), "n x^(n-1)", _CAST,
           data=(np.array([2, 1]),), refusal=_MIXED),
    _dtype("complex64_stays", "xp.sum(xp.real(x * x))", (np.array([1 + 2j], np.complex64),), Value([2 - 4j]),
           "conj(2 z), in complex64", ""),
)  # fmt: skip

_WHOLE = "whole numbers have no neighbourhood"
_INTEGERS = (
    _integer("integer_scalar", "xp.raw_gradient(lambda x: x * x, x)", (np.array(3),), Undefined(_WHOLE), _WHOLE,
             "cast to float first", refusal=_WHOLE),
    _integer("integer_vector", "xp.raw_gradient(lambda x: xp.sum(x * x), x)", (np.array([1, 2]),), Undefined(_WHOLE),
             _WHOLE, "cast to float first", refusal=_WHOLE),
    _integer("boolean_vector", "xp.raw_gradient(lambda x: xp.sum(xp.where(x, xp.ones_like(y), y)), x, y)",
             (np.array([True]), [1.0]), Undefined(_WHOLE), "true and false have no neighbourhood",
             "cast to float first", refusal=_WHOLE),
    _integer("integer_cast_inside", "xp.raw_gradient(lambda x: xp.astype(x, xp.float64) * 2.0, x)", (np.array(3),),
             Undefined(_WHOLE), "the input is whole, though the output is not", "cast to float first", refusal=_WHOLE),
    _integer("unsigned_integer", "xp.raw_gradient(lambda x: x * x, x)", (np.array(3, np.uint8),), Undefined(_WHOLE),
             _WHOLE, "cast to float first", refusal=_WHOLE),
    _integer("float_beside_integer", "xp.raw_gradient(lambda x, n: x ** 2 + 0.0 * x, x, y)", (3.0, np.array(2)),
             Value(6.0), "2 x; the integer is no input of the derivative", ""),
    _integer("integer_valued_float", "xp.raw_gradient(lambda x: x * x, x)", (3.0,), Value(6.0), "3.0 is no integer",
             ""),
)  # fmt: skip

_UNUSED = (
    _unused("unused_argument", "xp.raw_gradient(lambda x, y: y * y, x, y)", (3.0, 2.0), Value(0.0),
            "a function that does not depend on x", ""),
    _unused("unused_vector", "xp.raw_gradient(lambda x, y: y * y, x, y)", ([1.0, 2.0], 2.0), Value([0, 0]),
            "zeros of the input's shape", ""),
    _unused("unused_tangled", "xp.raw_gradient(lambda x, y: y * y + 0.0 * x, x, y)", (3.0, 2.0), Value(0.0),
            "connected, with slope 0", ""),
    _unused("unused_stopped", "xp.raw_gradient(lambda x, y: y * xp.stop_gradient(x), x, y)", (3.0, 2.0), Value(0.0),
            "a constant by decree", ""),
    _unused("unused_but_for_its_shape", "xp.raw_gradient(lambda x, y: y * x.shape[0], x, y)", ([1.0, 2.0], 2.0),
            Value([0, 0]), "a shape is no number to differentiate", ""),
    _unused("unused_but_for_a_comparison", "xp.raw_gradient(lambda x, y: xp.where(x > 0, y, 2.0 * y), x, y)",
            (3.0, 2.0), Value(0.0), "a comparison is constant around the point", ""),
    _unused("unused_but_for_an_index",
            "xp.raw_gradient(lambda x, y: xp.take(y, xp.reshape(xp.argmax(x), (1,)))[0], x, y)",
            ([1.0, 2.0], [5.0, 7.0]), Value([0, 0]), "an index is constant around the point", ""),
    _unused("constant_function", "xp.raw_gradient(lambda x: xp.asarray(5.0), x)", (3.0,), Value(0.0), "constant", "",
            refusal="a constant was never recorded"),
    _unused("output_is_another_input", "xp.raw_gradient(lambda x, y: y, x, y)", (3.0, 2.0), Value(0.0),
            "y does not depend on x", ""),
    _unused("output_is_the_input", "xp.raw_gradient(lambda x: x, x)", (3.0,), Value(1.0), "the identity", ""),
)  # fmt: skip

_NO_SCALAR = "a vector has a Jacobian, no gradient"
_JACOBIAN = "sum it, give a cotangent, or ask for the Jacobian"
_OUTPUTS = (
    _output("vector_output", "xp.raw_gradient(lambda x: x * x, x)", ([1.0, 2.0],), Undefined(_NO_SCALAR), _NO_SCALAR,
            _JACOBIAN, refusal=_NO_SCALAR),
    _output("matrix_output", "xp.raw_gradient(lambda x: x * x, x)", ([[1.0, 2.0]],), Undefined(_NO_SCALAR), _NO_SCALAR,
            _JACOBIAN, refusal=_NO_SCALAR),
    _output("one_entry_output", "xp.raw_gradient(lambda x: x * x, x)", ([3.0],), Value([6.0]),
            "one entry, in an array with an axis", "index the entry", refusal="an axis is no scalar"),
    _output("scalar_output", "xp.raw_gradient(lambda x: xp.sum(x * x), x)", ([1.0, 2.0],), Value([2, 4]), "2 x", ""),
    _output("empty_output", "xp.raw_gradient(lambda x: x[0:0], x)", ([1.0, 2.0],), Undefined(_NO_SCALAR),
            "nothing to differentiate", _JACOBIAN, refusal=_NO_SCALAR),
    _output("complex_output", "xp.raw_gradient(lambda x: x * (1.0 + 2.0j), x)", (3.0,),
            Undefined("a complex number has two derivatives"), "two real outputs", "xp.real(...) of it",
            refusal="a complex number is no scalar loss"),
    _output("integer_output", "xp.raw_gradient(lambda x: xp.argmax(x), x)", ([1.0, 2.0],),
            Undefined("whole numbers have no derivative"), "an index", "", refusal="whole numbers have no derivative"),
    _output("boolean_output", "xp.raw_gradient(lambda x: x > 0, x)", (3.0,),
            Undefined("true and false have no derivative"), "a comparison", "",
            refusal="true and false have no derivative"),
)  # fmt: skip

CASES = (*_COMPLEX, *_DTYPES, *_INTEGERS, *_UNUSED, *_OUTPUTS)
