"""Batches of several corpora from memory maps, and what augmentation does to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from affectrum.affect import emod_regions
from affectrum.errors import ConfigError
from affectrum.methods.emod.augment import augment, released, views
from affectrum.methods.emod.sampling import RandomCorpusSampler, RegionSampler
from affectrum.methods.emod.streaming import CorpusBatch, WindowStream
from affectrum.windows import Windows

SHAPES = {"one": (40, 3, 256, 128.0), "two": (60, 5, 2000, 200.0)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Windows]:
    """Two corpora in files, of other electrodes, rates and lengths."""
    rng = np.random.default_rng(0)
    top = tmp_path_factory.mktemp("corpora")
    found = []
    for name, (n, n_channels, n_samples, sfreq) in SHAPES.items():
        x = 1e-5 * rng.standard_normal((n, n_channels, n_samples), dtype=np.float32)
        np.save(top / f"{name}.npy", x)
        windows = Windows.from_arrays(
            np.load(top / f"{name}.npy", mmap_mode="r"),
            pd.DataFrame({"subject": 1, "trial": np.arange(n) + 1, "corpus": name}),
            sfreq=sfreq,
            channels=[f"E{i}" for i in range(n_channels)],
            kind="raw",
        )
        # a selection, as a protocol grants it
        found.append(windows.select(np.arange(0, n, 2) if name == "one" else slice(5, None)))
    return found


@pytest.fixture(scope="module")
def va(parts: list[Windows]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    found = [rng.uniform(-1, 1, (len(part), 2)) for part in parts]
    found[1][3] = np.nan
    return found


def sampler_of(va: list[np.ndarray], seed: int = 4) -> RegionSampler:
    return RegionSampler([emod_regions(points) for points in va], 2, seed)


def equal(first: list[CorpusBatch], second: list[CorpusBatch]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.rows, b.rows)
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.va, b.va)
        assert torch.equal(a.region, b.region)
        assert (a.second is None) == (b.second is None)
        if a.second is not None:
            assert torch.equal(a.second, b.second)


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_batches_hold_what_the_sampler_names(
    parts: list[Windows], va: list[np.ndarray], prefetch: int
) -> None:
    sampler = sampler_of(va)
    stream = WindowStream(parts, va, sampler, prefetch=prefetch)
    steps = list(stream.batches(2, 6))
    assert len(steps) == 4
    for step, batch in zip(range(2, 6), steps, strict=True):
        for part, points, rows, got in zip(parts, va, sampler.batch(step), batch, strict=True):
            np.testing.assert_array_equal(got.rows, rows)
            np.testing.assert_array_equal(got.x, part.x[rows])
            assert got.x.dtype == torch.float32
            np.testing.assert_allclose(got.va, 4 * points[rows], rtol=1e-6)
            assert got.va.dtype == torch.float32
            np.testing.assert_array_equal(got.region, emod_regions(points[rows]))
            assert got.region.dtype == torch.int64
            assert (got.channels, got.sfreq) == (part.channels, part.sfreq)
            assert got.second is None


def test_nothing_is_read_whole(parts: list[Windows], va: list[np.ndarray]) -> None:
    fresh = [part.select(slice(None)) for part in parts]
    list(WindowStream(fresh, va, sampler_of(va)).batches(0, 3))
    assert all(part._x is None for part in fresh)


@pytest.mark.parametrize("augmentation", ["none", "released", "views"])
def test_a_resumed_run_gets_the_same_batches(
    parts: list[Windows], va: list[np.ndarray], augmentation: str
) -> None:
    def stream() -> WindowStream:
        return WindowStream(parts, va, sampler_of(va), augmentation=augmentation, seed=9)  # type: ignore[arg-type]

    for whole, resumed in zip(
        list(stream().batches(0, 6))[3:], stream().batches(3, 6), strict=True
    ):
        equal(whole, resumed)


@pytest.mark.parametrize("kind", ["region", "random"])
@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_together_read_the_whole_batch(
    parts: list[Windows], va: list[np.ndarray], world_size: int, kind: str
) -> None:
    sampler = sampler_of(va)
    if kind == "random":
        sampler = RandomCorpusSampler([emod_regions(points) for points in va], 2, 0)  # type: ignore[assignment]
    options = {"augmentation": "views", "two_views": True, "seed": 3}
    (whole,) = WindowStream(parts, va, sampler, **options).batches(1, 2)  # type: ignore[arg-type]
    shares = [
        next(
            WindowStream(parts, va, sampler, rank=rank, world_size=world_size, **options).batches(  # type: ignore[arg-type]
                1, 2
            )
        )
        for rank in range(world_size)
    ]
    for number, part in enumerate(whole):
        own = [batch[number] for batch in shares]
        np.testing.assert_array_equal(np.concatenate([b.rows for b in own]), part.rows)
        assert torch.equal(torch.cat([b.x for b in own]), part.x)
        assert torch.equal(torch.cat([b.second for b in own]), part.second)


def test_two_views_differ_and_one_does_not_depend_on_the_other(
    parts: list[Windows], va: list[np.ndarray]
) -> None:
    sampler = sampler_of(va)
    one = WindowStream(parts, va, sampler, augmentation="views").read(0)
    two = WindowStream(parts, va, sampler, augmentation="views", two_views=True).read(0)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.x, b.x)
        assert not (b.x == b.second).all(dim=(1, 2)).any()


class _Watched:
    """A sampler that notes what it was asked for, and may fail."""

    n_batches = 100

    def __init__(self, inner: RegionSampler, fail_at: int | None = None) -> None:
        self.inner, self.fail_at = inner, fail_at
        self.asked: list[int] = []
        self.threads: set[threading.Thread] = set()

    def batch(self, step: int) -> list[np.ndarray]:
        self.asked.append(step)
        self.threads.add(threading.current_thread())
        if step == self.fail_at:
            raise OSError("the disk is gone")
        return self.inner.batch(step)


@pytest.mark.parametrize("prefetch", [1, 2, 5])
def test_no_more_is_read_ahead_than_said(
    parts: list[Windows], va: list[np.ndarray], prefetch: int
) -> None:
    watched = _Watched(sampler_of(va))
    for step, _ in enumerate(WindowStream(parts, va, watched, prefetch=prefetch).batches(0, 9)):
        assert max(watched.asked) <= step + prefetch
    assert sorted(watched.asked) == list(range(9))
    assert len(watched.threads) <= prefetch
    assert threading.main_thread() not in watched.threads


def test_a_fault_while_reading_comes_out_when_its_turn_comes(
    parts: list[Windows], va: list[np.ndarray]
) -> None:
    watched = _Watched(sampler_of(va), fail_at=2)
    batches = WindowStream(parts, va, watched, prefetch=3).batches(0, 9)
    next(batches)
    next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
    assert not any(thread.is_alive() for thread in watched.threads)


def test_stopping_early_ends_the_reader(parts: list[Windows], va: list[np.ndarray]) -> None:
    watched = _Watched(sampler_of(va))
    batches: Iterator[list[CorpusBatch]] = WindowStream(parts, va, watched).batches(0, 50)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not any(thread.is_alive() for thread in watched.threads)
    assert max(watched.asked) <= 3
    assert list(WindowStream(parts, va, watched).batches(4, 4)) == []


def test_refusals(parts: list[Windows], va: list[np.ndarray]) -> None:
    sampler = sampler_of(va)
    with pytest.raises(ConfigError, match="one array of valence and arousal"):
        WindowStream(parts, va[:1], sampler)
    with pytest.raises(ConfigError, match=r"one: valence and arousal have shape \(3, 2\)"):
        WindowStream(parts, [va[0][:3], va[1]], sampler)
    features = Windows.from_arrays(
        np.zeros((20, 2, 3)),
        pd.DataFrame({"subject": 1, "trial": np.arange(20) + 1}),
        sfreq=None,
        channels=["Fz", "Cz"],
    )
    with pytest.raises(ConfigError, match="kind 'features'; expected 'raw'\n.*rate is not known"):
        WindowStream([features], [np.zeros((20, 2))], sampler)
    with pytest.raises(ConfigError, match="'rank'"):
        WindowStream(parts, va, sampler, rank=1)
    with pytest.raises(ConfigError, match="'prefetch'"):
        WindowStream(parts, va, sampler, prefetch=-1)
    with pytest.raises(ConfigError, match="Did you mean 'views'"):
        WindowStream(parts, va, sampler, augmentation="view")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------ augmentation


def signals(n: int, n_channels: int = 4, n_samples: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (3 + 2 * rng.standard_normal((n, n_channels, n_samples))).astype(np.float32)


def masked_run(window: np.ndarray) -> tuple[int, int]:
    """Return start and length of the samples that are 0 in all electrodes."""
    zero = np.flatnonzero((window == 0).all(axis=0))
    assert len(zero) == 0 or zero[-1] - zero[0] + 1 == len(zero)
    return (int(zero[0]), len(zero)) if len(zero) else (0, 0)


def test_released_does_one_of_six() -> None:
    before = signals(1200)
    after = released(before.copy(), (1, 2))
    same = (after == before).all(axis=(1, 2))
    masked = np.array([masked_run(window)[1] for window in after])
    noisy = ~same & (masked == 0)
    # four of six leave a window as it is; five standard deviations
    assert abs(same.mean() - 4 / 6) < 5 * np.sqrt(2 / 9 / 1200)
    assert abs(noisy.mean() - 1 / 6) < 5 * np.sqrt(5 / 36 / 1200)
    assert set(masked) == {0, 100}
    starts = np.array([masked_run(window)[0] for window in after[masked > 0]])
    assert starts.min() < 50
    assert starts.max() > 350
    kept = after[masked > 0] != 0
    np.testing.assert_array_equal(after[masked > 0][kept], before[masked > 0][kept])
    noise = (after - before)[noisy]
    assert noise.mean() == pytest.approx(0.1 * 3, abs=0.01)
    assert noise.std(axis=(1, 2)).mean() == pytest.approx(0.1 * 2, rel=0.02)


def test_views_change_gain_noise_time_and_electrodes() -> None:
    before = signals(600) - np.float32(3)
    after = views(before.copy(), (1, 2))
    missing = (after == 0).all(axis=2)
    assert missing.mean() == pytest.approx(0.2 * 3 / 4, abs=0.04)  # one electrode always stays
    assert not missing.all(axis=1).any()
    assert {masked_run(window)[1] for window in after} == {100}
    gains = []
    for old, new, gone in zip(before, after, missing, strict=True):
        kept = (new != 0) & ~gone[:, None]
        gains.append((old[kept] @ new[kept]) / (old[kept] @ old[kept]))
        rest = new[kept] / gains[-1] - old[kept]
        assert rest.std() == pytest.approx(0.1 * 2, rel=0.25)
    assert np.min(gains) > 0.78
    assert np.max(gains) < 1.28
    assert abs(np.log(gains).mean()) < 0.03


@pytest.mark.parametrize("augmentation", ["released", "views"])
def test_draws_follow_from_key_and_place_alone(augmentation: str) -> None:
    x = signals(12)
    whole = augment(x.copy(), augmentation, (7, 3, 0))  # type: ignore[arg-type]
    part = augment(x[5:9].copy(), augmentation, (7, 3, 0), first=5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(part, whole[5:9])
    assert not np.array_equal(augment(x.copy(), augmentation, (7, 4, 0)), whole)  # type: ignore[arg-type]


def test_no_augmentation_changes_nothing() -> None:
    x = signals(3)
    np.testing.assert_array_equal(augment(x.copy(), "none", (0,)), x)


def test_silent_electrodes_and_short_windows_survive() -> None:
    for n_samples in (1, 2, 7):
        x = np.zeros((30, 1, n_samples), dtype=np.float32)
        for augmentation in ("released", "views"):
            assert np.isfinite(augment(x.copy(), augmentation, (0,))).all()
