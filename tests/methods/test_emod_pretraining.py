"""EMOD's pre-training: the loop against a plain one, exact resume, what it sees, what it says."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from affectrum.errors import AccessError, ConfigError
from affectrum.methods.base import Pretrained
from affectrum.methods.emod.config import PRETRAIN_FIELDS, EMODConfig
from affectrum.methods.emod.losses import va_contrastive_loss
from affectrum.methods.emod.pretraining import (
    Part,
    fingerprint_of,
    fingerprint_of_parts,
    make_pretrain_network,
    make_pretrain_sampler,
    parts_of,
    pretrain,
    pretrain_parts,
)
from affectrum.methods.emod.pretraining_loop import batch_loss
from affectrum.protocols import Access, Grant
from affectrum.training.tracking import TensorBoardLog
from affectrum.windows import Windows

SETTINGS: dict[str, Any] = {
    "width": 16,
    "depth": 1,
    "per_region": 1,
    "pretrain_epochs": 3,
    "pretrain_steps": 3,
    "device": "cpu",
}


def config(**changes: Any) -> EMODConfig:
    return EMODConfig(**{**SETTINGS, **changes})


def corpus(
    name: str, n: int, channels: tuple[str, ...], sfreq: float, seconds: float, seed: int
) -> Part:
    """White noise in volts, with places all over the plane."""
    rng = np.random.default_rng(seed)
    x = 1e-5 * rng.standard_normal((n, len(channels), round(sfreq * seconds)))
    table = pd.DataFrame(
        {
            "corpus": name,
            "subject": np.arange(n) % 4 + 1,
            "trial": np.arange(n) // 4 + 1,
            "emotion": np.where(np.arange(n) % 2, "happy", "sad"),
        }
    )
    windows = Windows.from_arrays(x, table, sfreq=sfreq, channels=channels, kind="raw")
    return windows, rng.uniform(-1, 1, (n, 2))


def two_corpora() -> list[Part]:
    """Two corpora that share neither electrodes nor rate nor length."""
    return [
        corpus("A", 60, ("Fz", "Cz", "Pz", "Oz"), 128.0, 1.0, 0),
        corpus("B", 48, ("F3", "F4", "T3"), 200.0, 0.6, 1),
    ]


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    return two_corpora()


def granted(parts: list[Part], **options: Any) -> Access:
    grants = tuple(Grant(windows, None, va) for windows, va in parts)
    return Access("test", ("a", "b"), source_parts=grants, **options)


def same(first: Pretrained, second: Pretrained) -> None:
    assert first.fingerprint == second.fingerprint
    assert first.meta == second.meta
    assert list(first.arrays) == list(second.arrays)
    for name, value in first.arrays.items():
        assert value.tobytes() == second.arrays[name].tobytes(), name


# ------------------------------------------------------------------------------------ the loop


@pytest.mark.parametrize("accumulate", [1, 2])
def test_steps_are_those_of_a_plain_loop(parts: list[Part], accumulate: int) -> None:
    """Torch's own optimizer and schedule, all windows in memory, written out step by step."""
    chosen = config(
        pretrain_dropout=0.0, accumulate=accumulate, pretrain_steps=2, pretrain_clip=0.5
    )
    network = make_pretrain_network(chosen)
    sampler = make_pretrain_sampler(parts, chosen)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    start = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=5e-4, weight_decay=1e-4, foreach=False, fused=False
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3, eta_min=1e-7)
    x = [torch.from_numpy(np.array(windows.x)) for windows, _ in parts]
    va = [torch.from_numpy(4 * places).float() for _, places in parts]
    losses, rates = [], []
    network.train()
    for epoch in range(3):
        for step in range(2):
            optimizer.zero_grad()
            total = 0.0
            for turn in range(accumulate):
                rows = sampler.batch((2 * epoch + step) * accumulate + turn)
                z = [
                    network.head(
                        network.backbone(
                            x[number][rows[number]],
                            network.backbone.electrode_ids(windows.channels),
                            windows.sfreq,
                        )
                    )
                    for number, (windows, _) in enumerate(parts)
                ]
                places = torch.cat([va[0][rows[0]], va[1][rows[1]]])
                loss = va_contrastive_loss(torch.cat(z), places, 5.0, 0.07)
                (loss / accumulate).backward()
                total += float(loss.detach()) / accumulate
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            losses.append(total)
        rates.append(schedule.get_last_lr()[0])
        schedule.step()

    def without_dropout(given: EMODConfig) -> Any:
        made = make_pretrain_network(given)
        for module in made.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        made.load_state_dict(start)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("affectrum.methods.emod.pretraining.make_pretrain_network", without_dropout)
        found = pretrain_parts(parts, chosen, fingerprint="x")
    assert [loss for _, loss in found.meta["history"]] == pytest.approx(losses, abs=2e-5)
    assert [rate for _, rate in found.meta["epochs"]] == pytest.approx(rates, rel=1e-9)
    means = np.reshape(losses, (3, 2)).mean(axis=1)
    assert [loss for loss, _ in found.meta["epochs"]] == pytest.approx(means.tolist(), abs=2e-5)
    # (other weights have directions that the loss does not see, along which Adam walks by rounding)
    for name in ("head.out.weight", "backbone.encoder.mix.weight"):
        value = network.state_dict()[name].numpy()
        np.testing.assert_allclose(found.arrays[name], value, atol=1e-4, err_msg=name)
        assert np.abs(value - start[name].numpy()).max() > 1e-3


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulate": 2},
        {"pretrain_keep": "lowest-loss", "objective": "instance"},
        {"augmentation": "released", "sampling": "random", "objective": "supcon"},
    ],
    ids=["accumulate", "instance", "random"],
)
def test_resume_is_exact(
    parts: list[Part], tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped twice, in the middle of epochs: same weights, curve and facts to the bit."""
    chosen = config(**changes)
    whole = pretrain_parts(parts, chosen)
    monkeypatch.setattr("affectrum.methods.emod.pretraining_loop._CHECKPOINT_STEPS", 1)
    file = tmp_path / "run.ckpt"
    began = []

    def stop_at(step: int) -> Any:
        def progress(stage: str, done: int, total: int) -> None:
            began.append(done)
            if done == step:
                raise Killed

        return progress

    for step in (2, 5):
        with pytest.raises(Killed):
            pretrain_parts(parts, chosen, checkpoint=file, progress=stop_at(step))
    same(whole, pretrain_parts(parts, chosen, checkpoint=file, progress=stop_at(-1)))
    # a step was done again only if its checkpoint had not been written
    assert began == [1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    # a finished run is read back
    same(whole, pretrain_parts(parts, chosen, checkpoint=file, progress=stop_at(1)))


def test_a_checkpoint_of_another_run_is_refused(parts: list[Part], tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    pretrain_parts(parts, config(pretrain_epochs=1), checkpoint=file)
    with pytest.raises(ConfigError, match="another run"):
        pretrain_parts(parts, config(pretrain_epochs=1, temperature=0.1), checkpoint=file)


class _FiniteLossNoGradient(torch.autograd.Function):
    """A loss as it is whose gradient is not a number."""

    @staticmethod
    def forward(ctx: Any, loss: torch.Tensor) -> torch.Tensor:
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        return upstream * float("nan")


@pytest.mark.parametrize(
    ("fault", "at", "said"),
    [
        ("loss", 6, "the loss is nan at step 6"),
        ("loss", 5, "the loss is nan at step 6"),
        ("gradient", 6, "the gradient's norm is nan at step 6"),
    ],
)
def test_a_run_that_diverges_keeps_its_last_checkpoint(
    parts: list[Part],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    at: int,
    said: str,
) -> None:
    """As on a graphics processor: losses are looked at every ten steps, saved every three."""
    chosen = config(pretrain_epochs=1, pretrain_steps=8)
    whole = pretrain_parts(parts, chosen, log_every=100)
    loop = "affectrum.methods.emod.pretraining_loop"
    monkeypatch.setattr(f"{loop}._LOOK", {"cpu": 10})
    monkeypatch.setattr(f"{loop}._CHECKPOINT_STEPS", 3)
    monkeypatch.setattr(f"{loop}._CHECKPOINT_SECONDS", -1.0)  # late at every step
    file = tmp_path / "run.ckpt"
    after_three: list[bytes] = []
    calls = iter(range(1, 100))

    def failing(*arguments: Any) -> torch.Tensor:
        loss = batch_loss(*arguments)
        if next(calls) != at:
            return loss
        if fault == "loss":
            return loss * float("nan")
        spoilt: torch.Tensor = _FiniteLossNoGradient.apply(loss)  # type: ignore[no-untyped-call]
        return spoilt

    def remember(stage: str, done: int, total: int) -> None:
        if done == 4:
            after_three.append(file.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(f"{loop}.batch_loss", failing)
        with pytest.raises(ConfigError, match=said):
            pretrain_parts(parts, chosen, log_every=100, checkpoint=file, progress=remember)
    assert [file.read_bytes()] == after_three
    # and from there it goes on, with the last loss it knows until it looks at another
    told: list[str] = []
    again = pretrain_parts(
        parts,
        chosen,
        log_every=100,
        checkpoint=file,
        progress=lambda stage, done, total: told.append(stage.split(", ")[2]),
    )
    same(whole, again)
    losses = [loss for _, loss in whole.meta["history"]]
    assert told[0] == told[1] == f"loss {losses[0]:.3f}"
    assert told[-1] == f"loss {losses[-1]:.3f}"
    assert len(told) == 5


def test_weights_of_the_epoch_with_the_lowest_loss(
    parts: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are added to the losses such that the second of three epochs is the best."""
    added = iter([0.0] * 3 + [-50.0] * 3 + [0.0] * 3)

    def shifted(*arguments: Any) -> torch.Tensor:
        return batch_loss(*arguments) + next(added)

    level = {"pretrain_rate": 1e-3, "pretrain_rate_end": 1e-3}
    with monkeypatch.context() as patch:
        patch.setattr("affectrum.methods.emod.pretraining_loop.batch_loss", shifted)
        found = pretrain_parts(parts, config(**level, pretrain_keep="lowest-loss"), fingerprint="x")
    assert found.meta["kept_epoch"] == 2
    # the rate is level, so a run of two epochs ends with these weights
    ends_there = pretrain_parts(parts, config(**level, pretrain_epochs=2), fingerprint="x")
    for name, value in found.arrays.items():
        np.testing.assert_array_equal(value, ends_there.arrays[name], err_msg=name)


def test_steps_of_an_epoch_follow_from_the_windows(parts: list[Part]) -> None:
    # (60 + 48) windows / 2 corpora / 9 a batch and corpus = 6 batches, 3 steps of two
    found = pretrain_parts(parts, config(pretrain_steps=None, pretrain_epochs=1, accumulate=2))
    assert found.meta["steps_per_epoch"] == 3
    assert found.meta["n_steps"] == 3
    assert found.meta["windows_per_batch"] == 18


def test_mixed_precision_stays_near(parts: list[Part]) -> None:
    plain = pretrain_parts(parts, config(pretrain_epochs=1), fingerprint="x")
    mixed = pretrain_parts(parts, config(pretrain_epochs=1, precision="bfloat16"), fingerprint="x")
    first, second = plain.meta["history"][0][1], mixed.meta["history"][0][1]
    assert first != second
    assert second == pytest.approx(first, rel=0.03)
    assert all(np.isfinite(value).all() for value in mixed.arrays.values())
    assert {value.dtype for value in mixed.arrays.values()} == {
        value.dtype for value in plain.arrays.values()
    }


def test_activation_checkpoints_change_nothing(parts: list[Part]) -> None:
    plain = pretrain_parts(parts, config(pretrain_epochs=1), fingerprint="x")
    again = pretrain_parts(parts, config(pretrain_epochs=1, checkpointing=True), fingerprint="x")
    for (_, first), (_, second) in zip(plain.meta["history"], again.meta["history"], strict=True):
        assert second == pytest.approx(first, abs=1e-5)


def test_seeds_differ_and_the_global_generator_is_left_alone(parts: list[Part]) -> None:
    state = torch.get_rng_state()
    first = pretrain_parts(parts, config(pretrain_epochs=1), fingerprint="x")
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(3)
    same(first, pretrain_parts(parts, config(pretrain_epochs=1), fingerprint="x"))
    other = pretrain_parts(parts, config(pretrain_epochs=1, seed=1), fingerprint="x")
    assert other.meta["history"] != first.meta["history"]


# ---------------------------------------------------------------------------------- what it sees


def test_artefacts_and_windows_without_a_place_are_never_drawn(parts: list[Part]) -> None:
    windows, va = parts[0]
    marked = windows.with_table(windows.table.assign(artefact=np.arange(len(windows)) < 20))
    va = va.copy()
    va[20:30] = np.nan
    for objective, first in (("soft-va", 30), ("instance", 20)):
        sampler = make_pretrain_sampler([(marked, va)], config(objective=objective))
        drawn = np.concatenate([sampler.batch(step)[0] for step in range(60)])
        assert drawn.min() >= first
        assert set(drawn) >= set(range(31, 60))
    everything = windows.with_table(windows.table.assign(artefact=True))
    for part, objective in (((windows, va * np.nan), "soft-va"), ((everything, va), "instance")):
        with pytest.raises(ConfigError, match=f"None of the 60 windows of {windows.corpus} can"):
            make_pretrain_sampler([parts[1], part], config(objective=objective))


def test_instance_discrimination_sees_no_places(parts: list[Part]) -> None:
    chosen = config(objective="instance", pretrain_epochs=1)
    bare = [(windows, np.full((len(windows), 2), np.nan)) for windows, _ in parts]
    hidden = Access("test", ("a",), source_parts=tuple(Grant(windows) for windows, _ in parts))
    found = pretrain(hidden, chosen)
    assert found.arrays.keys() == pretrain_parts(bare, chosen).arrays.keys()
    same_numbers = pretrain_parts(bare, chosen, fingerprint=found.fingerprint)
    for name, value in found.arrays.items():
        np.testing.assert_array_equal(value, same_numbers.arrays[name])
    with pytest.raises(AccessError, match="objective='instance'"):
        parts_of(hidden, config())


def test_no_source(parts: list[Part]) -> None:
    with pytest.raises(AccessError, match="pretrain-finetune"):
        pretrain(Access("within-subject", ("a",)), config())
    with pytest.raises(ConfigError, match="at least one corpus"):
        pretrain_parts([], config())


def test_a_table_of_its_own_places_words(parts: list[Part]) -> None:
    windows, va = parts[0]
    labels = np.zeros(len(windows), dtype=np.int64)
    access = Access("test", ("a",), source_parts=(Grant(windows, labels, va),))
    ((_, placed),) = parts_of(access, config(va_table="emod"))
    # happy (7, 6) and sad (3, 5) on 0..8
    np.testing.assert_allclose(placed[1], [0.75, 0.5])
    np.testing.assert_allclose(placed[0], [-0.25, 0.25])
    ((_, own),) = parts_of(access, config())
    np.testing.assert_array_equal(own, va)
    with pytest.raises(AccessError, match="make_folds"):
        parts_of(granted(parts), config(va_table="emod"))


def test_the_fingerprint_follows_what_is_learnt_from(parts: list[Part]) -> None:
    access = granted(parts)
    known = fingerprint_of(access, config())
    assert known == fingerprint_of(granted(two_corpora()), config())
    assert known != fingerprint_of(granted(parts[::-1]), config())
    assert known != fingerprint_of(granted(parts[:1]), config())
    assert known != fingerprint_of(granted(parts, seed=3), config())
    moved = [(parts[0][0], parts[0][1] + 1e-6), parts[1]]
    assert known != fingerprint_of(granted(moved), config())
    for changes in ({"temperature": 0.1}, {"seed": 1}, {"precision": "bfloat16"}):
        assert known != fingerprint_of(access, config(**changes))
    for changes in ({"finetune_epochs": 1}, {"head": "pooled"}, {"checkpointing": True}):
        assert known == fingerprint_of(access, config(**changes))
    assert pretrain(access, config(pretrain_epochs=1)).fingerprint != known
    bare = fingerprint_of_parts(parts, config())
    assert bare == fingerprint_of_parts(two_corpora(), config())
    assert bare != fingerprint_of_parts(parts, config(width=24))
    assert "finetune_epochs" not in PRETRAIN_FIELDS


def test_what_the_result_says(parts: list[Part]) -> None:
    found = pretrain_parts(parts, config())
    assert {name.split(".")[0] for name in found.arrays} == {"backbone", "head"}
    about = found.meta["corpora"]
    assert [(part["corpus"], part["n_channels"], part["sfreq"]) for part in about] == [
        ("A", 4, 128.0),
        ("B", 3, 200.0),
    ]
    assert [sum(part["regions"]) for part in about] == [60, 48]
    assert [step for step, _ in found.meta["history"]] == list(range(9))


def test_windows_that_are_not_finite(parts: list[Part]) -> None:
    windows, va = corpus("A", 40, ("Fz", "Cz"), 128.0, 1.0, 0)
    x = np.array(windows.x)
    x[:, 0, 0] = np.nan
    with pytest.raises(ConfigError, match=r"diverged.*finite"):
        pretrain_parts([(windows.with_x(x), va)], config(), fingerprint="x")


# ------------------------------------------------------------------------------- what it says


def test_progress_tells_epoch_loss_and_rate(parts: list[Part]) -> None:
    told: list[tuple[str, int, int]] = []
    pretrain_parts(parts, config(), progress=lambda *what: told.append(what))
    assert [(done, total) for _, done, total in told] == [(step, 9) for step in range(1, 10)]
    assert told[0][0].startswith("pre-training, epoch 1 of 3, loss ")
    assert told[-1][0].endswith("learning rate 0.00013")  # (1 + cos(2 pi / 3)) / 2 of 5e-4


def test_log_gets_numbers(parts: list[Part]) -> None:
    seen: dict[int, dict[str, float]] = {}
    found = pretrain_parts(
        parts, config(), log=lambda step, values: seen.update({step: dict(values)}), log_every=4
    )
    assert list(seen) == [1, 5, 9]
    assert [[step - 1, values["loss"]] for step, values in seen.items()] == found.meta["history"]
    for values in seen.values():
        assert values["gradient_norm"] > 0
        assert values["windows_per_second"] > 0
        assert 0 <= values["waiting_share"] <= 1


def test_tensorboard_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'affectrum\[track\]'"):
        TensorBoardLog(tmp_path)


def test_tensorboard_hides_what_a_killed_run_wrote_too_much(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with TensorBoardLog(tmp_path) as log:
        for step in range(1, 6):
            log(step, {"loss": float(step)})
    time.sleep(1.1)  # event files are told apart by the second they begin in
    with TensorBoardLog(tmp_path) as log:
        for step in range(4, 7):
            log(step, {"loss": 10.0 * step})
    events = reading.EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 40.0),
        (5, 50.0),
        (6, 60.0),
    ]


# ----------------------------------------------------------------------------------------- kills


KILLED = config(pretrain_epochs=10, pretrain_steps=6, pretrain_keep="lowest-loss")


def _main(file: str) -> None:
    """Pre-train with a checkpoint at every step; what the killed process runs."""
    from affectrum.methods.emod import pretraining_loop

    pretraining_loop._CHECKPOINT_STEPS = 1
    pretrain_parts(two_corpora(), KILLED, checkpoint=Path(file))


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    command = [sys.executable, __file__, str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    rng = random.Random(5)
    for _ in range(3):
        before = file.stat().st_mtime_ns if file.exists() else 0
        process = subprocess.Popen(command, env=environment)
        while process.poll() is None:
            if file.exists() and file.stat().st_mtime_ns != before:
                # it trains: let it do some steps more, and stop it in a step or in writing
                time.sleep(rng.uniform(0.0, 0.2))
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        process.wait()
    subprocess.run(command, env=environment, check=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = pretrain_parts(two_corpora(), KILLED)
        same(whole, pretrain_parts(two_corpora(), KILLED, checkpoint=file))
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    _main(sys.argv[1])
