"""Spectra, factorisations, determinants and inverses.

Eigenvectors appear only in functions that do not depend on their signs.
"""

from __future__ import annotations

from functools import partial

from autodiff_compare.problems.conventions.case import Case, Kink, Undefined, Value

_eigen = partial(Case, "eigenvalues", symmetric=True)
_singular = partial(Case, "singular")
_vector = partial(Case, "vectors")
_cholesky = partial(Case, "cholesky", symmetric=True)
_det = partial(Case, "det_inverse")

_SYMMETRIC = "symmetrise first: xp.linalg.eigvalsh((A + A.T) / 2)"
_SPLIT = "ask only for what does not tell the equal ones apart: their sum, or a trace"
_NO_INVERSE = "a singular matrix"
_NOT_DEFINITE = "not positive definite"
_NO_VECTORS = "the vectors of equal eigenvalues have no derivative, and the chain rule goes through them"

# Coordinates of symmetric 2 x 2 matrices are E00, E01 + E10, E11. A matrix that is not symmetric is no case here: how
# each backend reads one is the study of `eigenvalue_smallest_raw`.
_EIGEN = (
    _eigen("eigenvalue_smallest", "xp.linalg.eigvalsh(x)[0]", ([[2.0, 1.0], [1.0, 2.0]],), Value([0.5, -1, 0.5]),
           "v v^T with v = (1, -1)/sqrt 2", _SYMMETRIC),
    _eigen("eigenvalue_largest", "xp.linalg.eigvalsh(x)[1]", ([[2.0, 1.0], [1.0, 2.0]],), Value([0.5, 1, 0.5]),
           "v v^T with v = (1, 1)/sqrt 2", _SYMMETRIC),
    _eigen("eigenvalue_diagonal", "xp.linalg.eigvalsh(x)[0]", ([[1.0, 0.0], [0.0, 3.0]],), Value([1, 0, 0]), "e0 e0^T",
           ""),
    _eigen("eigenvalue_double", "xp.linalg.eigvalsh(x)[0]", ([[1.0, 0.0], [0.0, 1.0]],),
           Kink([1, 0, 0], [0, 0, 1], [0.5, 1, 0.5], [0.5, -1, 0.5], more="the convex hull of all v v^T with |v| = 1"),
           "the smaller of two equal ones is a cone", _SPLIT),
    _eigen("eigenvalue_sum_double", "xp.sum(xp.linalg.eigvalsh(x))", ([[1.0, 0.0], [0.0, 1.0]],), Value([1, 0, 1]),
           "the trace", "xp.linalg.trace(x)"),
    _eigen("eigenvalue_squares_double", "xp.sum(xp.linalg.eigvalsh(x) ** 2)", ([[1.0, 0.0], [0.0, 1.0]],),
           Value([2, 0, 2]), "the trace of A^2", "xp.sum(x * x)"),
    _eigen("eigenvalue_zero_matrix", "xp.sum(xp.linalg.eigvalsh(x) ** 2)", ([[0.0, 0.0], [0.0, 0.0]],),
           Value([0, 0, 0]), "the trace of A^2", "xp.sum(x * x)"),
    _eigen("eigenvalue_product", "xp.prod(xp.linalg.eigvalsh(x))", ([[2.0, 1.0], [1.0, 2.0]],), Value([2, -2, 2]),
           "the determinant: a b - c^2", ""),
    _eigen("eigenvalue_gap_double", "xp.linalg.eigvalsh(x)[1] - xp.linalg.eigvalsh(x)[0]",
           ([[1.0, 0.0], [0.0, 1.0]],), Kink([1, 0, -1], [-1, 0, 1], [0, 2, 0], [0, -2, 0], more="an ellipse"),
           "sqrt((a - b)^2 + 4 c^2) at 0", _SPLIT),
    _eigen("eigh_values", "xp.linalg.eigh(x)[0][0]", ([[2.0, 1.0], [1.0, 2.0]],), Value([0.5, -1, 0.5]),
           "v v^T with v = (1, -1)/sqrt 2; through eigh", _SYMMETRIC),
    _eigen("eigh_values_sum_double", "xp.sum(xp.linalg.eigh(x)[0])", ([[1.0, 0.0], [0.0, 1.0]],), Value([1, 0, 1]),
           "the trace; through eigh", _SPLIT),
    _eigen("eigenvalue_one_by_one", "xp.linalg.eigvalsh(x)[0]", ([[5.0]],), Value(1.0), "the number itself", ""),
    _eigen("eigenvalue_triple_sum", "xp.sum(xp.linalg.eigvalsh(x) ** 2)",
           ([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]],), Value([4, 0, 0, 4, 0, 4]), "the trace of A^2",
           "xp.sum(x * x)"),
    _eigen("eigenvalue_near_double", "xp.linalg.eigvalsh(x)[0]", ([[1.0, 0.0], [0.0, 1.0009765625]],),
           Value([1, 0, 0]), "e0 e0^T", ""),
)  # fmt: skip

