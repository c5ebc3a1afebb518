"""What is free: of the machine, within the limits of a container; of a GPU, with what torch keeps for later."""

from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch

from pipelines.engines import DoneJob, StackJob, free_memory as room, processes
from pipelines.engines.run_job import lost_job
from tests.tables import small_table, trial

MEBIBYTE = 2**20
NAMES = {
    "0::": ("", "memory.max", "memory.current", "inactive_file"),
    "7:cpu,memory:": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def write_group(folder: Path, names: tuple[str, ...], *, limit: int | str, used: int = 0, cache: int = 0) -> None:
    """A control group as the kernel shows it, in MiB."""
    folder.mkdir(parents=True, exist_ok=True)
    _, limit_name, used_name, cache_name = names
    (folder / limit_name).write_text(f"{limit if isinstance(limit, str) else limit * MEBIBYTE}\n")
    (folder / used_name).write_text(f"{used * MEBIBYTE}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{cache_name} {cache * MEBIBYTE}\n")


@pytest.mark.parametrize("version", NAMES)
@pytest.mark.parametrize("inner", ["", "docker", "docker/own"])
def test_a_limit_of_any_group_around_this_process_counts_less_what_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, inner: str
) -> None:
    names = NAMES[version]
    groups, own = tmp_path / "groups", tmp_path / "own"
    own.write_text(f"3:cpuset:/elsewhere\n{version}/docker/own\n")
    monkeypatch.setattr(room, "CGROUPS", groups)
    monkeypatch.setattr(room, "OWN_GROUPS", own)
    write_group(groups / names[0], names, limit=9_000_000)
    write_group(groups / names[0] / inner, names, limit=64, used=40, cache=16)
    assert room.free_memory(torch.device("cpu")) == 40 * MEBIBYTE


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_without_a_limit_it_is_what_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    own = tmp_path / "own"
    own.write_text("0::/\n")
    write_group(tmp_path, NAMES["0::"], limit=limit)
    monkeypatch.setattr(room, "CGROUPS", tmp_path)
    for groups in (own, tmp_path / "no such file"):
        monkeypatch.setattr(room, "OWN_GROUPS", groups)
        assert room.free_memory(torch.device("cpu")) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@dataclass
class FakeGpu:
    """One of 100 bytes, of which another process has 10 and torch's allocator in this one keeps what it had."""

    allocated: int
    reserved: int

    def empty_cache(self) -> None:
        self.reserved = self.allocated

    def mem_get_info(self, _: torch.device) -> tuple[int, int]:
        return 100 - 10 - self.reserved, 100


def on_fake_gpu(monkeypatch: pytest.MonkeyPatch, *, allocated: int, reserved: int) -> FakeGpu:
    gpu = FakeGpu(allocated, reserved)
    monkeypatch.setattr(torch.cuda, "empty_cache", gpu.empty_cache)
    monkeypatch.setattr(torch.cuda, "mem_get_info", gpu.mem_get_info)
    return gpu


def test_what_torch_keeps_of_earlier_stacks_is_free_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    on_fake_gpu(monkeypatch, allocated=5, reserved=70)
    assert room.free_memory(torch.device("cuda")) == 85


def test_a_worker_that_has_trained_keeps_nothing_from_who_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = on_fake_gpu(monkeypatch, allocated=5, reserved=5)

    def train(job: StackJob, *_: object) -> DoneJob:
        gpu.reserved = 70
        return lost_job(job, reason="for a test")

    monkeypatch.setattr(processes, "run_or_fail", train)
    processes._answer(StackJob(0, [trial()]), *small_table())
    assert gpu.mem_get_info(torch.device("cuda")) == (85, 100)
