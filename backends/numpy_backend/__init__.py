"""Our NumPy engine behind the neutral interface: `adapter` holds the backend."""
