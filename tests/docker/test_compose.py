"""compose.yaml keeps its promises on paper: no engine is asked here."""

import re
from pathlib import Path

import pytest
import yaml

from serving.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")
JOBS = {"train"}  # it ends by itself, so nobody asks whether it is well

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


def test_there_is_one_service_a_role():
    assert set(SERVICES) == {"postgres", "mlflow", "train", "serve"}


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


def test_the_job_comes_up_only_when_it_is_asked_for():
    assert SERVICES["train"]["profiles"] == ["train"]
    assert "restart" not in SERVICES["train"]


def test_the_job_takes_overrides_and_writes_to_the_server():
    entrypoint = SERVICES["train"]["entrypoint"]
    assert entrypoint == ["python", "-m", "pipelines.train", "tracking=server", "tracking.uri=http://mlflow:5000"]


def test_mlflow_answers_to_the_name_that_the_other_services_use():
    assert "mlflow:5000" in SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_the_server_reads_what_training_publishes_and_cannot_change_it():
    assert "bundles:/app/var/bundles" in SERVICES["train"]["volumes"]
    assert SERVICES["serve"]["volumes"] == ["bundles:/app/var/bundles:ro"]


def test_the_server_is_given_only_settings_that_it_knows():
    assert read_settings(SERVICES["serve"]["environment"]) == Settings(host="0.0.0.0", port=8000, auth="none")


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
        if fallback.startswith(":-") and examples[name]:
            assert examples[name] == fallback.removeprefix(":-")


def test_a_password_has_no_default_and_says_what_to_do():
    (fallback,) = _variables()["POSTGRES_PASSWORD"]
    assert fallback.startswith(":?Copy docker/env.example to docker/.env")
    assert _examples()["POSTGRES_PASSWORD"] == ""
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()
