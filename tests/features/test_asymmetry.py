"""Asymmetry features: hand-worked values, the published numbers of pairs, names."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum import catalog
from affectrum.errors import ConfigError, ElectrodeError
from affectrum.features import asymmetry, frontal_posterior_pairs, left_right_pairs

NAMES = ("Fp1", "Fpz", "Fp2", "F3", "F4", "P3", "P4", "O1", "Oz", "O2")


def by_name(pairs, names=NAMES):
    return [(names[first], names[second]) for first, second in pairs]


def test_pairs_follow_from_the_names() -> None:
    assert by_name(left_right_pairs(NAMES)) == [
        ("Fp1", "Fp2"),
        ("F3", "F4"),
        ("P3", "P4"),
        ("O1", "O2"),
    ]
    assert by_name(frontal_posterior_pairs(NAMES)) == [
        ("Fp1", "O1"),
        ("Fpz", "Oz"),
        ("Fp2", "O2"),
        ("F3", "P3"),
        ("F4", "P4"),
    ]
    assert left_right_pairs(["Cz", "F3", "EOG"]) == ()


def test_seed_cap_has_the_published_numbers_of_pairs() -> None:
    channels = catalog.get("SEED").electrodes
    pairs = left_right_pairs(channels)
    assert len(pairs) == 27
    assert len({electrode for pair in pairs for electrode in pair}) == 54
    assert ("CB1", "CB2") in by_name(pairs, channels)
    posterior = frontal_posterior_pairs(channels)
    assert len(posterior) == 23
    assert len({electrode for pair in posterior for electrode in pair}) == 46


def test_values_against_hand_worked_ones() -> None:
    features = np.array([[8.0, 2.0], [4.0, 5.0], [1.0, 0.0]])  # (3 electrodes, 2 bands)
    names = ["F3", "F4", "P3"]
    np.testing.assert_array_equal(asymmetry(features, kind="dasm", channels=names), [[4, -3]])
    np.testing.assert_array_equal(asymmetry(features, kind="rasm", channels=names), [[2, 0.4]])
    np.testing.assert_array_equal(
        asymmetry(features, kind="asm", channels=names), [[4, -3], [2, 0.4]]
    )
    np.testing.assert_array_equal(asymmetry(features, kind="dcau", channels=names), [[7, 2]])
    np.testing.assert_array_equal(asymmetry(features, kind="rasm", pairs=[(0, 2)]), [[8, np.nan]])


def test_pairs_by_index_and_by_name_are_the_same() -> None:
    features = np.random.default_rng(0).normal(size=(7, 3, 10, 5)).astype(np.float32)
    by_index = asymmetry(features, pairs=[(3, 4), (7, 9)])
    assert by_index.shape == (7, 3, 2, 5)
    assert by_index.dtype == np.float32
    named = asymmetry(features, channels=NAMES, pairs=[("f3", "F4"), ("O1", "O2")])
    np.testing.assert_array_equal(by_index, named)


def test_differences_do_not_depend_on_the_unit_and_ratios_do() -> None:
    volts = np.random.default_rng(0).normal(-11, 1, size=(10, 5))
    microvolts = volts + np.log(1e6)  # differential entropy of the same signal in microvolts
    for kind, same in (("dasm", True), ("dcau", True), ("rasm", False)):
        first, second = (asymmetry(x, kind=kind, channels=NAMES) for x in (volts, microvolts))
        assert np.allclose(first, second) is same


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "dsam", "channels": NAMES}, ConfigError, ["'kind'", "'dsam'", "'dasm'"]),
        ({}, ConfigError, ["'channels'", "'pairs'"]),
        ({"channels": NAMES[:3]}, ConfigError, ["3 names", "10 electrodes"]),
        ({"pairs": [(0, 10), (-1, 2)]}, ElectrodeError, ["10", "-1"]),
        (
            {"channels": NAMES, "pairs": [("F3", "F9"), ("X", "F4")]},
            ElectrodeError,
            ["'F9'", "'X'"],
        ),
        ({"pairs": [("F3", "F4")]}, ElectrodeError, ["'F3'", "no 'channels'"]),
        ({"pairs": [(1, 2, 3)]}, ConfigError, ["two electrodes"]),
        ({"channels": [f"E{k}" for k in range(0, 20, 2)]}, ElectrodeError, ["no pair", "'pairs'"]),
    ],
)
def test_errors_name_what_is_wrong(options, error, words) -> None:
    with pytest.raises(error) as raised:
        asymmetry(np.ones((10, 5)), **options)
    for word in words:
        assert word in str(raised.value)


def test_axes_are_checked() -> None:
    with pytest.raises(ConfigError, match="n_bands"):
        asymmetry(np.ones(5), pairs=[(0, 1)])
