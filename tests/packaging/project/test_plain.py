"""A test of the project that knows nothing of autodiff-compare."""

from owners import OWNERS


def test_the_projects_own_modules_are_imported():
    assert OWNERS == {"project"}
