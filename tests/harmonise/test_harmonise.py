"""Electrode sets to one another, against index lists, closed forms and MNE."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum import harmonise
from affectrum.electrodes import REGIONS, positions, region
from affectrum.errors import ConfigError, ElectrodeError
from affectrum.harmonise import DEAP32, SEED62, harmonise_matrix

# Where DEAP's electrodes stand in the SEED cap (0-based, DEAP order): the list that the 62 -> 32
# transfer of SCMM needs.
SEED_ROWS_OF_DEAP = [
    *(0, 3, 7, 5, 15, 17, 25, 23, 33, 35, 43, 41, 52, 58, 59, 45),
    *(2, 4, 9, 11, 13, 21, 19, 27, 29, 31, 39, 37, 47, 49, 54, 60),
]
EMOTIV14 = ["AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4"]
TEN_TWENTY = [
    *("FP1", "FP2", "F7", "F3", "FZ", "F4", "F8", "T3", "C3", "CZ"),
    *("C4", "T4", "T5", "P3", "PZ", "P4", "T6", "O1", "O2"),
]


def signals(n_channels: int, n_samples: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_channels, n_samples))


# ------------------------------------------------------------------------------ sets


def test_electrode_sets():
    assert harmonise.electrode_set("seed62") == SEED62
    assert harmonise.electrode_set("DEAP") == harmonise.electrode_set("common32") == DEAP32
    assert harmonise.electrode_set(["FZ", "t3"]) == ("Fz", "T7")
    with pytest.raises(ElectrodeError, match="Known sets are SEED62, DEAP32.*Did you mean"):
        harmonise.electrode_set("SEED63")
    with pytest.raises(ElectrodeError, match="same electrode"):
        harmonise.electrode_set(["T3", "T7"])
    with pytest.raises(ElectrodeError, match="at least one"):
        harmonise.electrode_set([])


def test_common_electrodes_come_in_the_order_of_the_smallest_set():
    assert harmonise.common_electrodes("SEED", "SEED-IV", "DEAP") == DEAP32
    assert harmonise.common_electrodes("SEED62", ["O2", "Fz", "TP9"]) == ("O2", "Fz")
    with pytest.raises(ElectrodeError, match="no electrode in common"):
        harmonise.common_electrodes(["Fz"], ["Cz"])


# ------------------------------------------------------------------------------ pick


def test_seed_to_deap_picks_the_published_rows():
    found = harmonise_matrix(SEED62, "DEAP32", reference="none")
    assert found.how == "pick"
    assert found.mask.all()
    assert not found.interpolated
    x = signals(62)
    np.testing.assert_array_equal(found.apply(x), x[SEED_ROWS_OF_DEAP])
    np.testing.assert_array_equal(harmonise.pick(x, SEED62, "DEAP32"), x[SEED_ROWS_OF_DEAP])


def test_average_reference_is_over_the_target_set_not_the_cap():
    x = signals(62)
    picked = x[SEED_ROWS_OF_DEAP]
    found = harmonise_matrix(SEED62, "DEAP32").apply(x)
    np.testing.assert_allclose(found, picked - picked.mean(axis=0), atol=1e-12)
    # referencing over the dense cap first leaves another signal
    dense_first = (x - x.mean(axis=0))[SEED_ROWS_OF_DEAP]
    assert np.abs(found - dense_first).max() > 0.01


@given(st.permutations(list(SEED62)))
@settings(max_examples=20)
def test_the_order_of_the_channels_in_the_file_does_not_matter(order):
    x = signals(62)
    shuffled = x[[SEED62.index(name) for name in order]]
    plain = harmonise_matrix(SEED62, "DEAP32").apply(x)
    np.testing.assert_allclose(harmonise_matrix(order, "DEAP32").apply(shuffled), plain, atol=1e-12)


def test_what_recorders_write_is_understood_and_other_channels_are_not_used():
    names = ["EEG Fz-REF", "EOG", "T3", "A1", "Status"]
    found = harmonise_matrix(names, ["T7", "Fz"], reference="none")
    assert found.used == ("EEG Fz-REF", "T3")
    x = signals(5)
    x[[1, 3, 4]] = np.nan  # what is not used must not matter
    np.testing.assert_array_equal(found.apply(x), x[[2, 0]])


def test_more_dimensions_and_single_precision():
    found = harmonise_matrix(SEED62, "DEAP32")
    x = np.random.default_rng(1).normal(size=(2, 3, 62, 5)).astype(np.float32)
    result = found.apply(x)
    assert result.shape == (2, 3, 32, 5)
    np.testing.assert_allclose(result[1, 2], found.apply(x[1, 2]), atol=1e-12)
    with pytest.raises(ElectrodeError, match=r"\(\.\.\., 62, n_samples\).*\(61, 5\)"):
        found.apply(x[0, 0, :61])


# ------------------------------------------------------------------------------ splines


def test_interpolation_equals_mne():
    import mne

    missing = [name for name in SEED62 if name not in DEAP32]
    info = mne.create_info(list(SEED62), 200.0, "eeg", verbose=False)
    montage = mne.channels.make_dig_montage(
        dict(zip(SEED62, positions(SEED62), strict=True)), coord_frame="head"
    )
    x = signals(62, 50) * 1e-5
    raw = mne.io.RawArray(x.copy(), info, verbose=False)
    raw.set_montage(montage)
    raw.info["bads"] = missing
    raw.interpolate_bads(origin=(0.0, 0.0, 0.0), method={"eeg": "spline"}, verbose=False)
    found = harmonise.interpolate(x[[SEED62.index(name) for name in DEAP32]], DEAP32, "SEED62")
    np.testing.assert_allclose(found, raw.get_data(), rtol=0, atol=1e-5 * 1e-9)


def test_thirty_two_electrodes_taken_to_sixty_two_have_rank_31():
    found = harmonise_matrix(DEAP32, "SEED62")
    assert found.how == "interpolate"
    assert found.matrix.shape == (62, 32)
    assert found.rank == 31
    assert harmonise_matrix(DEAP32, "SEED62", reference="none").rank == 32
    assert found.mask.sum() == 32
    assert len(found.interpolated) == 30
    assert not set(found.interpolated) & set(DEAP32)
    # measured electrodes are left as they are, apart from the reference
    plain = harmonise_matrix(DEAP32, "SEED62", reference="none")
    x = signals(32)
    np.testing.assert_array_equal(
        plain.apply(x)[plain.mask], x[[DEAP32.index(n) for n in SEED62 if n in DEAP32]]
    )


def test_spline_keeps_a_constant_and_is_exact_without_regularisation():
    here = positions(DEAP32)
    matrix = harmonise.spherical_spline_matrix(here, positions(SEED62))
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-10)
    exact = harmonise.spherical_spline_matrix(here, here, regularisation=0.0)
    np.testing.assert_allclose(exact, np.eye(32), atol=1e-8)


def test_spline_recovers_a_smooth_potential():
    # the potential of a current dipole deep in the head is smooth; spherical harmonics of degree
    # one and two are a closed-form stand-in
    def smooth(names):
        x, y, z = (positions(names) / 0.095).T
        return 0.7 * x - 0.2 * y + 0.5 * z + 0.3 * x * y - 0.4 * (3 * z**2 - 1) / 2

    found = harmonise_matrix(DEAP32, "SEED62", reference="none")
    error = found.matrix @ smooth(DEAP32) - smooth(SEED62)
    assert np.abs(error).max() < 0.05 * np.ptp(smooth(SEED62))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_spline_does_not_depend_on_how_the_head_is_turned(seed):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    here, there = positions(EMOTIV14), positions(["Cz", "Fz", "Pz"])
    np.testing.assert_allclose(
        harmonise.spherical_spline_matrix(here @ rotation.T, 3 * there @ rotation.T),
        harmonise.spherical_spline_matrix(here, there),
        atol=1e-9,
    )


def test_spline_refuses_what_it_cannot_solve():
    with pytest.raises(ElectrodeError, match="at least 2"):
        harmonise.spherical_spline_matrix([[0, 0, 1]], [[0, 1, 0]])
    with pytest.raises(ElectrodeError, match="two coincide"):
        harmonise.spherical_spline_matrix([[0, 0, 1], [0, 0, 2]], [[0, 1, 0]])


# ------------------------------------------------------------------------------ padding


def test_padding_marks_what_is_not_there_and_references_over_the_rest():
    x = signals(32)
    found = harmonise_matrix(DEAP32, "SEED62", how="pad")
    result = found.apply(x)
    assert found.mask.sum() == 32
    assert found.padded == tuple(name for name in SEED62 if name not in DEAP32)
    np.testing.assert_array_equal(result[~found.mask], 0)
    rows = [DEAP32.index(name) for name in SEED62 if name in DEAP32]
    np.testing.assert_allclose(result[found.mask], (x - x.mean(axis=0))[rows], atol=1e-12)
    padded, mask = harmonise.pad(x, DEAP32, "SEED62")
    np.testing.assert_array_equal(padded[mask], x[rows])
    with pytest.raises(ElectrodeError, match="nothing to pad"):
        harmonise_matrix(["Fz", "Cz"], ["O1", "O2"], how="pad")


# ------------------------------------------------------------------------------ refusals


def test_auto_interpolates_only_where_it_can():
    # the 19 electrodes of the 10-20 system are enough for DEAP's 32
    found = harmonise_matrix(TEN_TWENTY, "DEAP32")
    assert found.how == "interpolate"
    assert found.mask.sum() == 19
    with pytest.raises(ElectrodeError) as caught:
        harmonise_matrix(EMOTIV14, "DEAP32")
    message = str(caught.value)
    assert "18 of 32 electrodes are missing" in message
    assert "16 electrodes or more, and there are 14" in message
    assert "62 degrees from the nearest electrode" in message
    assert "how='pad'" in message
    assert "a set of the 14 electrodes that are there (AF3, F3" in message
    # less than half of the target measured
    with pytest.raises(ElectrodeError, match="19 of 62 are"):
        harmonise_matrix(TEN_TWENTY, "SEED62")
    # who insists may
    assert harmonise_matrix(EMOTIV14, "DEAP32", how="interpolate").mask.sum() == 14


def test_missing_electrodes_are_named_with_what_would_do():
    with pytest.raises(ElectrodeError, match=r"1 of 2 .* missing: Pz.*how='pick' needs all"):
        harmonise_matrix(["Fz", "Cz"], ["Fz", "Pz"], how="pick")
    with pytest.raises(ElectrodeError, match="interpolation needs at least 4 electrodes"):
        harmonise_matrix(["Fz", "Cz"], ["Fz", "Pz"], how="interpolate")
    biosemi = [f"A{number}" for number in range(1, 17)]
    with pytest.raises(ElectrodeError, match="none of the names is a 10-05 electrode"):
        harmonise_matrix(biosemi, "DEAP32")
    with pytest.raises(ElectrodeError, match="'T3' and 'T7' are the same electrode"):
        harmonise_matrix(["T3", "T7", "Cz"], ["Cz"])


def test_wrong_options():
    with pytest.raises(ConfigError, match="'auto', 'pick', 'interpolate', 'pad'"):
        harmonise_matrix(SEED62, "DEAP32", how="nearest")
    with pytest.raises(ConfigError, match="'average', 'none'"):
        harmonise_matrix(SEED62, "DEAP32", reference="mastoids")
    with pytest.raises(ElectrodeError, match="at least 2 measured electrodes; there are 1"):
        harmonise_matrix(["Cz"], ["Cz"])


def test_the_result_cannot_be_altered_by_accident():
    found = harmonise_matrix(SEED62, "DEAP32")
    with pytest.raises(ValueError, match="read-only"):
        found.matrix[0, 0] = 1.0


# ------------------------------------------------------------------------------ references, regions


@given(
    st.sampled_from([(SEED62, "DEAP32", "auto"), (DEAP32, "SEED62", "auto")]),
    st.floats(-1e3, 1e3),
    st.integers(0, 1000),
)
@settings(max_examples=25)
def test_average_reference_forgets_the_reference_of_the_file(caps, shift, seed):
    channels, target, how = caps
    found = harmonise_matrix(channels, target, how=how)
    x = signals(len(channels), seed=seed)
    # another reference adds the same signal to all electrodes
    np.testing.assert_allclose(found.apply(x + shift), found.apply(x), atol=1e-9)
    np.testing.assert_allclose(found.apply(x).mean(axis=0), 0, atol=1e-10)


def test_rereference():
    x = signals(4)
    np.testing.assert_allclose(harmonise.rereference(x), x - x.mean(axis=0))
    mask = np.array([True, True, False, True])
    before = x.copy()
    found = harmonise.rereference(x, mask)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(found[2], x[2])
    np.testing.assert_allclose(found[mask], x[mask] - x[mask].mean(axis=0))
    with pytest.raises(ElectrodeError, match="expected shape"):
        harmonise.rereference(x, mask[:3])
    with pytest.raises(ElectrodeError, match="at least 2"):
        harmonise.rereference(x, np.array([True, False, False, False]))


@pytest.mark.parametrize("cap", [SEED62, DEAP32])
def test_regions_are_means_of_their_electrodes(cap):
    x = signals(len(cap))
    found = harmonise.region_matrix(cap, reference="none")
    assert found.target == REGIONS
    expected = np.array(
        [x[[region(name) == wanted for name in cap]].mean(axis=0) for wanted in REGIONS]
    )
    np.testing.assert_allclose(found.apply(x), expected, atol=1e-12)
    referenced = harmonise.region_matrix(cap).apply(x)
    np.testing.assert_allclose(referenced, expected - expected.mean(axis=0), atol=1e-12)


def test_regions_without_electrodes_are_refused():
    with pytest.raises(ElectrodeError, match="region frontal_midline, central;"):
        harmonise.region_matrix(EMOTIV14)
    some = ("frontal_left", "frontal_right", "occipital")
    assert harmonise.region_matrix(EMOTIV14, some).matrix.shape == (3, 14)
    with pytest.raises(ConfigError, match="Did you mean 'parietal'"):
        harmonise.region_matrix(SEED62, ("parietall",))
