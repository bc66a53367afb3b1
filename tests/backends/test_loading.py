"""Discovery of backends by their file names, a user's own file and other packages included."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from autodiff_compare import backends
from autodiff_compare.backends import Backend, available, load, missing, registry
from autodiff_compare.backends.tensorflow_backend import adapter

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = {"autograd", "finite_difference", "jax", "manual", "tensorflow", "torch"}


def test_available_lists_every_adapter_under_its_file_name():
    folder = ROOT / "backends"
    found = {path.name.removesuffix("_backend.py") for path in folder.glob("*_backend.py")}
    found |= {path.parent.name.removesuffix("_backend") for path in folder.glob("*_backend/adapter.py")}
    assert set(available()) == found >= SHIPPED
    assert all(issubclass(cls, Backend) and cls.name == name for name, cls in available().items())
    with pytest.raises(TypeError):
        available()["mine"] = Backend  # type: ignore[index]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_load_imports_no_other_adapter(name):
    code = (
        f"import sys; from autodiff_compare import backends; backends.load({name!r});"
        "print(*sorted(m for m in sys.modules if m.startswith('autodiff_compare.backends.') and m[-8:] == '_backend'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"autodiff_compare.backends.{name}_backend"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('broken file')", "broken file"),
        ("import nosuchmodule", "nosuchmodule"),
        ("x = 1", "got 0 backends"),
        ("from autodiff_compare.backends.manual_backend import ManualBackend", "got 0 backends"),
        (
            """
            from autodiff_compare.backends.interface import Backend
            class Other(Backend):
                name = "other"
                open = to_var = to_numpy = grad = step = _native = scan = block = lambda *a: None
            """,
            "named 'other' in broken_backend.py",
        ),
    ],
)
def test_a_broken_adapter_harms_no_other(tmp_path, monkeypatch, text, message):
    """The folder appears to hold one more file, which is broken."""
    (tmp_path / "broken_backend.py").write_text(textwrap.dedent(text))
    (tmp_path / "manual_backend.py").touch()
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "registry.py"))
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    sys.modules.pop("autodiff_compare.backends.broken_backend", None)
    assert load("manual").name == "manual"
    with pytest.raises((RuntimeError, ImportError, ValueError), match=message):
        load("broken")
    sys.modules.pop("autodiff_compare.backends.broken_backend", None)


@pytest.mark.parametrize("spec", ["nosuch", "", "Torch", "nosuch:eager", "backends"])
def test_an_unknown_name_lists_the_choices(spec):
    with pytest.raises(ValueError, match=r"[Ee]xpected one of: autograd, finite_difference, jax, .*or a path"):
        load(spec)


@pytest.mark.parametrize(("spec", "choices"), [("jax:nosuch", "'eager'"), ("manual:eager", "none")])
def test_an_unknown_variant_lists_the_choices(spec, choices):
    with pytest.raises(ValueError, match=f"expected one of: {choices}"):
        load(spec)


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"got backend file 'no/such.py', expected an existing"):
        load("no/such.py")


def test_missing_distributions_are_found_without_importing():
    class Needy:
        requires = ("numpy", "no-such-distribution", "numpy", "nor-this")

    assert missing(Needy) == ("no-such-distribution", "nor-this")  # type: ignore[arg-type]
    assert missing(load("manual")) == () == missing(available()["manual"])


def test_versions_need_no_open():
    import numpy as np

    assert load("manual").versions() == {"numpy": np.__version__}


MINE = '''
"""Derivatives by complex steps: f'(x) = Im f(x + ih) / h, exact to rounding (Squire and Trapp 1998)."""

from typing import ClassVar

import numpy as np

from autodiff_compare.backends.interface import Backend, Unsupported, python_scan
from autodiff_compare.vocabulary import Operator


class ComplexStep(Backend):
    name = "complex_step"
    requires = ("numpy",)
    native = frozenset({Operator.VALUE, Operator.JVP})

    def open(self):
        self.xp = np

    def to_var(self, array, *, dtype=None):
        return np.array(array, dtype=dtype)

    def to_numpy(self, var):
        return np.array(var)

    def grad(self, f, argnums=0):
        which = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args):
            parts = self.prepare(Operator.GRADIENT, f, args, argnums=which)(*args)
            return parts[0] if isinstance(argnums, int) else parts

        return gradient

    def step(self, optimizer, params, grads, state):
        raise Unsupported("complex_step has no optimizer")

    def scan(self, f, init, xs):
        return python_scan(np, f, init, xs)

    def block(self, out):
        return out

    def _native(self, request):
        function, n = request.function, len(request.args)
        if request.operator is Operator.VALUE:
            return function

        def jvp(*given):
            inputs = list(given[:n])
            for i, t in zip(request.argnums, given[n:], strict=True):
                inputs[i] = inputs[i] + 1e-30j * t
            return np.asarray(np.imag(function(*inputs)) * 1e30).astype(given[n].dtype)

        return jvp
