"""What holds for every test: the user's own settings stay out, and a slow machine is no failure."""

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest

from pipelines.garbage import spare_modules
from tests.tracking.servers import mlflow_server

spare_modules()

# A suite that a shell runs in the background is told to ignore Ctrl-C, and so would be every command that it types.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Once, before anything reads them: a tracking server or a port set in the user's shell must not reach a test.
for name in [name for name in os.environ if name.startswith(("MLFLOW_", "SERVING_"))]:
    del os.environ[name]

# A loaded machine may take any time for one example. Continuous integration draws the same examples every time.
hypothesis.settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("here")


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server for all tests: it takes seconds to start, so each registers models of other names."""
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(f"sqlite:///{folder / 'server.db'}", folder) as uri:
        yield uri
