"""What holds for every test: the user's own settings stay out, and a slow machine is no failure."""

import os
import signal

import hypothesis

from pipelines.collector import spare_modules

spare_modules()

# A suite that a shell runs in the background is told to ignore Ctrl-C, and so would be every command that it types.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Once, before anything reads them: a tracking server or a port set in the user's shell must not reach a test.
for name in [name for name in os.environ if name.startswith(("MLFLOW_", "SERVING_"))]:
    del os.environ[name]

# A loaded machine may take any time for one example. Continuous integration draws the same examples every time.
hypothesis.settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("here")
