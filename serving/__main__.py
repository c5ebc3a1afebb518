"""`python -m serving`: the server's command, loaded without a look for garbage, which would be a tenth of the start."""

import gc
import sys

gc.disable()
from serving.command import main  # noqa: E402  what is to be loaded

gc.enable()

if __name__ == "__main__":
    sys.exit(main())
