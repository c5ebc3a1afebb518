import subprocess
import sys

# What polars, or `pipelines` for it, writes into the environment would be inherited by what is measured.
PROGRAM = """
import sys
import benchmarks.data.__main__
print([name for name in ("polars", "pipelines") if name in sys.modules])
"""


def test_what_starts_the_measurements_loads_nothing_that_sets_the_allocator():
    assert subprocess.check_output([sys.executable, "-c", PROGRAM], text=True).strip() == "[]"
