"""Problems that a user declares: a function with the point at which it is differentiated, or whole problems."""
