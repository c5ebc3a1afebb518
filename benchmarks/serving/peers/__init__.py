"""Other servers of the same model, one a file: how each is started, and how it is asked.

What runs inside those that need code of the user's is in `benchmarks/serving/services`: it is started by the Python of
an environment of their own, which `make bench-peers-setup` makes.
"""

from benchmarks.serving.peers.bentoml import BentoML
from benchmarks.serving.peers.litserve import LitServe
from benchmarks.serving.peers.mlflow import MLflow
from benchmarks.serving.peers.mlserver import MLServer
from benchmarks.serving.peers.peer import Peer, installed_version

PEERS: tuple[Peer, ...] = (MLflow(), BentoML(), LitServe(), MLServer())

__all__ = ["PEERS", "Peer", "installed_version"]
