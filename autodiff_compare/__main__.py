"""The command line as ``python -m autodiff_compare``."""

from __future__ import annotations

import sys

from autodiff_compare.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
