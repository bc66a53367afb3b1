"""The command line of a clone: ``python compare.py VERB``; once installed, ``autodiff-compare VERB``."""

import sys

from autodiff_compare.cli.main import main
from autodiff_compare.process.environment import hide_clone

if __name__ == "__main__":
    hide_clone()
    sys.exit(main())
