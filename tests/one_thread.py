"""Load NumPy with one thread of OpenBLAS. The tests run in as many processes as there are processors.

OpenBLAS reads the variable as it is loaded, and its threads wait for each other in loops: in two processes on two
loaded processors a triangular solve of order 150 took five times its processor time. The variable is set for the
import only, since a comparison names the variables of its caller that it withholds from its workers.
"""

from __future__ import annotations

import os
from unittest import mock

with mock.patch.dict(os.environ, OPENBLAS_NUM_THREADS="1"):
    import numpy  # noqa: F401 - for what it loads
