"""`python -m fastserve.rig`: hands over to the command line, and knows nothing else."""

import sys

from fastserve.rig.cli import main

if __name__ == "__main__":
    sys.exit(main())
