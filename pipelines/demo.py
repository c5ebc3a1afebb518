"""The whole way on three built-in tables: sweep, leaderboard, register, serve, ask. `make demo` runs it.

It types the commands that a user would type, shows them, and leaves nothing running. What an earlier run has
trained is served again without training.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from pipelines.errors import UserError
from serving.startup_interrupt import restore_interrupt

# What a command trains, and what it says beside the tables' names: digits are images, read by a net made for them.
SWEEPS = ((("diabetes", "breast_cancer"), ()), (("digits",), ("model=cnn",)))
BUNDLES = Path("var/bundles")
SHOWN_COLUMNS = 4


def main() -> int:
    """Run the demo; the exit code is that of the first command that fails."""
    restore_interrupt()
    commands = [_sweep_command(tables, overrides) for tables, overrides in SWEEPS if _untrained(tables)]
    for command in commands:
        print(f"$ python {' '.join(command)}\n", flush=True)
        if code := _exit_code(command):
            return code
        print()
    if not commands:
        print(f"Models are there already in {BUNDLES}; remove var/ to train anew.\n")
    with _server() as address:
        for tables, _ in SWEEPS:
            for name in tables:
                _ask(address, name)
    print("\nSee every trial:      make ui")
    print("Serve the models:     make serve")
    print("Train your own table: python -m pipelines.train -m data=table data.path=FILE data.target=COLUMN sweep=quick")
    return 0


def _untrained(tables: Sequence[str]) -> list[str]:
    return [name for name in tables if not (BUNDLES / name / "champion").exists()]


def _sweep_command(tables: Sequence[str], overrides: Sequence[str]) -> list[str]:
    return ["-m", "pipelines.train", "-m", f"data={','.join(_untrained(tables))}", *overrides, "sweep=quick"]


def _exit_code(command: Sequence[str]) -> int:
    """Run a command to its end."""
    with subprocess.Popen([sys.executable, *command]) as process:  # noqa: S603  our own command
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ctrl-C reaches the command as well, which records what has been trained, and ends
            process.wait()
            raise


@contextmanager
def _server() -> Iterator[str]:
    """A server on a port that it chooses itself, until the block ends."""
    command = ["-m", "serving", "--bundles", str(BUNDLES), "--port", "0"]
    print(f"$ python {' '.join(command)}", flush=True)
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as server:  # noqa: S603  our own command
        try:
            yield _announced(server)
        finally:
            server.terminate()


def _announced(server: "subprocess.Popen[str]") -> str:
    """Where it says that it answers, as soon as it does."""
    for line in server.stdout or ():
        if line.startswith("Try it: "):
            return line.removeprefix("Try it: ").strip().removesuffix("/")
    raise UserError(f"The server ended with exit code {server.wait()}; its message is above.")


def _ask(address: str, name: str) -> None:
    """Send one real row of the test part and print question and answer."""
    (version,) = (BUNDLES / name / "champion").read_text(encoding="utf-8").split()
    contract = json.loads((BUNDLES / name / version / "contract.json").read_text(encoding="utf-8"))
    row = contract["golden"][0]["row"]
    has_more = contract.get("calibration") and contract.get("background")  # bundles of earlier versions have neither
    url = f"{address}/models/{name}/predict{'?coverage=0.9&explain=true' if has_more else ''}"
    (prediction,) = _post(url, {"rows": [row]})["predictions"]
    explanation = prediction.pop("explanation", None)
    shown = dict(list(row.items())[:SHOWN_COLUMNS])
    rest = f" and {len(row) - SHOWN_COLUMNS} more columns" if len(row) > SHOWN_COLUMNS else ""
    print(f"\nPOST {url}\n  asked    {json.dumps(shown)}{rest}\n  answered {json.dumps(prediction)}")
    if explanation is not None:
        print(f"  because  {_told(explanation)}")


def _told(explanation: dict[str, Any]) -> str:
    """The largest contributions to an answer."""
    added = sorted(explanation["contributions"].items(), key=lambda named: -abs(named[1]))[:SHOWN_COLUMNS]
    largest = ", ".join(f"{name} {value:+.3g}" for name, value in added)
    rest = ", ..." if len(explanation["contributions"]) > SHOWN_COLUMNS else ""
    return f"{explanation['base']:.3g} on average, {largest}{rest}"


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310  our own server
    with urlopen(request) as response:  # noqa: S310  likewise
        answer: dict[str, Any] = json.load(response)
    return answer


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # the command that was running has said so
        sys.exit(130)
