"""The package as Python code calls it: `compare` for a function, and the fixture for a user's own tests."""
