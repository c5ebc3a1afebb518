"""Takes mlflow_comparison.png, the picture of a sweep in MLflow's own UI, with a headless Chromium.

    python docs/pictures/take_mlflow_comparison.py sqlite:///var/mlflow.db breast_cancer

It shows the newest saved view of the experiment. Needs `chromium` and an installed MLflow; leaves nothing running.
"""  # noqa: INP001  a script beside its picture, no package

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

PICTURE = Path(__file__).with_name("mlflow_comparison.png")
VIEW = "mlflow.sharedViewState."
START_SECONDS = 60
# What the UI may take to load runs and draw: time as the page sees it, which passes faster than ours.
DRAW_MS = 30_000
PALETTE = 256
SHOWN_HOST = "mlflow.example"


def main() -> None:
    """Take the picture."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("tracking_uri", help="sqlite:///<path> or http://<host>:<port> of a running server")
    arguments.add_argument("experiment", help="its name")
    arguments.add_argument("--output", type=Path, default=PICTURE)
    arguments.add_argument("--size", default="1500,1150", help="width,height of the window in pixels")
    given = arguments.parse_args()
    with server(given.tracking_uri) as (address, shown_address):
        take(shown_address + view_path(address, given.experiment), given.output.resolve(), given.size)
    print(f"{given.output}: {given.output.stat().st_size // 1000} kB")


@contextmanager
def server(tracking_uri: str) -> Iterator[tuple[str, str]]:
    """Serve a SQLite file for a while; a running server is used as it is. Yields our address and the browser's."""
    if tracking_uri.startswith("http"):
        yield tracking_uri.rstrip("/"), tracking_uri.rstrip("/")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, shown_address = f"http://127.0.0.1:{port}", f"http://{SHOWN_HOST}:{port}"
    options = {
        "--port": str(port),
        "--workers": "1",
        "--backend-store-uri": tracking_uri,
        "--allowed-hosts": f"127.0.0.1:{port},{SHOWN_HOST}:{port}",
        "--cors-allowed-origins": shown_address,
    }
    process = subprocess.Popen(  # noqa: S603  a fixed program
        [sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(address)
        yield address, shown_address
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()  # noqa: S310  http
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def view_path(address: str, experiment: str) -> str:
    """Find the newest saved view of the experiment."""
    query = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={urllib.parse.quote(experiment)}"
    with urllib.request.urlopen(address + query) as answer:  # noqa: S310  http
        found = json.load(answer)["experiment"]
    views = {tag["key"]: json.loads(tag["value"]) for tag in found.get("tags", []) if tag["key"].startswith(VIEW)}
    if not views:
        sys.exit(f"The experiment {experiment!r} has no saved view: run a sweep (-m) first.")
    newest = max(views, key=lambda key: views[key]["updatedAt"]).removeprefix(VIEW)
    query = f"viewStateShareKey={newest}&compareRunsMode=CHART&workflowType=machine_learning"
    return f"/#/experiments/{found['experiment_id']}/runs?{query}"


def take(url: str, picture: Path, size: str) -> None:
    """Open the page in a fresh browser and keep what it shows."""
    quiet = ["quic", "background-networking", "component-update", "sync"]
    with tempfile.TemporaryDirectory() as profile:
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            *(f"--disable-{feature}" for feature in quiet),
            f"--user-data-dir={profile}",
            f"--window-size={size}",
            # Under another name than localhost the UI leaves out an assistant that covers a quarter of the page.
            f"--host-resolver-rules=MAP {SHOWN_HOST} 127.0.0.1",
            f"--virtual-time-budget={DRAW_MS}",
            f"--screenshot={picture}",
            url,
        ]
        # Twice: a first visit can end while the UI still loads its parts; the second has them in the browser's cache.
        for _ in range(2):
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603  a fixed program
    # Few colours are in it: a palette keeps the looks at a third of the size.
    Image.open(picture).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main()
