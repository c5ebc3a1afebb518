"""Measure, print the table, write the results. `--quick` tries it out, with figures that mean nothing.

Every server stays on one core and is asked from another. Two that are compared run at the same time and are asked in
turns, so that a busy machine slows both alike; what counts is the median of the rounds' ratios.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.results_file import Claim, write_results
from benchmarks.serving.comparisons import compare_with_noop, compare_with_peer, measure_columns
from benchmarks.serving.cores import two_cores
from benchmarks.serving.effort import QUICK, WHOLE, Effort
from benchmarks.serving.files import compare_files
from benchmarks.serving.model import train_ensemble, train_linear
from benchmarks.serving.own import Bench
from benchmarks.serving.peers import PEERS
from benchmarks.serving.process_claims import measure_latency, measure_memory, measure_start


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="try it out; writes no results")
    effort = QUICK if parser.parse_args().quick else WHOLE
    with tempfile.TemporaryDirectory() as folder:
        claims = _measure(Path(folder), effort)
    if effort is WHOLE:
        write_results("serving", claims, command="make bench-serving")
    else:
        for claim in claims:
            print(claim)


def _measure(folder: Path, effort: Effort) -> list[Claim]:
    server_core, load_core = two_cores()
    print("Training the models that are served", flush=True)
    ensemble, linear = train_ensemble(folder / "ensemble"), train_linear(folder / "linear")
    bench = Bench(ensemble, effort, server_core=server_core, load_core=load_core)
    claims = compare_with_noop(bench)
    for peer in PEERS:
        print(f"Beside {peer.name}", flush=True)
        claims += compare_with_peer(bench, peer, folder=folder)
    claims += measure_columns(bench)
    claims += measure_columns(Bench(linear, effort, server_core=server_core, load_core=load_core))
    claims += [measure_latency(bench), *measure_start(bench), measure_memory(bench)]
    return claims + compare_files(ensemble, effort)


if __name__ == "__main__":
    main()
