from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.training.samplers import BlockSampler, RandomSampler, make_sampler

trial_lists = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(
    lengths=trial_lists,
    batch_size=st.integers(1, 40),
    block=st.integers(1, 9),
    name=st.sampled_from(["random", "blocks"]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_every_epoch_holds_every_window_and_no_batch_holds_one_twice(
    lengths: list[int], batch_size: int, block: int, name: str, seed: int
) -> None:
    trials = np.repeat(np.arange(len(lengths)), lengths)
    sampler = make_sampler(name, trials, batch_size, seed, block)
    batches = [sampler.batch(step) for step in range(sampler.n_batches)]
    size = min(batch_size, len(trials))
    assert all(len(batch) == size for batch in batches)
    assert all(len(np.unique(batch)) == size for batch in batches)
    assert np.array_equal(np.unique(np.concatenate(batches)), np.arange(len(trials)))


def test_batches_follow_from_seed_and_step_alone() -> None:
    trials = np.repeat(np.arange(10), 20)
    for name in ("random", "blocks"):
        one = make_sampler(name, trials, 64, 5)
        other = make_sampler(name, trials, 64, 5)
        in_order = [one.batch(step).tolist() for step in range(9)]
        jumping = {step: other.batch(step).tolist() for step in (8, 0, 5, 3)}
        assert all(in_order[step] == batch for step, batch in jumping.items())
        assert in_order[0] != in_order[one.n_batches]  # a new order each epoch
        assert make_sampler(name, trials, 64, 6).batch(0).tolist() != in_order[0]


def test_blocks_are_runs_of_one_trial_wherever_its_windows_stand() -> None:
    rng = np.random.default_rng(0)
    trials = rng.permutation(np.repeat(np.arange(12), 50))
    place = np.empty(len(trials), dtype=int)
    for trial in range(12):
        place[trials == trial] = np.arange(50)
    sampler = BlockSampler(trials, 60, seed=1, block=10)
    steps = []
    for step in range(sampler.n_batches - 1):
        batch = sampler.batch(step)
        same = trials[batch][1:] == trials[batch][:-1]
        follows = place[batch][1:] - place[batch][:-1] == 1
        steps.append((same & follows).mean())
    # blocks of about 10: nine of ten steps within a batch go to the next window of the trial
    assert np.mean(steps) > 0.8
    random = RandomSampler(len(trials), 60, seed=1).batch(0)
    assert np.mean(place[random][1:] - place[random][:-1] == 1) < 0.1


def test_bad_sizes_are_named() -> None:
    with pytest.raises(ConfigError, match="batch_size=0"):
        RandomSampler(4, 0, 0)
    with pytest.raises(ConfigError, match="received 0"):
        BlockSampler(np.zeros(4, dtype=int), 2, 0, block=0)
    with pytest.raises(ConfigError, match="'random', 'blocks'"):
        make_sampler("shuffled", np.zeros(4, dtype=int), 2, 0)  # type: ignore[arg-type]
