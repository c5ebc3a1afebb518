"""Where stacks run."""

from pipelines.engines.local import run_stacks

__all__ = ["run_stacks"]
