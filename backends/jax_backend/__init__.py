"""JAX behind the neutral interface: `adapter` holds the backend."""
