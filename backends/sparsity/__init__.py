"""Sparsity of Jacobians: where entries may be non-zero (`pattern`), and which products give them all (`colouring`)."""
