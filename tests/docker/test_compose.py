"""compose.yaml keeps its promises on paper: no engine is asked here."""

import re
from pathlib import Path

import pytest
import yaml

from serving.settings import Settings, read_settings
from serving.worker import SERVED

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")
JOBS = ("train", "keys")  # they end by themselves, so nobody asks whether they are well
READING_TAKES = 25  # times a body's size in memory, as `settings` says
MEMORY_UNITS = {"m": 2**20, "g": 2**30}

SERVERS = {name: service for name, service in SERVICES.items() if name not in JOBS}
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
every_server = pytest.mark.parametrize("service", SERVERS.values(), ids=SERVERS)


def _variables() -> dict[str, set[str]]:
    """Every variable of the file, and what it falls back to in each place."""
    found: dict[str, set[str]] = {}
    for match in VARIABLE.finditer(COMPOSE.read_text()):
        found.setdefault(match["name"], set()).add(match["rest"])
    return found


def _examples() -> dict[str, str]:
    lines = (ROOT / "docker" / "env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _environment() -> dict[str, str]:
    return dict(SERVICES["serve"]["environment"])


def _filled_in(text: str, **chosen: str) -> str:
    """A value as compose gives it to a container."""
    return VARIABLE.sub(lambda match: chosen.get(match["name"], match["rest"].lstrip(":-")), text)


def _settings_of_the_server() -> Settings:
    """Where docker/.env says nothing of them."""
    return read_settings({name: _filled_in(text) for name, text in _environment().items()})


def test_there_is_one_service_a_role():
    assert set(SERVICES) == {"postgres", "mlflow", "train", "serve", "keys"}


@every_service
def test_a_service_can_do_no_more_than_it_must(service: dict):
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["mem_limit"]
    assert service["pids_limit"]


@every_service
def test_a_service_is_built_here_or_has_a_version(service: dict):
    if "build" in service:
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    else:
        assert re.fullmatch(r"[a-z]+:\d+", service["image"])


@every_service
def test_a_service_waits_until_what_it_needs_is_well(service: dict):
    for needed, how in service.get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[needed]


@every_service
def test_ports_are_open_on_this_machine_only(service: dict):
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


@every_server
def test_a_server_is_asked_how_it_is_and_started_again(service: dict):
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("job", JOBS)
def test_a_job_comes_up_only_when_it_is_asked_for(job: str):
    assert SERVICES[job]["profiles"] == [job]
    assert "restart" not in SERVICES[job]


def test_training_takes_overrides_and_writes_to_the_server():
    entrypoint = SERVICES["train"]["entrypoint"]
    assert entrypoint == ["python", "-m", "pipelines.train", "tracking=server", "tracking.uri=http://mlflow:5000"]


@pytest.mark.parametrize(("chosen", "host"), [({}, "localhost:5000"), ({"MLFLOW_PORT": "5001"}, "localhost:5001")])
def test_training_tells_where_a_browser_on_this_machine_finds_mlflow(chosen: dict[str, str], host: str):
    mlflow = SERVICES["mlflow"]
    assert _filled_in(SERVICES["train"]["environment"]["SWEEPSTACK_UI"], **chosen) == f"http://{host}"
    assert [_filled_in(port, **chosen) for port in mlflow["ports"]] == [f"127.0.0.1:{host.partition(':')[2]}:5000"]
    assert host in _filled_in(mlflow["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"], **chosen).split(",")


def test_mlflow_answers_to_the_name_that_the_other_services_use():
    assert "mlflow:5000" in SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_the_server_reads_what_training_publishes_and_cannot_change_it():
    assert "bundles:/app/var/bundles" in SERVICES["train"]["volumes"]
    assert "bundles:/app/var/bundles:ro" in SERVICES["serve"]["volumes"]


def test_the_server_keeps_what_became_of_versions_beside_bundles_that_it_cannot_change():
    place = SERVICES["serve"]["volumes"][-1].removeprefix("served:")
    assert place == f"/app/var/{SERVED}-{_settings_of_the_server().bundles.name}"
    assert place in (COMPOSE.parent / "serve.Dockerfile").read_text()


def test_the_server_is_given_only_settings_that_it_knows():
    settings = _settings_of_the_server()
    limits = {"max_body_bytes": 2**20, "max_concurrent": 64, "max_concurrent_per_key": 32}
    assert settings == Settings(host="0.0.0.0", port=8000, auth="none", **limits)


def test_all_bodies_that_may_be_there_at_once_fit_the_servers_memory():
    settings = _settings_of_the_server()
    amount, unit = SERVICES["serve"]["mem_limit"][:-1], SERVICES["serve"]["mem_limit"][-1]
    of_bodies = settings.max_concurrent * READING_TAKES * settings.max_body_bytes
    assert of_bodies + 200 * 2**20 <= int(amount) * MEMORY_UNITS[unit]
    assert f"up to {READING_TAKES}" in (ROOT / "serving" / "settings.py").read_text()


def test_the_server_reads_the_keys_that_its_own_job_makes_and_cannot_change_them():
    """In a file of the host's they would be another user's, who alone may read them."""
    keys, server = SERVICES["keys"], SERVICES["serve"]
    path = keys["environment"]["SERVING_KEYS_FILE"]
    folder = path.rpartition("/")[0]
    assert keys["volumes"] == [f"keys:{folder}"]
    assert f"keys:{folder}:ro" in server["volumes"]
    assert (keys["image"], keys["build"]) == (server["image"], server["build"])
    asked = {name: _filled_in(text, SERVING_AUTH="", SERVING_KEYS_FILE=path) for name, text in _environment().items()}
    assert read_settings(asked).keys_file == Path(path)
    for told in (COMPOSE, ROOT / "docker" / "env.example"):
        assert f"SERVING_AUTH= and SERVING_KEYS_FILE={path}" in " ".join(told.read_text().split())
    # A named volume takes the owner of the image's folder.
    assert (
        f"install --directory --owner=app /app/var/bundles {folder} " in (ROOT / "docker/serve.Dockerfile").read_text()
    )


def test_only_mlflow_reaches_the_database():
    reaching = {name for name, service in SERVICES.items() if "database" in service.get("networks", [])}
    assert reaching == {"postgres", "mlflow"}
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["database"] == {"internal": True}


def test_every_named_volume_is_declared():
    mounted = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert mounted == set(yaml.safe_load(COMPOSE.read_text())["volumes"])


def test_every_variable_is_in_the_example_with_the_same_default():
    variables, examples = _variables(), _examples()
    assert set(variables) == set(examples)
    for name, fallbacks in variables.items():
        assert len(fallbacks) == 1, f"{name} has two defaults: {fallbacks}"
        (fallback,) = fallbacks
        if (given := re.fullmatch(r":?-(.*)", fallback)) and examples[name]:
            assert examples[name] == given[1]


def test_a_password_has_no_default_and_says_what_to_do():
    (fallback,) = _variables()["POSTGRES_PASSWORD"]
    assert fallback.startswith(":?Copy docker/env.example to docker/.env")
    assert _examples()["POSTGRES_PASSWORD"] == ""
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()
