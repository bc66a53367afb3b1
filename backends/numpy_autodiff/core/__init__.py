"""The tracing core: graphs of primitives and the sweeps through them. It knows no derivative rule and no array class.

Read in this order: `pytree`, `tracing` (nodes, traces, nesting), `primitive` (functions with rules, and how a call
is recorded), `reverse`, `transpose`, `reach`, `forward`. `broadcasting`, `cotangent`, `operands` and `ownership`
serve those; `partial_sweep` and `memory` stand alone.
"""
