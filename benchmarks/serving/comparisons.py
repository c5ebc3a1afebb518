"""Requests a second: beside FastAPI's no-op, beside each peer, and by the form in which 100 rows are sent."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.results_file import Claim
from benchmarks.serving.cores import on_core
from benchmarks.serving.load import LoadError, Rate, ask_once
from benchmarks.serving.model import ROOT, feed, open_session
from benchmarks.serving.own import Bench, Turn
from benchmarks.serving.peers import Peer, installed_version
from benchmarks.serving.processes import free_port, running
from benchmarks.serving.questions import Question, ask_arrow, ask_columns, ask_rows

LEAST_OF_NOOP = 0.55
LEAST_TIMES_MLFLOW = {1: 20.0, 100: 8.0}
MOST_BUSY = 0.9
MOST_SHOWN = 100  # characters of an error, in the table
SEVERAL = 100  # rows of the larger requests
LEAST_ROWS = {"JSON columns": 300_000, "Arrow": 1_500_000}


def compare_with_noop(bench: Bench) -> list[Claim]:
    """One row with full validation, against an endpoint that does nothing; and whether the load was fast enough."""
    port, columns = free_port(), bench.columns(1)
    command = [sys.executable, "-m", "benchmarks.serving.noop", str(port)]
    started = running(
        command,
        port=port,
        ready="/noop",
        core=bench.server_core,
        folder=bench.model.folder,
        variables={"PYTHONPATH": str(ROOT)},
    )
    with started as noop, bench.product() as product:
        nothing = Question("/noop", b"", "", lambda _: bench.expected(columns))
        own = bench.turn(product, ask_rows(columns, last_class=bench.last_class), columns)
        idle = Turn(noop.port, nothing.request, ask_once(noop.port, nothing.request)[1])
        rounds = bench.rates(own, idle)
    ratio, busy = _ratio(rounds), max(each.busy for pair in rounds for each in pair)
    return [
        Claim(
            claim="1 row: requests/s beside FastAPI's no-op on the same server",
            target=f"at least {LEAST_OF_NOOP:g}",
            measured=f"{ratio:.2f} ({_shown(rounds)})",
            met=ratio >= LEAST_OF_NOOP,
        ),
        Claim(
            claim="the load's own core is not what limits the rate: share of the time in which it was at work",
            target=f"at most {MOST_BUSY:.0%}",
            measured=f"{busy:.0%}",
            met=busy <= MOST_BUSY,
        ),
    ]


def compare_with_peer(bench: Bench, peer: Peer, *, folder: Path) -> list[Claim]:
    """1 and 100 rows, each server asked in its own form; a peer that is missing or fails has its line, too."""
    version = installed_version(peer)
    if version is None:
        return [_peer_claim(peer, n_rows, "not installed: make bench-peers-setup") for n_rows in (1, SEVERAL)]
    own_folder = folder / peer.package
    own_folder.mkdir()
    port = free_port()
    started = running(
        peer.command(bench.model, port, own_folder),
        port=port,
        ready=peer.ready,
        core=bench.server_core,
        folder=own_folder,
        variables=peer.variables(bench.model, own_folder),
    )
    claims = []
    try:
        with started as other, bench.product() as product:
            for n_rows in (1, SEVERAL):
                columns = bench.columns(n_rows)
                own = bench.turn(product, ask_rows(columns, last_class=bench.last_class), columns)
                theirs = bench.turn(other, peer.ask(columns, bench.last_class), columns)
                claims.append(_peer_claim(peer, n_rows, bench.rates(own, theirs), version=version))
    except (RuntimeError, LoadError) as error:
        print(error)
        failed = f"not measured: {str(error).splitlines()[-1][:MOST_SHOWN]}"
        claims += [_peer_claim(peer, n_rows, failed) for n_rows in (1, SEVERAL)[len(claims) :]]
    return claims


def measure_columns(bench: Bench) -> list[Claim]:
    """100 rows as columns, and what bare ONNX Runtime makes of them on the same core: no server can be faster."""
    columns = bench.columns(SEVERAL)
    forms = {"JSON columns": ask_columns, "Arrow": ask_arrow}
    bare = _bare_rows(bench)
    claims = []
    with bench.product() as product:
        for form, ask in forms.items():
            claim = f"{SEVERAL} rows as {form}, the {bench.model.name} model: rows/s"
            target = f"at least {LEAST_ROWS[form]:,}"
            try:
                turn = bench.turn(product, ask(columns, last_class=bench.last_class), columns)
                rows = SEVERAL * median(own.per_second for (own,) in bench.rates(turn))
            except LoadError as error:
                claims.append(Claim(claim, target, f"not measured: {str(error)[:MOST_SHOWN]}", met=False))
                continue
            measured = f"{rows:,.0f} (bare ONNX Runtime on one core: {bare:,.0f})"
            claims.append(Claim(claim, target, measured, met=rows >= LEAST_ROWS[form]))
    return claims


def _bare_rows(bench: Bench) -> float:
    """Rows a second of bare ONNX Runtime, 100 at once, on the server's core."""
    inputs = feed(bench.columns(SEVERAL))
    with on_core(bench.server_core):
        session = open_session(bench.model.onnx, threads=1)
        session.run(None, inputs)
        n_runs, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < bench.effort.seconds:
            session.run(None, inputs)
            n_runs += 1
    return SEVERAL * n_runs / elapsed


def _peer_claim(peer: Peer, n_rows: int, found: Sequence[Sequence[Rate]] | str, *, version: str = "") -> Claim:
    times = LEAST_TIMES_MLFLOW[n_rows] if peer.package == "mlflow" else 1.0
    name = f"{n_rows} {'row' if n_rows == 1 else 'rows'}: requests/s beside {peer.name} {version}".rstrip()
    target = f"at least {times:g}x" if times > 1 else "ahead"
    if isinstance(found, str):
        return Claim(name, target, found, met=False)
    ratio = _ratio(found)
    return Claim(name, target, f"{ratio:.1f}x ({_shown(found)})", met=ratio >= times and ratio > 1)


def _ratio(rounds: Sequence[Sequence[Rate]]) -> float:
    """Ours by the other's: the median over the rounds."""
    return median(own.per_second / other.per_second for own, other in rounds)


def _shown(rounds: Sequence[Sequence[Rate]]) -> str:
    own, other = (median(each[place].per_second for each in rounds) for place in (0, 1))
    return f"{own:,.0f} against {other:,.0f}"