_SINGULAR = (
    _singular("singular_value_largest", "xp.linalg.svdvals(x)[0]", ([[3.0, 0.0], [0.0, 2.0]],), Value([1, 0, 0, 0]),
              "u v^T", ""),
    _singular("singular_value_zero", "xp.linalg.svdvals(x)[1]", ([[3.0, 0.0], [0.0, 0.0]],), Kink([0, 0, 0, 1], [0, 0,
              0, -1]),
              "|det|/s0: a corner where it vanishes", ""),
    _singular("singular_values_equal", "xp.linalg.svdvals(x)[0]", ([[1.0, 0.0], [0.0, 1.0]],),
              Kink([1, 0, 0, 0], [0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5], more="the convex hull of all v v^T with |v| = 1"),
              "the larger of two equal ones", _SPLIT),
    _singular("singular_values_squares_equal", "xp.sum(xp.linalg.svdvals(x) ** 2)", ([[1.0, 0.0], [0.0, 1.0]],),
              Value([2, 0, 0, 2]), "the sum of the squares of all entries", "xp.sum(x * x)"),
    _singular("singular_values_sum_equal", "xp.sum(xp.linalg.svdvals(x))", ([[1.0, 0.0], [0.0, 1.0]],),
              Value([1, 0, 0, 1]), "u v^T is the identity", ""),
    _singular("singular_values_zero_matrix", "xp.sum(xp.linalg.svdvals(x) ** 2)", ([[0.0, 0.0], [0.0, 0.0]],),
              Value([0, 0, 0, 0]), "the sum of the squares of all entries", "xp.sum(x * x)"),
    _singular("singular_value_wide", "xp.linalg.svdvals(x)[0]", ([[3.0, 4.0]],), Value([0.6, 0.8]), "the norm", ""),
    _singular("singular_value_of_negative", "xp.linalg.svdvals(x)[0]", ([[-2.0]],), Value(-1.0), "|x|", ""),
    _singular("nuclear_norm", "xp.linalg.matrix_norm(x, ord='nuc')", ([[3.0, 0.0], [0.0, 2.0]],), Value([1, 0, 0, 1]),
              "u v^T", ""),
    _singular("spectral_norm", "xp.linalg.matrix_norm(x, ord=2)", ([[3.0, 0.0], [0.0, 2.0]],), Value([1, 0, 0, 0]),
              "u v^T", ""),
    _singular("nuclear_norm_rank_one", "xp.linalg.matrix_norm(x, ord='nuc')", ([[2.0, 0.0], [0.0, 0.0]],),
              Kink([1, 0, 0, 1], [1, 0, 0, -1]), "a corner where the smaller one vanishes", ""),
    _singular("svd_reconstruction", "xp.sum((xp.linalg.svd(x)[0] * xp.linalg.svd(x)[1]) @ xp.linalg.svd(x)[2] * a)",
              ([[3.0, 0.0], [0.0, 2.0]],), Value([1, 2, 3, 4]), "U S V^T is x", "", data=([[1.0, 2.0], [3.0, 4.0]],)),
)  # fmt: skip

