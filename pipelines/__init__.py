"""From a table to a registered model; each package is one room, and imports go downwards only.

`sweep.py` tells the whole story. The rooms, from the top: `sweeps` (trials to stacks), `engines`
(where stacks run), `selection` (which members win), `export` (the bundle), `training`, `models`,
`stack` and `optim` (batched networks and their optimizers), `data`, `tasks`, `tracking`, `config`.
"""

import os
import sys

from serving.startup_interrupt import end_quietly_on_interrupt

end_quietly_on_interrupt()

# For polars, which reads it when it is loaded: its allocator would else keep what it freed, and a table read from CSV
# leaves twice its own size behind. Linux gives it memory in pages of 2 MiB where it asks for them: a table is read
# in two thirds of the time.
_huge_pages = ",thp:always" if sys.platform == "linux" else ""
os.environ.setdefault("_RJEM_MALLOC_CONF", f"dirty_decay_ms:150,muzzy_decay_ms:0{_huge_pages}")

# For torch, likewise: a thread that has done its part of an operation spins for a moment and then sleeps. By default it
# spins for milliseconds; where the cores are busy with others, or a container has fewer than it sees, that keeps the
# thread waited for from running: a sweep took 230 s there that takes 15 s so. A thousand turns are what the library
# itself takes once it knows of more threads than cores.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
