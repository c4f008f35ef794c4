"""The head model against closed forms."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from affectrum import electrodes
from affectrum.twins import head


def homogeneous_radial(cosine: np.ndarray, radius: float) -> np.ndarray:
    """Radial unit dipole in a homogeneous sphere, from the generating function of P_n.

    sum (2n + 1) r^(n-1) P_n = (2 r dG/dr + G - 1) / r with G = 1 / sqrt(1 - 2 r c + r^2).
    """
    distance = np.sqrt(1 - 2 * radius * cosine + radius**2)
    slope = (cosine - radius) / distance**3
    return (2 * radius * slope + 1 / distance - 1) / radius


def test_one_shell_gives_the_homogeneous_factors() -> None:
    n = np.arange(1, 31)
    assert_allclose(head.legendre_factors((1.0,), [0.33], 30), (2 * n + 1) / n)


def test_equal_conductivities_are_a_homogeneous_sphere() -> None:
    n = np.arange(1, 41)
    factors = head.legendre_factors((0.9, 0.92, 0.97, 1.0), [0.4] * 4, 40)
    assert_allclose(factors, (2 * n + 1) / n, rtol=1e-9)


def test_radial_dipole_equals_the_closed_form() -> None:
    rng = np.random.default_rng(3)
    directions = rng.standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    place = np.array([[0.0, 0.36, 0.48]])  # radius 0.6
    moment = place / 0.6
    factors = head.legendre_factors((1.0,), [1.0], 120)
    found = head.dipole_potential(directions, place, moment, factors)[:, 0]
    cosine = directions @ moment[0]
    assert_allclose(found, homogeneous_radial(cosine, 0.6), atol=1e-9)


def test_tangential_dipole_is_the_difference_of_neighbouring_radial_potentials() -> None:
    """A dipole is two opposite charges; moving one sideways is a derivative of position.

    The potential of moment q at r is q . grad_r of the potential of a point source, so the
    tangential potential follows from the radial one by symmetry of mixed derivatives:
    checked as d/dr (r * tangential) = d/dangle (radial) for a homogeneous sphere.
    """
    factors = head.legendre_factors((1.0,), [1.0], 120)
    electrode = np.array([[np.sin(0.7), 0.0, np.cos(0.7)]])

    def potential(radius: float, angle: float, kind: str) -> float:
        outward = np.array([np.sin(angle), 0.0, np.cos(angle)])
        along = np.array([np.cos(angle), 0.0, -np.sin(angle)])
        moment = outward if kind == "radial" else along
        place = radius * outward
        return float(head.dipole_potential(electrode, place[None], moment[None], factors)[0, 0])

    h = 1e-5
    left = (
        (0.5 + h) * potential(0.5 + h, 0.0, "tangential")
        - (0.5 - h) * potential(0.5 - h, 0.0, "tangential")
    ) / (2 * h)
    right = (potential(0.5, h, "radial") - potential(0.5, -h, "radial")) / (2 * h)
    assert_allclose(left, right, rtol=1e-6)


def test_a_resistive_skull_blurs() -> None:
    average = head.Anatomy.average()
    thick = head.Anatomy(average.cap_rotation, average.patch_shift, skull=0.25)
    names = electrodes.all_names()
    directions = head.electrode_directions(names)
    column = [p.name for p in head.PATCHES].index("sensorimotor left")

    def share_near_peak(anatomy: head.Anatomy) -> float:
        v = np.abs(head.patch_topographies(directions, anatomy)[:, column])
        return float(np.sum(v > 0.5 * v.max()))

    assert share_near_peak(thick) > share_near_peak(average)


def test_patches_are_strongest_over_themselves() -> None:
    names = ("C3", "C4", "O1", "O2", "Fp1", "Fp2", "T7", "T8", "Fz", "Cz")
    topographies = head.patch_topographies(head.electrode_directions(names), head.Anatomy.average())
    patches = [p.name for p in head.PATCHES]
    for patch, electrode in (
        ("sensorimotor left", "C3"),
        ("occipital right", "O2"),
        ("anterior temporal left", "T7"),
        ("medial frontal mid", "Fz"),
    ):
        column = np.abs(topographies[:, patches.index(patch)])
        assert names[int(np.argmax(column))] == electrode


def test_left_and_right_mirror_each_other() -> None:
    left, right = ("F3", "C3", "O1"), ("F4", "C4", "O2")
    anatomy = head.Anatomy.average()
    a = head.patch_topographies(head.electrode_directions(left), anatomy)
    b = head.patch_topographies(head.electrode_directions(right), anatomy)
    patches = [p.name for p in head.PATCHES]
    swap = [
        patches.index(n.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right"))
        for n in patches
    ]
    # the table of electrodes is measured on one head and not exactly symmetric
    assert_allclose(a, b[:, swap], atol=0.12)
    muscles = head.muscle_topographies(head.electrode_directions(("T7", "T8")))
    assert muscles[0, 0] > 0.6
    assert muscles[0, 1] < 0.05


def test_a_turned_cap_moves_the_electrodes_by_that_angle() -> None:
    anatomy = head.Anatomy(np.array([0.0, 0.0, 0.1]), np.zeros((len(head.PATCHES), 3)))
    names = ("Fpz", "T7")
    before, after = head.electrode_directions(names), head.electrode_directions(names, anatomy)
    horizontal = before[:, :2] / np.linalg.norm(before[:, :2], axis=1, keepdims=True)
    turned = after[:, :2] / np.linalg.norm(after[:, :2], axis=1, keepdims=True)
    assert_allclose(np.sum(horizontal * turned, axis=1), np.cos(0.1), atol=1e-12)
    assert_allclose(after[:, 2], before[:, 2], atol=1e-12)
