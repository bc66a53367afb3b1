"""Tools around the engine: drawings of graphs, the benchmark, and optimizers."""
