"""The head: cortical patches, muscles and eyes, seen by any electrode on a four-shell sphere.

The potential of a dipole in a sphere of concentric shells is a Legendre series whose factors
follow from the continuity of potential and current at each boundary (de Munck 1988; Zhang 1995,
doi:10.1088/0031-9155/40/3/001). Shell radii and conductivities are the defaults of MNE-Python's
``make_sphere_model``. Muscles and eyes lie outside the brain; their topographies are Gaussian
functions of the angle to the electrode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from affectrum import electrodes

__all__ = [
    "EYES",
    "MUSCLES",
    "PATCHES",
    "Anatomy",
    "Patch",
    "dipole_potential",
    "electrode_directions",
    "eye_topographies",
    "muscle_topographies",
    "patch_topographies",
    "place_direction",
]

FloatArray = NDArray[np.float64]

# Relative outer radii of brain, fluid, skull, scalp and their conductivities in S/m: the defaults
# of mne.make_sphere_model.
SHELL_RADII = (0.90, 0.92, 0.97, 1.0)
SHELL_CONDUCTIVITIES = (0.33, 1.0, 0.004, 0.33)
_SKULL = 2
_N_TERMS = 60  # r0 <= 0.86: the 61st term is below 1e-4 of the first


@dataclass(frozen=True)
class Patch:
    """A piece of cortex.

    Attributes
    ----------
    name : str
        What it is called, with "left", "right" or "mid".
    inclination, azimuth : float
        Degrees from the vertex, and from the nose towards the right ear.
    radius : float
        Distance from the centre, the scalp being 1.
    tilt : float
        Degrees between the dipole's moment and the outward direction, towards the vertex.
    """

    name: str
    inclination: float
    azimuth: float
    radius: float = 0.80
    tilt: float = 25.0


def _pair(name: str, inclination: float, azimuth: float, radius: float = 0.80) -> list[Patch]:
    return [
        Patch(f"{name} left", inclination, -azimuth, radius),
        Patch(f"{name} right", inclination, azimuth, radius),
    ]


# Places chosen so that the patches cover the cap about evenly (angles of the 10-20 system).
PATCHES: tuple[Patch, ...] = (
    *_pair("frontopolar", 75, 20),
    *_pair("dorsolateral frontal", 55, 40),
    *_pair("ventrolateral frontal", 80, 58),
    Patch("medial frontal mid", 32, 0, 0.66),
    Patch("premotor mid", 6, 0, 0.76),
    *_pair("sensorimotor", 42, 90),
    *_pair("anterior temporal", 92, 78),
    *_pair("posterior temporal", 88, 112),
    *_pair("parietal", 50, 140),
    Patch("precuneus mid", 38, 180, 0.66),
    *_pair("occipito-parietal", 72, 148),
    *_pair("occipital", 90, 164),
)

# name -> (inclination, azimuth, width): degrees; temporalis, frontalis and corrugator, neck
MUSCLES: dict[str, tuple[float, float, float]] = {
    "temporal left": (98.0, -78.0, 30.0),
    "temporal right": (98.0, 78.0, 30.0),
    "frontal left": (98.0, -24.0, 24.0),
    "frontal right": (98.0, 24.0, 24.0),
    "neck left": (118.0, -155.0, 30.0),
    "neck right": (118.0, 155.0, 30.0),
}

EYES = ("vertical", "horizontal")
_EYE_INCLINATION, _EYE_AZIMUTH, _EYE_WIDTH = 108.0, 18.0, 32.0


def _direction(inclination: FloatArray | float, azimuth: FloatArray | float) -> FloatArray:
    """Unit vectors (x right, y nose, z up) of angles in degrees."""
    i, a = np.deg2rad(inclination), np.deg2rad(azimuth)
    return np.stack([np.sin(i) * np.sin(a), np.sin(i) * np.cos(a), np.cos(i)], axis=-1)


@dataclass(frozen=True)
class Anatomy:
    """What differs between heads.

    Attributes
    ----------
    cap_rotation : ndarray, shape (3,)
        Rotation vector of the cap on the head, in radians.
    patch_shift : ndarray, shape (n_patches, 3)
        Shift of each patch as a part of the head's radius.
    skull : float
        Skull conductivity over its default.
    """

    cap_rotation: FloatArray
    patch_shift: FloatArray
    skull: float = 1.0

    @classmethod
    def average(cls) -> Anatomy:
        """Return the head without any deviation."""
        return cls(np.zeros(3), np.zeros((len(PATCHES), 3)))


def _shell_factors(skull: float, n_terms: int = _N_TERMS) -> FloatArray:
    """Surface potential over infinite-medium potential of each Legendre term.

    Parameters
    ----------
    skull : float
        Skull conductivity over its default.
    n_terms : int
        Number of terms.

    Returns
    -------
    ndarray, shape (n_terms,)
        Factors of the terms 1 ... n_terms.
    """
    conductivities = list(SHELL_CONDUCTIVITIES)
    conductivities[_SKULL] *= skull
    return legendre_factors(SHELL_RADII, conductivities, n_terms)


def legendre_factors(
    radii: tuple[float, ...], conductivities: list[float], n_terms: int = _N_TERMS
) -> FloatArray:
    """Solve the boundary conditions of a dipole's potential in concentric shells.

    In shell k the term of order n is ``a_k r^n + b_k r^-(n+1)``, with b fixed to 1 in the
    innermost. Potential and radial current are continuous at each boundary, and no current
    leaves the scalp.

    Parameters
    ----------
    radii : tuple of float
        Outer radii, from inside to outside, the last being 1.
    conductivities : list of float
        In S/m, as many.
    n_terms : int
        Number of terms.

    Returns
    -------
    ndarray, shape (n_terms,)
        ``a + b`` at the scalp; in a homogeneous sphere this is (2n + 1) / n.
    """
    n = np.arange(1, n_terms + 1, dtype=np.float64)
    n_shells = len(radii)
    n_unknowns = 2 * n_shells - 1  # a_1, then a_k and b_k of the other shells
    matrix = np.zeros((n_terms, n_unknowns, n_unknowns))
    right = np.zeros((n_terms, n_unknowns))
    row = 0
    for k in range(n_shells - 1):
        r = radii[k]
        inside, outside = conductivities[k], conductivities[k + 1]
        grow, fall = r**n, r ** -(n + 1)
        d_grow, d_fall = n * r ** (n - 1), -(n + 1) * r ** -(n + 2)
        column = 2 * k - 1  # of a_k, b_k follows; a_1 stands alone in column 0
        a_in = 0 if k == 0 else column
        matrix[:, row, a_in], matrix[:, row + 1, a_in] = grow, inside * d_grow
        if k == 0:
            right[:, row], right[:, row + 1] = -fall, -inside * d_fall
        else:
            matrix[:, row, column + 1], matrix[:, row + 1, column + 1] = fall, inside * d_fall
        a_out = 2 * k + 1
        matrix[:, row, a_out], matrix[:, row + 1, a_out] = -grow, -outside * d_grow
        matrix[:, row, a_out + 1], matrix[:, row + 1, a_out + 1] = -fall, -outside * d_fall
        row += 2
    last = n_unknowns - 2
    if n_shells == 1:
        return np.asarray(1.0 + (n + 1) / n)
    matrix[:, row, last], matrix[:, row, last + 1] = n, -(n + 1)
    # columns scaled to their largest entry: r^-(n+2) spans many orders of magnitude
    scale = np.abs(matrix).max(axis=1)
    solved = np.linalg.solve(matrix / scale[:, None, :], right[:, :, None])[:, :, 0] / scale
    return np.asarray(solved[:, last] + solved[:, last + 1])


def dipole_potential(
    directions: FloatArray, positions: FloatArray, moments: FloatArray, factors: FloatArray
) -> FloatArray:
    """Potential of dipoles at points on the scalp, up to the constant 1 / (4 pi sigma R^2).

    Parameters
    ----------
    directions : ndarray, shape (n_electrodes, 3)
        Unit vectors.
    positions, moments : ndarray, shape (n_dipoles, 3)
        Position with the scalp at radius 1, and moment.
    factors : ndarray, shape (n_terms,)
        From `legendre_factors`.

    Returns
    -------
    ndarray, shape (n_electrodes, n_dipoles)
        Relative potential.
    """
    radius = np.linalg.norm(positions, axis=1)
    outward = positions / radius[:, None]
    radial = np.sum(moments * outward, axis=1)
    tangential = directions @ (moments - radial[:, None] * outward).T
    cosine = directions @ outward.T
    # P_n and its derivative by the usual recurrences
    p_before, p = np.ones_like(cosine), cosine.copy()
    d_before, d = np.zeros_like(cosine), np.ones_like(cosine)
    power = np.ones_like(radius)
    total = np.zeros_like(cosine)
    for n, factor in enumerate(factors, start=1):
        total += factor * power * (n * radial * p + tangential * d)
        p_next = ((2 * n + 1) * cosine * p - n * p_before) / (n + 1)
        d_next = d_before + (2 * n + 1) * p
        p_before, p, d_before, d = p, p_next, d, d_next
        power = power * radius
    return np.asarray(total)


@lru_cache(maxsize=64)
def _directions_of(names: tuple[str, ...]) -> FloatArray:
    place = np.asarray(electrodes.positions(names), dtype=np.float64)
    unit = place / np.linalg.norm(place, axis=1, keepdims=True)
    unit.setflags(write=False)
    return np.asarray(unit)


def electrode_directions(names: tuple[str, ...], anatomy: Anatomy | None = None) -> FloatArray:
    """Directions of electrodes from the sphere's centre, on a cap that may sit askew.

    Parameters
    ----------
    names : tuple of str
        Canonical electrode names.
    anatomy : Anatomy, optional
        Whose cap; the average head when missing.

    Returns
    -------
    ndarray, shape (n_electrodes, 3)
        Unit vectors, x right, y nose, z up.
    """
    unit = _directions_of(tuple(names))
    if anatomy is None:
        return unit
    return unit @ _rotation(anatomy.cap_rotation).T


def place_direction(inclination: float, azimuth: float, anatomy: Anatomy) -> FloatArray:
    """Direction of a place on the cap given by its angles in degrees: shape (1, 3)."""
    rotated = _direction(inclination, azimuth)[None] @ _rotation(anatomy.cap_rotation).T
    return np.asarray(rotated)


def _rotation(vector: FloatArray) -> FloatArray:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _patch_geometry() -> tuple[FloatArray, FloatArray]:
    inclination = np.array([p.inclination for p in PATCHES])
    azimuth = np.array([p.azimuth for p in PATCHES])
    tilt = np.deg2rad(np.array([p.tilt for p in PATCHES]))[:, None]
    outward = _direction(inclination, azimuth)
    to_vertex = _direction(inclination - 90.0, azimuth)  # tangential, towards the vertex
    radius = np.array([p.radius for p in PATCHES])[:, None]
    return outward * radius, np.cos(tilt) * outward + np.sin(tilt) * to_vertex


@lru_cache(maxsize=1)
def _patch_scale() -> FloatArray:
    """Largest potential of each patch over the upper head, so that amplitudes are in uV there."""
    inclination = np.repeat(np.arange(0.0, 111.0, 10.0), 36)
    azimuth = np.tile(np.arange(0.0, 360.0, 10.0), 12)
    position, moment = _patch_geometry()
    grid = dipole_potential(_direction(inclination, azimuth), position, moment, _shell_factors(1.0))
    return np.asarray(np.abs(grid).max(axis=0))


def patch_topographies(directions: FloatArray, anatomy: Anatomy) -> FloatArray:
    """Potential of each patch at electrodes, against infinity.

    Parameters
    ----------
    directions : ndarray, shape (n_electrodes, 3)
        Unit vectors, from `electrode_directions`.
    anatomy : Anatomy
        Whose head.

    Returns
    -------
    ndarray, shape (n_electrodes, n_patches)
        Scaled so that on the average head each patch's largest potential is 1.
    """
    position, moment = _patch_geometry()
    shifted = position + anatomy.patch_shift
    # a shift must not push a patch into the skull
    radius = np.linalg.norm(shifted, axis=1, keepdims=True)
    shifted = shifted * np.minimum(1.0, 0.86 / radius)
    potential = dipole_potential(directions, shifted, moment, _shell_factors(anatomy.skull))
    return potential / _patch_scale()


def _gaussian(directions: FloatArray, centre: FloatArray, width: float) -> FloatArray:
    angle = np.rad2deg(np.arccos(np.clip(directions @ centre, -1.0, 1.0)))
    return np.asarray(np.exp(-0.5 * (angle / width) ** 2))


def muscle_topographies(directions: FloatArray) -> FloatArray:
    """Potential of each muscle of `MUSCLES` at electrodes.

    Parameters
    ----------
    directions : ndarray, shape (n_electrodes, 3)
        Unit vectors, from `electrode_directions`.

    Returns
    -------
    ndarray, shape (n_electrodes, n_muscles)
        1 above the muscle's middle.
    """
    columns = [_gaussian(directions, _direction(i, a), w) for i, a, w in MUSCLES.values()]
    return np.stack(columns, axis=1)


def eye_topographies(directions: FloatArray) -> FloatArray:
    """Potential of vertical and horizontal eye movement at electrodes.

    Parameters
    ----------
    directions : ndarray, shape (n_electrodes, 3)
        Unit vectors, from `electrode_directions`.

    Returns
    -------
    ndarray, shape (n_electrodes, 2)
        Vertical: both eyes alike (a blink). Horizontal: right eye minus left eye.
    """
    left = _gaussian(directions, _direction(_EYE_INCLINATION, -_EYE_AZIMUTH), _EYE_WIDTH)
    right = _gaussian(directions, _direction(_EYE_INCLINATION, _EYE_AZIMUTH), _EYE_WIDTH)
    sideways_l = _gaussian(directions, _direction(_EYE_INCLINATION, -45.0), _EYE_WIDTH)
    sideways_r = _gaussian(directions, _direction(_EYE_INCLINATION, 45.0), _EYE_WIDTH)
    return np.stack([0.5 * (left + right), sideways_r - sideways_l], axis=1)
