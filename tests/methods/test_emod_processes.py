"""EMOD's pre-training by several processes: the same as by one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from affectrum.errors import ConfigError
from affectrum.methods.emod.config import EMODConfig
from affectrum.methods.emod.heads import PretrainHead
from affectrum.methods.emod.pretraining import Part, make_pretrain_network, pretrain_parts
from affectrum.training.distributed import (
    GlobalBatchNorm1d,
    Processes,
    average_gradients,
    broadcast,
    current_processes,
    join_processes,
    normalise_globally,
    unlike_first,
)
from affectrum.windows import Windows

N_STEPS = 50
# 9 windows of each corpus: two processes get 4 and 5
INSTANCE: dict[str, Any] = {"objective": "instance", "per_region": 1, "pretrain_epochs": 1}
RANDOM: dict[str, Any] = {**INSTANCE, "objective": "supcon", "sampling": "random"}


def corpora() -> list[Part]:
    """Two corpora whose windows carry a little of their place, so that there is much to learn."""
    parts: list[Part] = []
    for number, (channels, sfreq) in enumerate(
        ((("Fz", "Cz", "Pz"), 128.0), (("F3", "F4"), 200.0))
    ):
        rng = np.random.default_rng(number)
        n, n_samples = 90, round(0.8 * sfreq)
        va = rng.uniform(-1, 1, (n, 2))
        t = np.arange(n_samples) / sfreq
        x = rng.standard_normal((n, len(channels), n_samples))
        x += (2 + va[:, :1] * 2)[:, :, None] * np.sin(2 * np.pi * 10 * t)
        x += (2 + va[:, 1:] * 2)[:, :, None] * np.sin(2 * np.pi * 22 * t)
        table = pd.DataFrame({"corpus": f"C{number}", "subject": 1, "trial": np.arange(n) + 1})
        windows = Windows.from_arrays(1e-5 * x, table, sfreq=sfreq, channels=channels, kind="raw")
        parts.append((windows, va))
    return parts


def config(**changes: Any) -> EMODConfig:
    settings = {
        "width": 16,
        "depth": 2,
        "per_region": 2,
        "pretrain_epochs": 5,
        "pretrain_steps": N_STEPS // 5,
        "pretrain_dropout": 0.0,
        "device": "cpu",
    }
    return EMODConfig(**{**settings, **changes})


def without_dropout(patch: pytest.MonkeyPatch) -> None:
    """The pre-training head has dropout of its own."""

    def make(given: EMODConfig) -> Any:
        network = make_pretrain_network(given)
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return network

    patch.setattr("affectrum.methods.emod.pretraining.make_pretrain_network", make)


# --------------------------------------------------------------------------------- one process


def test_alone() -> None:
    assert current_processes() == Processes(0, 1, 0)
    with join_processes("cpu") as place:
        assert place.first
        assert place.device("cpu") == torch.device("cpu")
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    average_gradients([weight])
    broadcast([weight.data])
    assert weight.grad.tolist() == [1.0, 2.0]
    assert unlike_first({"name": "text"}) == {}


def test_global_normalisation_in_one_process_is_torchs() -> None:
    torch_norm = nn.BatchNorm1d(4)
    own = GlobalBatchNorm1d.of(torch_norm)
    assert own.weight is torch_norm.weight
    assert own.running_var is torch_norm.running_var
    peer = nn.BatchNorm1d(4)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    assert torch.equal(own(x), peer(x))
    assert torch.equal(own.running_var, peer.running_var)
    own.eval()
    peer.eval()
    assert torch.equal(own(x), peer(x))


def test_a_head_keeps_its_state() -> None:
    head = PretrainHead(8, hidden=6, out=4)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    normalise_globally(head)
    assert isinstance(head.norm, GlobalBatchNorm1d)
    assert list(before) == list(head.state_dict())
    assert all(torch.equal(value, head.state_dict()[name]) for name, value in before.items())


def test_more_processes_than_graphics_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Processes(3, 4, 1).device("auto") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="torch finds 2"):
        Processes(3, 4, 2).device("cuda")


def test_processes_wait_for_a_machine_that_prepares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own limit is 10 to 30 minutes; a corpus takes longer than that to prepare."""
    joined: list[Any] = []
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda *args, **given: joined.append((args, given))
    )
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: joined.append("left"))
    with join_processes("cpu") as place:
        assert place == Processes(1, 2, 0)
    (backend, given), left = joined
    assert backend == ("gloo",)
    assert given["timeout"] >= timedelta(hours=6)
    assert left == "left"