'''
#: First derivatives only: a complex step does not nest.
MY_OPERATORS = ("value", "gradient", "value_and_gradient", "jvp", "vjp", "jacobian")


def test_a_users_adapter_takes_the_documented_route(tmp_path):
    """Run ``AUTODIFF_BACKEND=path pytest tests/backends/test_backends.py`` for the operators that this adapter has."""
    path = tmp_path / "mine_backend.py"
    path.write_text(MINE)
    chosen = " or ".join(f"mine_backend.py-{s}-{o}-" for s in ("scalars", "disconnected") for o in MY_OPERATORS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n0",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/backends/test_backends.py",
            "-k",
            chosen,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "AUTODIFF_BACKEND": str(path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * 2 * len(MY_OPERATORS)} passed" in done.stdout


PACKAGED = """
from autodiff_compare.backends.interface import NumpyArrays


class Packaged(NumpyArrays):
    name, native = "packaged", frozenset()

    def _native(self, *_): ...
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with one module and entry points that name it."""
    (tmp_path / "packaged_adapter.py").write_text(PACKAGED)
    (tmp_path / "packaged-1.0.dist-info").mkdir()
    (tmp_path / "packaged-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: packaged\nVersion: 1.0\n"
    )
    (tmp_path / "packaged-1.0.dist-info" / "entry_points.txt").write_text(
        "[autodiff_compare.backends]\n"
        "packaged = packaged_adapter:Packaged\n"
        "jax = packaged_adapter\n"
        "other = packaged_adapter\n"
        "absent = no_such_module\n"
        "number = math:pi\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("packaged_adapter", None)


def test_a_package_offers_a_backend_by_an_entry_point(package):
    assert backends.offered() == dict.fromkeys(["absent", "number", "other", "packaged"], "packaged")
    assert "packaged_adapter" not in sys.modules, "offered without being imported"
    assert load("packaged").spec == "packaged"
    assert load("jax").requires[0] == "jax", "a name of this project is not replaced"
    assert "packaged" not in available()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "cannot load backend 'absent' from no_such_module: ModuleNotFoundError"),
        ("other", "expected a Backend named 'other'"),
        ("number", "got math:pi, expected a Backend named 'number'"),
        ("nosuch", "expected one of: .*, absent, number, other, packaged, or a path"),
        ("packaged:fast", "expected one of: none"),
    ],
)
def test_a_broken_entry_point_is_one_clear_error(package, name, words):
    with pytest.raises(ValueError, match=words):
        load(name)


HEAD = (
    "from autodiff_compare.backends.interface import NumpyArrays\nclass Mine(NumpyArrays):\n    native = frozenset()\n"
)
METHOD = "    def _native(self, *_): ...\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "cannot load backend file .*mine_backend.py: ZeroDivisionError"),
        ("def f(:", "cannot load backend file .*mine_backend.py: SyntaxError"),
        ("raise SystemExit('no GPU')", "cannot load backend file .*mine_backend.py: SystemExit: no GPU"),
        (f"{HEAD}    name = 'mine'", r"got 0 backends in .* \(Mine lacks _native\)"),
        (f"{HEAD}{METHOD}class Other(Mine): ...", r"got 2 backends in .* \(Mine, Other\)"),
        (f"{HEAD}{METHOD}", "got name None of Mine .*, expected name = 'my_backend'"),
        (f"{HEAD}    name = 'my backend/1'\n{METHOD}", "got name 'my backend/1' of Mine"),
        (
            f"{HEAD}    name = 'torch'\n{METHOD}",
            "got a backend named 'torch' in .*, which is a backend of this project",
        ),
        (
            f"{HEAD}    name = 'mine'\n    def _native(self, operator, f, args, argnums, directions): ...\n",
            r"mine_backend.py: TypeError: got Mine._native\(self, operator, f, .*\), expected _native\(self, request\)",
        ),
        (
            f"{HEAD}    name = 'mine'\n{METHOD}    def compressed(self, f, args, argnums, plan): ...\n",
            r"got Mine.compressed\(self, f, .*\), expected compressed\(self, request, plan\): operator, f,",
        ),
    ],
)
def test_a_broken_file_of_a_user_is_one_clear_error(tmp_path, text, words):
    (tmp_path / "mine_backend.py").write_text(text)
    with pytest.raises(ValueError, match=words):
        load(str(tmp_path / "mine_backend.py"))


def test_a_users_backend_may_import_modules_beside_its_file(tmp_path):
    """It may import such a module at its top, and when it is opened."""
    (tmp_path / "my_engine_here.py").write_text("NAME = 'mine'")
    (tmp_path / "my_kernels_here.py").write_text("")
    opening = "    def open(self):\n        import my_kernels_here\n        self.xp = my_kernels_here\n"
    text = f"import my_engine_here\n{HEAD}    name = my_engine_here.NAME\n{opening}{METHOD}"
    (tmp_path / "mine_backend.py").write_text(text)
    backend = load(str(tmp_path / "mine_backend.py"))
    backend.open()
    assert backend.xp.__name__ == "my_kernels_here"
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (["tensorflow"], "tensorflow"),
        (["tensorflow_cpu"], "tensorflow-cpu"),
        (["tensorflow_cpu", "tensorflow"], "tensorflow"),
        ([], "tensorflow"),
        (["tensorflow_datasets"], "tensorflow"),
    ],
)
def test_tensorflow_for_the_cpu_alone_is_tensorflow(installed, expected, tmp_path):
    for name in installed:
        folder = tmp_path / f"{name}-2.21.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.21.0\n")
    assert adapter.distribution([str(tmp_path)]) == expected
