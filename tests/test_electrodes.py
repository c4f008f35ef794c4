"""Electrode names, places, regions and pairs, against hand-written oracles and MNE."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectrum import electrodes
from affectrum.catalog import deap, seed
from affectrum.errors import ElectrodeError

NAMES = electrodes.all_names()
MAKER = Path(__file__).resolve().parents[1] / "tools" / "make_electrode_positions.py"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("FP1", "Fp1"),
        ("fp1", "Fp1"),
        (" Fp1 ", "Fp1"),
        ("EEG Fp1", "Fp1"),
        ("EEG FP1-REF", "Fp1"),
        ("Fp1.", "Fp1"),
        ("Fc5.", "FC5"),
        ("EEG-Fp1-A1A2", "Fp1"),
        ("EEG C3-(A1+A2)", "C3"),
        ("EEG Cz-LE", "Cz"),
        ("Fp1-M2", "Fp1"),
        ("EEG.AF3", "AF3"),
        ("T3", "T7"),
        ("t4", "T8"),
        ("T5", "P7"),
        ("EEG T6-Ref", "P8"),
        ("FPZ", "Fpz"),
        ("CPZ", "CPz"),
        ("cb1", "CB1"),
        ("CB2", "CB2"),
        ("POO7", "POO7"),
        ("poo8h", "POO8h"),
        # not scalp electrodes, or not one of them
        ("A1", None),
        ("A2", None),
        ("M1", None),
        ("EEG A1-REF", None),
        ("A12", None),
        ("B7", None),
        ("EXG1", None),
        ("hEOG", None),
        ("ECG", None),
        ("Status", None),
        ("", None),
        ("EEG", None),
        ("EEG 1", None),
        ("F7-T7", None),
        ("C3-Cz", None),
        ("Nonsense", None),
    ],
)
def test_canonical(written, expected):
    assert electrodes.canonical(written) == expected


@given(
    name=st.sampled_from(NAMES),
    prefix=st.sampled_from(["", "EEG ", "eeg-", "EEG.", "EEG_"]),
    suffix=st.sampled_from(["", "-REF", "-ref", " - Avg", ".", "..", "-A1", "-M1", "-LE", "_Ref"]),
    change=st.sampled_from([str, str.upper, str.lower]),
)
def test_what_recorders_write_around_a_name_does_not_matter(name, prefix, suffix, change):
    assert electrodes.canonical(prefix + change(name) + suffix) == name


@given(st.text(max_size=12))
def test_any_text_gives_a_known_name_or_none(text):
    found = electrodes.canonical(text)
    assert found is None or found in NAMES


def test_biosemi_positions_are_not_mapped_even_where_they_read_like_electrodes():
    cap128 = [f"{bank}{number}" for bank in "ABCD" for number in range(1, 33)]
    assert electrodes.looks_like_biosemi(cap128)
    assert electrodes.canonical_names(cap128) == [None] * 128
    sixteen = [f"A{number}" for number in range(1, 17)]
    assert electrodes.looks_like_biosemi(sixteen)
    assert electrodes.canonical_names([*sixteen, "Status"]) == [None] * 17
    with pytest.raises(ElectrodeError, match="BioSemi"):
        electrodes.require_canonical(sixteen)


@pytest.mark.parametrize(
    "names",
    [
        seed.ELECTRODES,
        [*deap.ELECTRODES, "A2", "A1"],
        ["A1", "A2", "C3", "C4", "F3", "F4"],
        ["M1", "M2", "Cz"],
    ],
)
def test_real_caps_do_not_look_like_biosemi(names):
    assert not electrodes.looks_like_biosemi(names)
    assert "C3" not in names or electrodes.canonical_names(names)[list(names).index("C3")] == "C3"


def test_require_canonical_names_every_fault_at_once():
    with pytest.raises(ElectrodeError) as caught:
        electrodes.require_canonical(["Fp1", "T3", "T7", "Foo", "M1"])
    message = str(caught.value)
    assert "Foo, M1" in message
    assert "'T3' and 'T7' are the same electrode" in message
    with pytest.raises(ElectrodeError, match="Did you mean 'CB1'"):
        electrodes.require_canonical(["CB11"])


def test_table_of_positions_is_what_mne_gives():
    made = runpy.run_path(str(MAKER))["directions"]()
    assert tuple(made) == NAMES
    np.testing.assert_allclose(
        electrodes.positions(NAMES) / electrodes.HEAD_RADIUS_M,
        np.array(list(made.values())),
        atol=1e-6,
    )


def test_angles_between_electrodes_are_those_of_the_mne_montage():
    import mne

    montage = mne.channels.make_standard_montage("colin27_1005").get_positions()["ch_pos"]
    names = [name for name in NAMES if name in montage]
    assert len(names) == len(NAMES) - 2
    points = np.array([montage[name] for name in names])
    design = np.c_[2 * points, np.ones(len(points))]
    centre = np.linalg.solve(design.T @ design, design.T @ (points**2).sum(axis=1))[:3]
    points = points - centre
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ours = electrodes.positions(names) / electrodes.HEAD_RADIUS_M
    np.testing.assert_allclose(ours @ ours.T, points @ points.T, atol=3e-6)


def test_positions_lie_where_their_names_say():
    place = dict(zip(NAMES, electrodes.positions(NAMES), strict=True))
    np.testing.assert_allclose(np.linalg.norm(list(place.values()), axis=1), 0.095, atol=1e-6)
    np.testing.assert_allclose(place["Cz"], (0, 0, 0.095), atol=1e-9)
    assert place["T8"][0] > 0.09
    assert place["Fpz"][1] > 0.09
    assert place["Oz"][1] < -0.09
    for name, (x, _, _) in place.items():
        number = name.rstrip("h")[-1]
        assert (abs(x) < 2e-3) if number == "z" else ((x < 0) == bool(int(number) % 2)), name


def test_cb1_and_cb2_follow_the_polar_convention():
    # EEGLAB: -150 degrees from the nose towards the left, radius 0.51111 -> 2 degrees below the
    # plane through the centre: (sin, cos) of the angle times cos 2 degrees, minus sin 2 degrees
    cos2, sin2 = np.cos(np.radians(1.9998)), np.sin(np.radians(1.9998))
    expected = np.array([[-0.5 * cos2, -np.sqrt(3) / 2 * cos2, -sin2]])
    expected = np.vstack([expected, expected * [-1, 1, 1]])
    found = electrodes.positions(["CB1", "CB2"]) / electrodes.HEAD_RADIUS_M
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # they lie beside PO7 and POO7, as on the cap
    place = electrodes.positions(["CB1", "PO7", "POO7", "O1"])
    assert np.all(np.linalg.norm(place[1:] - place[0], axis=1) < 0.025)


def test_topomap_places():
    xy = electrodes.topo_xy(NAMES)
    place = dict(zip(NAMES, xy, strict=True))
    assert np.hypot(*xy.T).max() == pytest.approx(1.0)
    np.testing.assert_array_equal(place["Cz"], (0, 0))
    assert place["Fpz"][1] > 0.6
    assert place["T7"][0] < -0.6
    # equidistant: the distance from the centre is proportional to the angle from Cz
    z = electrodes.positions(["C3", "T7"])[:, 2] / electrodes.HEAD_RADIUS_M
    assert np.hypot(*place["C3"]) / np.hypot(*place["T7"]) == pytest.approx(
        np.arccos(z[0]) / np.arccos(z[1])
    )
    assert electrodes.topo_xy([]).shape == (0, 2)


def test_every_electrode_has_a_region_and_both_caps_have_every_region():
    assert {electrodes.region(name) for name in NAMES} == set(electrodes.REGIONS)
    for cap in (seed.ELECTRODES, deap.ELECTRODES):
        assert {electrodes.region(name) for name in cap} == set(electrodes.REGIONS)
    by_hand = {
        "AF3": "prefrontal",
        "F7": "frontal_left",
        "Fz": "frontal_midline",
        "FC6": "frontal_right",
        "T3": "temporal_left",
        "TP8": "temporal_right",
        "Cz": "central",
        "T5": "parietal",
        "CB2": "occipital",
    }
    assert {name: electrodes.region(name) for name in by_hand} == by_hand


def test_symmetric_pairs():
    pairs = electrodes.symmetric_pairs(seed.ELECTRODES)
    assert len(pairs) == 27  # rows of SEED's dasm features
    assert pairs[:2] == (("Fp1", "Fp2"), ("AF3", "AF4"))
    assert ("CB1", "CB2") in pairs
    assert len(electrodes.symmetric_pairs(deap.ELECTRODES)) == 14
    assert electrodes.symmetric_pairs(["F3", "Cz", "T4", "T3"]) == (("T7", "T8"),)


@given(st.sampled_from(NAMES))
def test_mirror_is_its_own_inverse_and_mirrors_the_place(name):
    other = electrodes.mirror(name)
    assert electrodes.mirror(other) == name
    here, there = electrodes.positions([name, other])
    # the template head is not exactly symmetric
    assert np.linalg.norm(here * [-1, 1, 1] - there) < 0.004
    assert electrodes.region(name).replace("left", "right") == electrodes.region(other).replace(
        "left", "right"
    )


def test_edge_electrodes():
    assert electrodes.edge_electrodes(seed.ELECTRODES) == (
        *("Fp1", "Fpz", "Fp2", "F7", "F8", "FT7", "FT8"),
        *("T7", "T8", "TP7", "TP8"),
    )
    assert electrodes.edge_electrodes(["T3", "Cz", "P7", "AF8"]) == ("T7", "AF8")


def test_emod_identities_are_not_aliased():
    assert len(electrodes.EMOD_IDENTITIES) == 68
    assert electrodes.EMOD_IDENTITIES[:2] == ("A1", "A2")
    assert electrodes.emod_identity("EEG T3-REF") == "T3"
    assert electrodes.emod_identity("Fpz") == "FPZ"
    assert electrodes.emod_identity("A1") == "A1"
    for name in seed.ELECTRODES:
        assert electrodes.emod_identity(name) in electrodes.EMOD_IDENTITIES
