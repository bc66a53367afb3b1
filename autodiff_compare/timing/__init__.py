"""Timing: the clock within a worker, the schedule of rounds, and the statistics of their samples."""
