"""What a worker computes of a cell: its preparation, its timed blocks, and the looks at its results and memory."""
