"""The command line of a clone: ``python compare.py VERB``; once installed, ``autodiff-compare VERB``."""

import sys

from autodiff_compare.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
