"""Fuzzing: random programs through several backends, judged, classed, shrunk and written down as findings."""
