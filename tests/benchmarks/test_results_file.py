import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import results_file
from benchmarks.results_file import Claim, write_results

MET = Claim("a trial beside another", "at most 1/10", "1/12.0", met=True)
MISSED = Claim("from start to ready", "under 1 s", "1.20 s", met=False)


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results_file, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_claims_are_kept_with_what_a_reader_needs_to_repeat_them(results: Path):
    path = write_results("sweep", [MET, MISSED], command="make bench-sweep")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [own["met"] for own in content["claims"]] == [True, False]
    assert content["claims"][0]["measured"] == "1/12.0"
    assert content["command"] == "make bench-sweep"
    assert "cores" in content["machine"]
    assert len(content["commit"].split()[0]) >= len("unknown")
    assert [own.name for own in results.iterdir()] == ["sweep.json"]  # nothing unfinished lies beside it


def test_a_verdict_that_numpy_gave_is_kept_too(results: Path):
    path = write_results(
        "sweep", [Claim("halving", "at most 1/2.5", "1/2.6", met=np.bool_(1))], command="make bench-sweep"
    )
    assert json.loads(path.read_text(encoding="utf-8"))["claims"][0]["met"] is True


def test_a_missed_target_stands_out_in_the_table(capsys: pytest.CaptureFixture[str]):
    write_results("sweep", [MET, MISSED], command="make bench-sweep")
    header, met, missed = capsys.readouterr().out.splitlines()
    assert header.split() == ["claim", "target", "measured", "met"]
    assert met.endswith("yes")
    assert missed.endswith("NO")
    assert header.index("target") == met.index("at most") == missed.index("under 1 s")
