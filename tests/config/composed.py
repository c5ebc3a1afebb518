"""What Hydra composes from conf/, for the tests of this room."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from pipelines.config.plain import plain_values

CONF = Path(__file__).resolve().parents[2] / "conf"


def composed(*overrides: str) -> dict[str, Any]:
    """The plain values of one trial."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plain_values(compose("config", list(overrides)))
