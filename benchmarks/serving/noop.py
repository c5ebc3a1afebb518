"""FastAPI's own endpoint that does nothing, on the server and with the settings that the product serves with."""

import sys

from fastapi import FastAPI

from serving.command import listen
from serving.http.server import DrainingServer, server_config
from serving.settings import Settings


def main() -> None:
    """Serve on the port that the command line names."""
    app = FastAPI()

    @app.get("/noop")
    async def do_nothing() -> dict[str, str]:
        return {}

    settings = Settings(port=int(sys.argv[1]))
    DrainingServer(server_config(app, settings), settings).run(sockets=[listen(settings)])


if __name__ == "__main__":
    main()