_PROJECTOR = "xp.linalg.eigh(x)[1][:, 0:1]"
_VECTORS = (
    _vector("projector", f"xp.sum(a * ({_PROJECTOR} @ xp.matrix_transpose({_PROJECTOR})))",
            ([[1.0, 0.0], [0.0, 3.0]],), Value([0, -0.5, 0]), "v' = -e1/2 for E01 + E10: a01 + a10 = 1", "",
            data=([[1.0, 0.5], [0.5, 2.0]],), symmetric=True),
    _vector("squared_entry", "xp.linalg.eigh(x)[1][0, 0] ** 2", ([[1.0, 0.0], [0.0, 3.0]],), Value([0, 0, 0]),
            "cos^2 of the angle, at 0", "", symmetric=True),
    _vector("squared_entry_turned", "xp.linalg.eigh(x)[1][0, 0] ** 2", ([[2.0, 1.0], [1.0, 2.0]],),
            Value([-0.25, 0, 0.25]), "(1 - d/sqrt(d^2 + 1))/2 with d = (a - b)/2, c = 1", "", symmetric=True),
    _vector("squared_entry_double", "xp.linalg.eigh(x)[1][0, 0] ** 2", ([[1.0, 0.0], [0.0, 1.0]],),
            Undefined("the vectors of equal eigenvalues jump"), "any rotation of them will do",
            "ask for the projector onto both", symmetric=True),
    _vector("whole_projector_double", "xp.sum(a * (xp.linalg.eigh(x)[1] @ xp.matrix_transpose(xp.linalg.eigh(x)[1])))",
            ([[1.0, 0.0], [0.0, 1.0]],), Value([0, 0, 0]), "V V^T is the identity for every A",
            "leave it out: it is the identity", data=([[1.0, 0.5], [0.5, 2.0]],), symmetric=True, lost=_NO_VECTORS),
    _vector("reconstruction", "xp.sum(a * ((xp.linalg.eigh(x)[1] * xp.linalg.eigh(x)[0]) "
            "@ xp.matrix_transpose(xp.linalg.eigh(x)[1])))", ([[2.0, 1.0], [1.0, 2.0]],), Value([1, 1, 2]),
            "V L V^T is x: a00, a01 + a10, a11", "", data=([[1.0, 0.5], [0.5, 2.0]],), symmetric=True),
    _vector("reconstruction_double", "xp.sum(a * ((xp.linalg.eigh(x)[1] * xp.linalg.eigh(x)[0]) "
            "@ xp.matrix_transpose(xp.linalg.eigh(x)[1])))", ([[1.0, 0.0], [0.0, 1.0]],), Value([1, 1, 2]),
            "V L V^T is x: 1, 1, 2 for every A", "use x", data=([[1.0, 0.5], [0.5, 2.0]],), symmetric=True,
            lost=_NO_VECTORS),
    _vector("qr_reconstruction", "xp.sum(a * (xp.linalg.qr(x)[0] @ xp.linalg.qr(x)[1]))", ([[2.0, 1.0], [1.0, 3.0]],),
            Value([1, 2, 3, 4]), "Q R is x", "", data=([[1.0, 2.0], [3.0, 4.0]],)),
    _vector("qr_projector", "xp.sum(a * (xp.linalg.qr(x)[0] @ xp.matrix_transpose(xp.linalg.qr(x)[0])))",
            ([[3.0], [4.0]],), Value([0.1536, -0.1152]), "x0^2/(x.x): 2 x0/r^2 - 2 x0^3/r^4, -2 x0^2 x1/r^4", "",
            data=([[1.0, 0.0], [0.0, 0.0]],)),
    _vector("qr_singular", "xp.sum(xp.abs(xp.linalg.qr(x)[1]))", ([[1.0, 2.0], [2.0, 4.0]],),
            Undefined("R of a singular matrix has no derivative"), "r11 = 0", "", refusal=_NO_INVERSE),
)  # fmt: skip

