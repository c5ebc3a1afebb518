import json
import os
import stat
from pathlib import Path

import pytest

from serving.keys import KeyFile, add_key, find_key, main, read_keys, remove_key
from serving.settings import SettingsError
from tests.serving.load import eventually


def test_a_key_is_found_by_what_was_shown_and_by_nothing_else(tmp_path: Path):
    path = tmp_path / "new" / "keys.json"
    shown = {name: add_key(path, name=name, role=role) for name, role in (("one", "reader"), ("two", "admin"))}
    keys = read_keys(path)
    for name, key in shown.items():
        found = find_key(keys, key)
        assert found is not None
        assert (found.name, found.role) == (name, "reader" if name == "one" else "admin")
        for wrong in ("", key[:-1], key + "x", key.upper(), found.sha256, "\udcff", "é" * 1000):
            assert find_key(keys, wrong) is None


def test_no_key_is_ever_written_and_the_file_is_its_owners_alone(tmp_path: Path):
    path = tmp_path / "keys.json"
    key = add_key(path, name="one", role="reader")
    assert key.removeprefix("swk_") not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_a_name_has_one_key_until_it_is_removed(tmp_path: Path):
    path = tmp_path / "keys.json"
    old = add_key(path, name="one", role="reader")
    add_key(path, name="two", role="reader")
    with pytest.raises(SettingsError, match="there is a key of one already"):
        add_key(path, name="one", role="admin")
    remove_key(path, name="one")
    assert find_key(read_keys(path), old) is None
    with pytest.raises(SettingsError, match="there is no key of one, only of two"):
        remove_key(path, name="one")


@pytest.fixture
def at_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is looked at, not once a second."""
    monkeypatch.setattr("serving.keys.LOOK_SECONDS", 0.0)


@pytest.mark.parametrize("name", ["", "a b", "-x", "ü", "a" * 65, "a\n"])
def test_a_name_is_harmless_in_a_log(tmp_path: Path, name: str):
    with pytest.raises(SettingsError, match="is no name"):
        add_key(tmp_path / "keys.json", name=name, role="reader")


@pytest.mark.parametrize("content", ["", "[]", '{"keys": {}}', '{"keys": [{"name": "a"}]}', '{"others": []}'])
def test_a_file_that_holds_no_keys_says_how_to_make_one(tmp_path: Path, content: str):
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"Make one: python -m serving\.keys add NAME --file"):
        read_keys(path)


def test_a_role_that_there_is_not_is_refused(tmp_path: Path):
    path = tmp_path / "keys.json"
    add_key(path, name="one", role="reader")
    content = json.loads(path.read_text())
    content["keys"][0]["role"] = "owner"
    path.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="is no file of keys"):
        read_keys(path)


def test_the_command_shows_a_key_once_and_lists_names_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "keys.json"
    monkeypatch.setenv("SERVING_KEYS_FILE", str(path))
    assert main(["add", "reporting", "--role", "admin"]) == 0
    header = capsys.readouterr().out.strip()
    key = header.removeprefix("Authorization: Bearer ")
    assert find_key(read_keys(path), key) is not None
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("reporting\tadmin\t")
    assert key not in listed
    assert main(["remove", "reporting"]) == 0
    assert main(["remove", "reporting"]) == 2
    assert "there is no key of reporting, it holds none" in capsys.readouterr().err


def test_after_the_last_key_another_may_be_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = ("--file", str(tmp_path / "keys.json"))
    assert main(["add", "one", *file]) == 0
    assert main(["remove", "one", *file]) == 0
    capsys.readouterr()
    assert main(["list", *file]) == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(SettingsError, match="holds no key"):  # which a server must not start with
        KeyFile(tmp_path / "keys.json")
    assert main(["add", "two", *file]) == 0
    assert [key.name for key in read_keys(tmp_path / "keys.json")] == ["two"]


@pytest.mark.usefixtures("at_every_question")
def test_a_server_that_runs_obeys_what_is_added_and_removed(tmp_path: Path):
    path = tmp_path / "keys.json"
    old = add_key(path, name="old", role="reader")
    file = KeyFile(path)
    remove_key(path, name="old")
    eventually(lambda: file.find(old) is None)
    new = add_key(path, name="new", role="reader")
    eventually(lambda: file.find(new) is not None)


@pytest.mark.usefixtures("at_every_question")
@pytest.mark.parametrize("content", [None, "", "[]"], ids=["gone", "empty", "broken"])
def test_a_file_that_cannot_be_read_any_more_changes_nothing_and_is_told(
    tmp_path: Path, content: str | None, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "keys.json"
    key = add_key(path, name="one", role="reader")
    file = KeyFile(path)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    eventually(lambda: file.find(key) is not None and bool(caplog.records))
    assert "keys.json" in caplog.text
    assert file.find(key) is not None
    remaining = add_key(tmp_path / "new.json", name="two", role="reader")
    (tmp_path / "new.json").replace(path)
    eventually(lambda: file.find(remaining) is not None)
    assert file.find(key) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(SettingsError, match="cannot be written"):
        add_key(tmp_path / "keys.json", name="one", role="reader")