# ------------------------------------------------------------------------------- two processes


def _normalisation(rank: int, shares: list[int]) -> dict[str, Any]:
    """Batch normalisation of this process's rows, the gradients of a loss over all rows."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(sum(shares), 3, generator=generator, dtype=torch.float64) * 2 + 5
    target = torch.randn(sum(shares), 3, generator=generator, dtype=torch.float64)
    first = sum(shares[:rank])
    rows = slice(first, first + shares[rank])
    mine = x[rows].clone().requires_grad_()
    norm = GlobalBatchNorm1d(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    out = norm(mine)
    # each process has its part of one sum; twice it, as the mean over two processes halves it
    torch.autograd.backward(2 * (out * target[rows]).sum())
    assert mine.grad is not None
    average_gradients(norm.parameters())
    assert norm.weight.grad is not None
    assert norm.bias.grad is not None
    return {
        "out": out.detach().tolist(),
        "x": (mine.grad / 2).tolist(),
        "weight": norm.weight.grad.tolist(),
        "bias": norm.bias.grad.tolist(),
        "mean": norm.running_mean.tolist(),
        "variance": norm.running_var.tolist(),
    }


UNLIKE = """
import json, sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, sys.argv[4])
from test_emod_processes import config, corpora

from affectrum.errors import ConfigError
from affectrum.methods.emod.pretraining import pretrain_parts
from affectrum.training.distributed import unlike_first

rank, meeting, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=2)
parts, chosen = corpora(), config(pretrain_epochs=1, pretrain_steps=1)
(windows, va), second = parts
moved = [(windows, va + 1e-9 * rank), second]
louder = [(windows.with_x(windows.x * (1 + rank)), va), second]
said = []
for mine, parameters in (
    (parts, chosen.model_copy(update={"temperature": 0.07 + rank})),
    (parts, chosen.model_copy(update={"seed": rank})),
    (moved, chosen),
    (louder, chosen),
    (parts[: 2 - rank], chosen),
    (parts, chosen),
):
    try:
        said.append(str(pretrain_parts(mine, parameters).meta["n_steps"]))
    except ConfigError as error:
        said.append(str(error))
