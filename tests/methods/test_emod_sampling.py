"""EMOD's samplers beside the reference's tallies of regions, and their promises."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from affectrum.affect import emod_regions, to_valence_arousal
from affectrum.errors import ConfigError
from affectrum.methods.emod.sampling import (
    CorpusSampler,
    RandomCorpusSampler,
    RegionSampler,
    share,
)

ALL = tuple(range(9))
# In the released order. Rated corpora have every region; the words of the others lie in a few.
WORDS = {
    "DEAP": None,
    "AMIGOS": None,
    "MDME": None,
    "SEED-VII": ["happy", "neutral", "disgust", "sad", "anger", "fear", "surprise"],
    "DREAMER": None,
    "MAHNOB-HCI": None,
    "SEED-IV": ["neutral", "sad", "fear", "happy"],
    "MPED": ["neutral", "joy", "funny", "anger", "fear", "disgust", "sad"],
}
EVENLY = dict.fromkeys(ALL, 1)
# From a description of the released code: windows by region in nine draws.
RESET = {
    "SEED-VII": {3: 4, 4: 1, 7: 3, 8: 1},
    "SEED-IV": {4: 5, 7: 3, 8: 1},
    "MPED": {3: 4, 4: 1, 5: 1, 7: 2, 8: 1},
}
CARRIED = {
    "SEED-VII": {3: 4, 4: 1, 7: 3, 8: 1},
    "DREAMER": {3: 4, 4: 1, 7: 3, 8: 1},
    "MAHNOB-HCI": {3: 4, 4: 1, 7: 3, 8: 1},
    "SEED-IV": {4: 5, 7: 3, 8: 1},
    "MPED": {4: 5, 7: 3, 8: 1},
}


def corpora(copies: int = 30) -> dict[str, np.ndarray]:
    """Regions of windows, shuffled, some without a place."""
    rng = np.random.default_rng(0)
    found = {}
    for name, words in WORDS.items():
        table = {"joy": (0.75, 0.5)}
        own = (
            np.arange(9)
            if words is None
            else emod_regions(
                [table[w] if w in table else to_valence_arousal([w], None)[0] for w in words]
            )
        )
        found[name] = rng.permutation(np.r_[np.tile(own, copies), np.full(7, -1)])
    return found


@pytest.mark.parametrize("per_region", [1, 4])
@pytest.mark.parametrize(("order", "tallies"), [("reset", RESET), ("carried", CARRIED)])
def test_tallies_of_the_reference(
    order: str, tallies: dict[str, dict[int, int]], per_region: int
) -> None:
    regions = corpora()
    sampler = RegionSampler(list(regions.values()), per_region, seed=3, order=order)  # type: ignore[arg-type]
    for step in (0, 1, 77):
        for name, rows in zip(regions, sampler.batch(step), strict=True):
            expected = tallies.get(name, EVENLY)
            assert rows.dtype == np.int64
            assert Counter(regions[name][rows].tolist()) == {
                region: n * per_region for region, n in expected.items()
            }, name


def test_eight_published_corpora_make_288_windows_and_274_steps() -> None:
    sizes = [3840, 5000, 5329, 27340, 5716, 5000, 14655, 12190]
    assert sum(sizes) == 79070
    rng = np.random.default_rng(0)
    sampler = RegionSampler([rng.integers(0, 9, n) for n in sizes], 4, seed=0)
    assert sum(map(len, sampler.batch(0))) == 288
    assert sampler.n_batches == 274


def test_each_round_goes_through_the_regions() -> None:
    sampler = RegionSampler([np.repeat(np.arange(9), 5)], 3, seed=0)
    np.testing.assert_array_equal(sampler.batch(5)[0] // 5, np.tile(np.arange(9), 3))


def test_windows_of_a_region_are_drawn_equally_often() -> None:
    regions = np.array([0, 4, 4, 4, 4, -1])
    sampler = RegionSampler([regions], 1, seed=1)
    drawn = np.concatenate([sampler.batch(step)[0] for step in range(4000)])
    counts = np.bincount(drawn, minlength=6)
    # regions 5 to 8 fall through to 0 and then 1 to 4 to 4: 5 and 4 draws a round
    assert counts[0] == 5 * 4000
    assert counts[5] == 0
    expected = 4 * 4000 / 4
    # four standard deviations of a binomial count
    assert np.abs(counts[1:5] - expected).max() < 4 * np.sqrt(16000 * 0.25 * 0.75)


def make(kind: str, seed: int = 0) -> CorpusSampler:
    regions = list(corpora().values())
    if kind == "random":
        return RandomCorpusSampler(regions, 2, seed)
    return RegionSampler(regions, 2, seed, order=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["reset", "carried", "random"])
def test_batches_follow_from_seed_and_step_alone(kind: str) -> None:
    steps = [0, 1, 2, 50, 51, 7, 1000]
    first, again = make(kind), make(kind)
    one_way = {step: first.batch(step) for step in steps}
    other_way = {step: again.batch(step) for step in reversed(steps)}
    for step in steps:
        for a, b in zip(one_way[step], other_way[step], strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(one_way[0], make(kind, seed=1).batch(0), strict=True)
    )
    assert not np.array_equal(one_way[0][0], one_way[1][0])


@pytest.mark.parametrize("kind", ["reset", "random"])
def test_a_further_corpus_does_not_change_the_draws_of_others(kind: str) -> None:
    regions = [np.arange(180) % 9, np.arange(180) % 9]
    samplers = [
        RegionSampler(part, 1, 0) if kind == "reset" else RandomCorpusSampler(part, 1, 0)
        for part in (regions, [*regions, np.arange(180) % 9])
    ]
    for a, b in zip(samplers[0].batch(3), samplers[1].batch(3), strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["reset", "carried", "random"])
def test_windows_without_a_place_are_never_drawn(kind: str) -> None:
    sampler, regions = make(kind), list(corpora().values())
    for step in range(60):
        for own, rows in zip(regions, sampler.batch(step), strict=True):
            assert (own[rows] >= 0).all()


@pytest.mark.parametrize("kind", ["reset", "random"])
@pytest.mark.parametrize("world_size", [1, 2, 3, 40])
def test_shares_join_to_the_whole_batch(kind: str, world_size: int) -> None:
    whole = make(kind).batch(4)
    shares = [share(whole, rank, world_size) for rank in range(world_size)]
    for number, rows in enumerate(whole):
        parts = [part[number] for part in shares]
        np.testing.assert_array_equal(np.concatenate(parts), rows)
        lengths = [len(part) for part in parts]
        assert max(lengths) - min(lengths) <= 1


def test_random_windows_come_once_before_any_comes_again() -> None:
    sizes = [300, 60, 25]
    regions = [np.r_[np.arange(n) % 9, [-1, -1]] for n in sizes]
    sampler = RandomCorpusSampler(regions, 3, seed=2)
    counts = [len(rows) for rows in sampler.batch(0)]
    assert sum(counts) == 3 * 9 * 3
    # the rest of 81 after two each, by size: 75 x (300, 60, 25) / 385 = 58.4, 11.7, 4.9
    assert counts == [60, 14, 7]
    for number, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        steps = 2 * size  # `count` whole passes, twice
        drawn = np.concatenate([sampler.batch(step)[number] for step in range(steps)])
        for turn in range(2 * count):
            passed = drawn[turn * size : (turn + 1) * size]
            np.testing.assert_array_equal(np.sort(passed), np.arange(size))
        assert not np.array_equal(drawn[:size], drawn[size : 2 * size])


def test_a_small_corpus_still_gives_two_windows() -> None:
    sampler = RandomCorpusSampler([np.zeros(100_000, int), np.zeros(1, int)], 1, seed=0)
    assert [len(rows) for rows in sampler.batch(0)] == [16, 2]


@pytest.mark.parametrize("sampler", [RegionSampler, RandomCorpusSampler])
@pytest.mark.parametrize(
    ("regions", "per_region", "part"),
    [
        ([], 1, "no corpus"),
        ([np.zeros(3, int), np.full(3, -1)], 1, "None of the 3 windows of corpus 1"),
        ([np.array([0, 9])], 1, "go from 0 to 9"),
        ([np.array([0.0])], 1, "whole number"),
        ([np.zeros(3, int)], 0, "'per_region'"),
    ],
)
def test_refusals(sampler: type, regions: list[np.ndarray], per_region: int, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        sampler(regions, per_region, 0)


def test_more_refusals() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'carried'"):
        RegionSampler([np.zeros(3, int)], 1, 0, order="carry")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'rank' must be 0"):
        share([np.arange(4)], 2, 2)


@pytest.mark.parametrize("order", ["reset", "carried"])
def test_empty_regions_as_in_plain_loops(order: str) -> None:
    rng = np.random.default_rng(5)
    for trial in range(50):
        filled = [rng.permutation(9)[: rng.integers(1, 10)] for _ in range(int(rng.integers(1, 6)))]
        expected: list[list[int]] = [[] for _ in filled]
        for draw in range(18):
            region = draw % 9
            for number, own in enumerate(filled):
                if order == "reset":
                    region = draw % 9
                while region not in own:
                    region = (region + 1) % 9
                expected[number].append(region)
        sampler = RegionSampler(filled, 2, seed=trial, order=order)  # type: ignore[arg-type]
        drawn = [own[rows].tolist() for own, rows in zip(filled, sampler.batch(1), strict=True)]
        assert drawn == expected
