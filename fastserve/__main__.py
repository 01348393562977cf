"""`python -m fastserve`: hands over to the command line, and knows nothing else."""

import sys

from fastserve.cli import main

if __name__ == "__main__":
    sys.exit(main())