_CHOLESKY = (
    _cholesky("cholesky_identity", "xp.sum(xp.linalg.cholesky(x))", ([[1.0, 0.0], [0.0, 1.0]],), Value([0.5, 1, 0.5]),
              "dL = L Phi(L^-1 dA L^-T), Phi halving the diagonal", "symmetrise the gradient"),
    _cholesky("cholesky_corner", "xp.linalg.cholesky(x)[0, 0]", ([[4.0, 2.0], [2.0, 5.0]],), Value([0.25, 0, 0]),
              "sqrt(a): 1/(2 sqrt a)", ""),
    _cholesky("cholesky_below", "xp.linalg.cholesky(x)[1, 0]", ([[4.0, 2.0], [2.0, 5.0]],), Value([-0.125, 0.5, 0]),
              "c/sqrt(a): -c/(2 a^1.5), 1/sqrt(a)", "symmetrise the gradient"),
    _cholesky("cholesky_above", "xp.linalg.cholesky(x)[0, 1]", ([[4.0, 2.0], [2.0, 5.0]],), Value([0, 0, 0]),
              "0 above the diagonal", ""),
    _cholesky("cholesky_upper", "xp.linalg.cholesky(x, upper=True)[0, 1]", ([[4.0, 2.0], [2.0, 5.0]],),
              Value([-0.125, 0.5, 0]), "c/sqrt(a)", "symmetrise the gradient"),
    _cholesky("cholesky_log_determinant", "2.0 * xp.sum(xp.log(xp.linalg.diagonal(xp.linalg.cholesky(x))))",
              ([[2.0, 1.0], [1.0, 2.0]],), Value([2 / 3, -2 / 3, 2 / 3]), "A^-1, off-diagonals twice", ""),
    _cholesky("cholesky_singular", "xp.linalg.cholesky(x)[0, 0]", ([[1.0, 1.0], [1.0, 1.0]],), Undefined(_NOT_DEFINITE),
              "sqrt(a) alone in exact numbers", "add a ridge", refusal=_NOT_DEFINITE),
    _cholesky("cholesky_indefinite", "xp.linalg.cholesky(x)[1, 1]", ([[1.0, 2.0], [2.0, 1.0]],),
              Undefined("no real factor"), "an eigenvalue of -1", "", refusal=_NOT_DEFINITE),
    _cholesky("cholesky_reconstruction",
              "xp.sum(a * (xp.linalg.cholesky(x) @ xp.matrix_transpose(xp.linalg.cholesky(x))))",
              ([[4.0, 2.0], [2.0, 5.0]],), Value([1, 1, 2]), "L L^T is A", "", data=([[1.0, 0.5], [0.5, 2.0]],)),
    _cholesky("cholesky_one_by_one", "xp.linalg.cholesky(x)[0, 0]", ([[0.0]],), Undefined(_NOT_DEFINITE), "sqrt at 0",
              "",
              refusal=_NOT_DEFINITE),
)  # fmt: skip

