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
    )


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
