"""`python -m netspec` is the command `netspec`."""

import sys

from netspec.cli import main

if __name__ == "__main__":
    sys.exit(main())
