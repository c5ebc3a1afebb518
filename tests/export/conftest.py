import pytest

from tests.export.bundles import MODELS, Written, write


@pytest.fixture(scope="session", params=MODELS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One bundle a kind of task. Read it, never change it."""
    return write(tmp_path_factory.mktemp("bundles") / request.param, request.param)
