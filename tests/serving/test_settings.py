from pathlib import Path

import pytest

from serving.settings import Settings, SettingsError, read_settings

WRONG = {
    "SERVING_PORT": "65536",
    "SERVING_MAX_ROWS": "many",
    "SERVING_MAX_BODY_BYTES": "-1",
    "SERVING_THREADS": "0",
    "SERVING_SHUTDOWN_SECONDS": "1.5",
    "SERVING_REGISTRY": "ftp://mlflow",
    "SERVING_LOG_LEVEL": "loud",
    "SERVING_AUTH": "off",
    "SERVING_POLL_SECONDS": "0",
    "SERVING_SHADOW": "champion",
    "SERVING_MAX_ERROR_SHARE": "20%",
    "SERVING_CORS_ORIGINS": "https://one.example/",
}


def test_without_variables_nothing_is_open_to_the_network():
    settings = read_settings({"PATH": "/bin", "SERVING": "x"})
    assert settings == Settings()
    assert settings.host == "127.0.0.1"


def test_every_variable_is_read():
    settings = read_settings(
        {
            "SERVING_HOST": "0.0.0.0",
            "SERVING_PORT": "0",
            "SERVING_BUNDLES": "there/too",
            "SERVING_REGISTRY": "http://mlflow:5000/",
            "SERVING_NAMES": " a, b c ,",
            "SERVING_MAX_ROWS": "5",
            "SERVING_MAX_BODY_BYTES": "6",
            "SERVING_THREADS": "7",
            "SERVING_SHUTDOWN_SECONDS": "8",
            "SERVING_LOG_LEVEL": "INFO",
            "SERVING_KEYS_FILE": "keys.json",
            "SERVING_CORS_ORIGINS": "https://one.example, http://two.example:8080",
            "SERVING_WORKERS": "9",
            "SERVING_MAX_CONCURRENT": "10",
            "SERVING_MAX_CONCURRENT_PER_KEY": "11",
            "SERVING_REQUEST_SECONDS": "12",
            "SERVING_POLL_SECONDS": "13",
            "SERVING_SHADOW": "challenger",
            "SERVING_MAX_ERROR_SHARE": "0.5",
        }
    )
    assert settings == Settings(
        host="0.0.0.0",
        port=0,
        bundles=Path("there/too"),
        registry="http://mlflow:5000",
        names=("a", "b c"),
        max_rows=5,
        max_body_bytes=6,
        threads=7,
        shutdown_seconds=8,
        log_level="info",
        keys_file=Path("keys.json"),
        cors_origins=("https://one.example", "http://two.example:8080"),
        workers=9,
        max_concurrent=10,
        max_concurrent_per_key=11,
        request_seconds=12,
        poll_seconds=13,
        shadow="challenger",
        max_error_share=0.5,
    )


@pytest.mark.parametrize("service", ["SERVING", "SERVING_CANARY", "SERVING_V2_EU"])
def test_what_kubernetes_says_of_a_service_whose_name_begins_so_is_no_setting(service: str):
    injected = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "8000",
        f"{service}_SERVICE_PORT_HTTP": "8000",
        f"{service}_PORT": "tcp://10.0.0.1:8000",
        f"{service}_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        f"{service}_PORT_8000_TCP_PROTO": "tcp",
        f"{service}_PORT_8000_TCP_PORT": "8000",
        f"{service}_PORT_8000_TCP_ADDR": "10.0.0.1",
        f"{service}_PORT_53_UDP": "udp://10.0.0.1:53",
    }
    assert read_settings(injected) == Settings()
    assert read_settings(injected | {f"{service}_PORT": "udp://[fd00::1]:53"}) == Settings()
    assert read_settings(injected | {"SERVING_PORT": "8001"}) == Settings(port=8001)


@pytest.mark.parametrize(
    "variable", ["SERVING_PORTS", "SERVING_PORT_HTTP", "SERVING_SERVICES", "SERVING_SERVICE", "SERVING_CANARY_PORT"]
)
def test_what_only_looks_like_kubernetes_is_a_mistake(variable: str):
    with pytest.raises(SettingsError, match=f"{variable}: no such setting"):
        read_settings({variable: "1"})


def test_an_empty_variable_counts_as_not_set():
    assert read_settings(dict.fromkeys(WRONG, "")) == Settings()


@pytest.mark.parametrize(("variable", "text"), WRONG.items())
def test_a_value_that_cannot_be_used_is_named_with_what_it_must_be(variable: str, text: str):
    with pytest.raises(SettingsError, match=f"{variable}='{text}': must be "):
        read_settings({variable: text})


@pytest.mark.parametrize("text", ["9" * 5_000, "٣", "1_000", " 5", "+5", "5\n"])
def test_a_number_is_digits_and_nothing_else(text: str):
    with pytest.raises(SettingsError, match="must be a whole number"):
        read_settings({"SERVING_MAX_ROWS": text})


@pytest.mark.parametrize("text", ["mlflow:5000", "http://", "http://[", "file:///etc"])
def test_a_registry_is_an_address(text: str):
    with pytest.raises(SettingsError, match="SERVING_REGISTRY="):
        read_settings({"SERVING_REGISTRY": text})


def test_all_mistakes_are_listed_at_once_with_the_settings_that_there_are():
    with pytest.raises(SettingsError) as caught:
        read_settings({**WRONG, "SERVING_PROT": "1"})
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + len(WRONG) + 1
    assert "SERVING_PROT: no such setting (there are SERVING_HOST, SERVING_PORT, " in lines[-1]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "serving.example"])
def test_an_address_that_others_reach_is_not_opened_without_a_word_on_who_may_ask(host: str):
    with pytest.raises(SettingsError, match=r"(?s)can be reached from other machines.*serving\.keys add.*AUTH=none"):
        read_settings({"SERVING_HOST": host})
    assert read_settings({"SERVING_HOST": host, "SERVING_AUTH": "none"}).keys_file is None
    assert read_settings({"SERVING_HOST": host, "SERVING_KEYS_FILE": "keys.json"}).auth is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_an_address_of_this_machine_alone_needs_no_key(host: str):
    assert read_settings({"SERVING_HOST": host}).host == host


def test_keys_that_nobody_would_ask_for_are_refused():
    with pytest.raises(SettingsError, match="contradict each other"):
        read_settings({"SERVING_AUTH": "none", "SERVING_KEYS_FILE": "keys.json"})


@pytest.mark.parametrize("text", ["*", "example.com", "https://", "https://one.example/page", "null"])
def test_an_origin_is_a_scheme_and_a_host(text: str):
    with pytest.raises(SettingsError, match="must be origins such as https://example"):
        read_settings({"SERVING_CORS_ORIGINS": text})
