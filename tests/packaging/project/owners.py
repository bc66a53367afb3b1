"""Which of the five names are the project's own; all of them, whatever else is installed."""

import backends
import compare
import harness
import problems
import vocabulary

OWNERS = {module.OWNER for module in (backends, compare, harness, problems, vocabulary)}
assert OWNERS == {"project"}, OWNERS