_DETS = (
    _det("det_regular", "xp.linalg.det(x)", ([[1.0, 2.0], [3.0, 4.0]],), Value([4, -3, -2, 1]), "cofactors", ""),
    _det("det_singular", "xp.linalg.det(x)", ([[1.0, 2.0], [2.0, 4.0]],), Value([4, -2, -2, 1]),
         "cofactors; the formula det(A) A^-T is 0 * inf", "write the determinant out, or use slogdet of a regular one"),
    _det("det_zero_matrix_2", "xp.linalg.det(x)", ([[0.0, 0.0], [0.0, 0.0]],), Value([0, 0, 0, 0]), "cofactors", ""),
    _det("det_zero_matrix_3", "xp.linalg.det(x)", ([[0.0] * 3] * 3,), Value([0] * 9), "cofactors", ""),
    _det("det_rank_one_of_3", "xp.linalg.det(x)", ([[1.0, 1.0, 1.0]] * 3,), Value([0] * 9), "cofactors", ""),
    _det("det_rank_two_of_3", "xp.linalg.det(x)", ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]],),
         Value([0, 0, 0, 0, 0, 0, 0, 0, 1]), "cofactors", ""),
    _det("det_identity", "xp.linalg.det(x)", ([[1.0, 0.0], [0.0, 1.0]],), Value([1, 0, 0, 1]), "cofactors", ""),
    _det("det_one_by_one", "xp.linalg.det(x)", ([[0.0]],), Value(1.0), "det is the number", ""),
    _det("slogdet_regular", "xp.linalg.slogdet(x)[1]", ([[1.0, 2.0], [3.0, 4.0]],), Value([-2, 1.5, 1, -0.5]), "A^-T",
         ""),
    _det("slogdet_negative_sign", "xp.linalg.slogdet(x)[0]", ([[0.0, 1.0], [1.0, 0.0]],), Value([0, 0, 0, 0]),
         "the sign is constant", ""),
    _det("slogdet_singular", "xp.linalg.slogdet(x)[1]", ([[1.0, 2.0], [2.0, 4.0]],), Undefined("log 0"),
         "log|det| falls to -inf", "", refusal=_NO_INVERSE),
    _det("inverse_regular", "xp.sum(xp.linalg.inv(x))", ([[2.0, 0.0], [0.0, 4.0]],),
         Value([-0.25, -0.125, -0.125, -0.0625]), "-A^-T 1 1^T A^-T", ""),
    _det("inverse_singular", "xp.sum(xp.linalg.inv(x))", ([[1.0, 2.0], [2.0, 4.0]],), Undefined("no inverse"),
         "no inverse", "", refusal=_NO_INVERSE),
    _det("solve_regular", "xp.sum(xp.linalg.solve(x, y))", ([[2.0, 0.0], [0.0, 4.0]], [2.0, 4.0]),
         Value([-0.5, -0.5, -0.25, -0.25], [0.5, 0.25]), "-A^-T 1 (A^-1 b)^T and A^-T 1", ""),
    _det("solve_singular", "xp.sum(xp.linalg.solve(x, a))", ([[1.0, 2.0], [2.0, 4.0]],), Undefined("no solution"),
         "no inverse", "", data=([1.0, 1.0],), refusal=_NO_INVERSE),
    _det("pinv_regular", "xp.sum(xp.linalg.pinv(x))", ([[2.0, 0.0], [0.0, 4.0]],),
         Value([-0.25, -0.125, -0.125, -0.0625]), "the inverse's", ""),
    _det("pinv_column", "xp.sum(xp.linalg.pinv(x))", ([[3.0], [4.0]],), Value([-0.0272, -0.0496]),
         "x^T/(x.x): 1/r^2 - 2 s x/r^4 with s the sum", ""),
    _det("pinv_rank_one", "xp.sum(xp.linalg.pinv(x))", ([[1.0, 0.0], [0.0, 0.0]],),
         Undefined("the pseudoinverse jumps with the rank"), "no limit", "add a ridge", refusal=_NO_INVERSE),
    _det("lstsq_regular", "xp.sum(xp.lstsq(x, y))", ([[2.0, 0.0], [0.0, 4.0]], [2.0, 4.0]),
         Value([-0.5, -0.5, -0.25, -0.25], [0.5, 0.25]), "as solve", ""),
    _det("trace_of_inverse_product", "xp.linalg.trace(xp.linalg.inv(x) @ x)", ([[2.0, 1.0], [1.0, 3.0]],),
         Value([0, 0, 0, 0]), "the trace of the identity", "leave it out"),
    _det("matrix_power_0", "xp.sum(xp.linalg.matrix_power(x, 0))", ([[2.0, 1.0], [1.0, 3.0]],), Value([0, 0, 0, 0]),
         "A^0 is the identity", ""),
    _det("matrix_power_minus_1", "xp.sum(xp.linalg.matrix_power(x, -1))", ([[2.0, 0.0], [0.0, 4.0]],),
         Value([-0.25, -0.125, -0.125, -0.0625]), "the inverse's", ""),
)  # fmt: skip

CASES = (*_EIGEN, *_SINGULAR, *_VECTORS, *_CHOLESKY, *_DETS)