unlike = unlike_first({"same": "a", "other": str(rank), "longer": "x" * (rank + 1)})
Path(out).write_text(json.dumps([said, unlike]))
dist.destroy_process_group()
"""


def test_processes_with_other_windows_or_parameters_all_refuse(tmp_path: Path) -> None:
    """Both say what differs, and neither waits for the other."""
    script = tmp_path / "unlike.py"
    script.write_text(UNLIKE)
    given = [str(tmp_path / "meeting"), *(str(tmp_path / f"{rank}.json") for rank in range(2))]
    started = [
        subprocess.Popen(
            [sys.executable, script, str(rank), given[0], given[1 + rank], Path(__file__).parent],
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    answers = [json.loads(Path(file).read_text()) for file in given[1:]]
    assert answers[0] == answers[1]
    said, unlike = answers[0]
    assert unlike == {"other": [1], "longer": [1]}
    assert said.pop() == "1"  # alike: one step is done
    for sentence, what in zip(
        said, ["parameters", "parameters", "windows", "windows", "windows"], strict=True
    ):
        assert f"the {what}" in sentence
        assert "of process 1 are not those of process 0" in sentence
        assert "the same plan, the same folders of corpora and the same store" in sentence


class _Stop(BaseException):
    pass


def _main(folder: Path) -> None:
    """What each of two processes computes; started by torchrun."""
    with join_processes("cpu") as place, pytest.MonkeyPatch.context() as patch:
        assert place.world_size == 2
        without_dropout(patch)
        patch.setattr("affectrum.methods.emod.pretraining_loop._CHECKPOINT_STEPS", 5)
        answers: dict[str, Any] = {
            "normalisation": [_normalisation(place.rank, shares) for shares in ([3, 4], [7, 0])]
        }
        arrays: dict[str, np.ndarray] = {}
        for name, changes in (
            ("soft", {}),
            ("instance", INSTANCE),
            ("random", RANDOM),
        ):
            told: list[int] = []
            found = pretrain_parts(
                corpora(),
                config(**changes),
                log_every=1,
                progress=lambda stage, done, total, told=told: told.append(done),
            )
            answers[name] = {"history": found.meta["history"], "told": len(told)}
            arrays.update({f"{name}/{key}": value for key, value in found.arrays.items()})
        # goes on where one process had stopped
        found = pretrain_parts(corpora(), config(), log_every=1, checkpoint=folder / "run.ckpt")
        answers["resumed"] = {"history": found.meta["history"]}
        (folder / f"answers-{place.rank}.json").write_text(json.dumps(answers))
        np.savez(folder / f"arrays-{place.rank}.npz", **arrays)


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same loss curve over 50 steps to 1e-4: all statistics and negatives are global."""
    without_dropout(monkeypatch)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = {
            "soft": pretrain_parts(corpora(), config(), log_every=1),
            "instance": pretrain_parts(corpora(), config(**INSTANCE), log_every=1),
            "random": pretrain_parts(corpora(), config(**RANDOM), log_every=1),
        }

        def stop(stage: str, done: int, total: int) -> None:
            if done == 23:
                raise _Stop

        monkeypatch.setattr("affectrum.methods.emod.pretraining_loop._CHECKPOINT_STEPS", 5)
        with pytest.raises(_Stop):
            pretrain_parts(
                corpora(), config(), log_every=1, checkpoint=tmp_path / "run.ckpt", progress=stop
            )
    finally:
        torch.set_num_threads(threads)

    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=2"]
    command += [f"--master-port={_port()}", __file__, str(tmp_path)]
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads((tmp_path / f"answers-{rank}.json").read_text()) for rank in (0, 1)]
    arrays = [dict(np.load(tmp_path / f"arrays-{rank}.npz")) for rank in (0, 1)]

    for name, one in alone.items():
        curve = np.array([loss for _, loss in one.meta["history"]])
        both = np.array([loss for _, loss in answers[0][name]["history"]])
        assert len(curve) == (N_STEPS if name == "soft" else N_STEPS // 5)
        np.testing.assert_allclose(both, curve, atol=1e-4, err_msg=name)
        assert answers[0][name]["told"] == len(curve)
        assert answers[1][name]["told"] == 0  # process 0 alone reports
    assert np.ptp([loss for _, loss in alone["soft"].meta["history"]]) > 0.5  # it does learn
    for name, value in arrays[0].items():
        np.testing.assert_array_equal(value, arrays[1][name], err_msg=name)

    resumed = np.array([loss for _, loss in answers[0]["resumed"]["history"]])
    curve = np.array([loss for _, loss in alone["soft"].meta["history"]])
    np.testing.assert_array_equal(resumed[:20], curve[:20])
    np.testing.assert_allclose(resumed, curve, atol=1e-4)

    # torch's own normalisation of all seven rows
    for case, shares in enumerate(([3, 4], [7, 0])):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(7, 3, generator=generator, dtype=torch.float64) * 2 + 5
        target = torch.randn(7, 3, generator=generator, dtype=torch.float64)
        x.requires_grad_()
        norm = nn.BatchNorm1d(3).double()
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        out = norm(x)
        torch.autograd.backward((out * target).sum())
        found = [answer["normalisation"][case] for answer in answers]
        for key, wanted in (("out", out.detach()), ("x", x.grad)):
            rows = [row for answer in found for row in answer[key]]
            assert [len(answer[key]) for answer in found] == shares
            np.testing.assert_allclose(rows, wanted, atol=1e-12)
        for answer in found:
            for key, wanted in (
                ("weight", norm.weight.grad),
                ("bias", norm.bias.grad),
                ("mean", norm.running_mean),
                ("variance", norm.running_var),
            ):
                np.testing.assert_allclose(answer[key], wanted, atol=1e-12)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
