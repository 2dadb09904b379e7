"""`python -m netspec` is the command `netspec`."""

import sys

from netspec.cli import process

if __name__ == "__main__":
    sys.exit(process())
