"""Settings of a user's project: options that its ``pyproject.toml`` gives to the verbs."""
