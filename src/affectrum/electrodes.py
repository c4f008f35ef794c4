"""Electrode names and places: the 10-05 system, its aliases, and what only looks like it.

Names are canonical in the spelling of the 10-05 system (``"Fp1"``, ``"CPz"``, ``"POO7"``), plus
the SEED cap's ``"CB1"`` and ``"CB2"``. Places are on a sphere of radius `HEAD_RADIUS_M` whose
centre is the origin: x to the right ear, y to the nose, z up, Cz on top.

References
----------
.. [1] Oostenveld R, Praamstra P (2001). The five percent electrode system for high-resolution EEG
   and ERP measurements. Clinical Neurophysiology 112:713-719. doi:10.1016/S1388-2457(00)00527-7
"""

from __future__ import annotations

import functools
import importlib.resources
import math
import re
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from affectrum.catalog import seed
from affectrum.errors import ElectrodeError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "ALIASES",
    "EMOD_IDENTITIES",
    "HEAD_RADIUS_M",
    "REGIONS",
    "all_names",
    "canonical",
    "canonical_names",
    "edge_electrodes",
    "emod_identity",
    "looks_like_biosemi",
    "mirror",
    "positions",
    "region",
    "require_canonical",
    "symmetric_pairs",
    "topo_xy",
]

HEAD_RADIUS_M = 0.095
"""Radius of the sphere of `positions`, metres (the default head size of MNE-Python)."""

ALIASES = MappingProxyType({"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"})
"""Names of the old 10-20 system -> names of the 10-05 system at the same place."""

REGIONS = (
    "prefrontal",
    "frontal_left",
    "frontal_midline",
    "frontal_right",
    "temporal_left",
    "central",
    "temporal_right",
    "parietal",
    "occipital",
)
"""Names of the regions that `region` returns, from front to back."""

# Rows of the 10-05 system (letters of a name without its number) -> region without its side. The
# half rows between two rows go with the row in front, but the ring around T7/T8 stays together.
_ROWS = {
    "prefrontal": ("Fp", "AFp", "AF", "AFF"),
    "frontal": ("F", "FFC", "FFT", "FC"),
    "temporal": ("FT", "FTT", "T", "TTP", "TP", "TPP"),
    "central": ("FCC", "C", "CCP"),
    "parietal": ("CP", "CPP", "P", "PPO"),
    "occipital": ("PO", "POO", "O", "OI", "I", "CB"),
}
_REGION_OF_ROW = {row: name for name, rows in _ROWS.items() for row in rows}

# The rim of the cap over the frontal, temporal and masseter muscles.
_EDGE_ROWS = frozenset(("AF", "AFF", "F", "FFT", "FT", "FTT", "T", "TTP", "TP"))

# What recorders write before and after an electrode's name: "EEG Fp1", "EEG.AF3", "Fp1-REF",
# "EEG-Fp1-A1A2", "Fc5.". A second electrode ("F7-T7", "C3-Cz") makes it a bipolar derivation,
# which is another signal, so only names of references that are no scalp electrodes are cut off.
_PREFIX = re.compile(r"^eeg(?=[\s._:\-])[\s._:\-]*|^eeg(?=[a-z])")
_SUFFIX = re.compile(
    r"[\s._:/\-]+(?:ref|reference|le|linked ?ears|avg|average|car|ar|mast|"
    r"\(?[am]1 ?[+/\-]? ?\(?[am]2\)?|[am][12])$"
)
_BIOSEMI = re.compile(r"^([A-H])(\d{1,2})$")
_PARTS = re.compile(r"^([A-Za-z]+?)(z|\d+)(h?)$")

# Electrodes of the nine corpora that EMOD was pre-trained and evaluated on: the SEED cap, the ear
# electrodes of FACED and the old temporal names of MDME, which its table does not alias.
EMOD_IDENTITIES = tuple(sorted((*seed.ELECTRODES_IN_FILE, "A1", "A2", "T3", "T4", "T5", "T6")))
"""Electrode names of EMOD's released embedding, sorted; its row is the position here plus 1."""


@functools.cache
def _directions() -> dict[str, tuple[float, float, float]]:
    path = importlib.resources.files("affectrum") / "data" / "electrode_positions.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines if line and not line.startswith("#")]
    return {name: (float(x), float(y), float(z)) for name, x, y, z in rows[1:]}


@functools.cache
def _by_folded() -> dict[str, str]:
    table = {name.casefold(): name for name in _directions()}
    table.update({old.casefold(): new for old, new in ALIASES.items()})
    return table


def all_names() -> tuple[str, ...]:
    """Return all canonical names, in the order of the table of positions."""
    return tuple(_directions())


def _bare(name: str) -> str:
    """Return a name in lower case without what recorders put around it."""
    text = " ".join(str(name).strip().casefold().split()).rstrip(".")
    text = _PREFIX.sub("", text, count=1)
    return _SUFFIX.sub("", text, count=1).rstrip(".")


def canonical(name: str) -> str | None:
    """Return the canonical name of a scalp electrode, or None if it is not known to be one.

    Case, blanks, a leading ``EEG`` and the name of a common reference behind it do not matter;
    names of the old 10-20 system become those of the 10-05 system (`ALIASES`).

    Parameters
    ----------
    name : str
        A channel's name as a recorder wrote it.

    Returns
    -------
    str or None
        The canonical name. None for ear and mastoid electrodes (A1, A2, M1, M2), eye and heart
        channels, bipolar derivations and anything unknown.

    Notes
    -----
    One name alone can't tell BioSemi's C3 (an electrode near the vertex of its 128-electrode cap)
    from C3 of the 10-05 system; `canonical_names` sees the whole list and can.

    Examples
    --------
    >>> canonical("EEG FP1-REF"), canonical("T3"), canonical("A1"), canonical("F7-T7")
    ('Fp1', 'T7', None, None)
    """
    return _by_folded().get(_bare(name))


def looks_like_biosemi(names: Iterable[str]) -> bool:
    """Whether a list of channel names counts BioSemi's positions (A1...A32, B1...) .

    Those names are places on BioSemi's own caps, and some (C3, F4) read like 10-05 electrodes.

    Parameters
    ----------
    names : iterable of str
        All channel names of a recording.

    Returns
    -------
    bool
        True if at least two names are A or B with a number from 3 to 32: no electrode and no
        reference of the 10-05 system is called so.
    """
    found = (_BIOSEMI.match(str(name).strip().upper()) for name in names)
    counted = [m for m in found if m and m[1] in "AB" and 3 <= int(m[2]) <= 32]
    return len(counted) >= 2


def canonical_names(names: Sequence[str]) -> list[str | None]:
    """Return the canonical names of a recording's channels.

    Parameters
    ----------
    names : sequence of str
        All channel names of a recording.

    Returns
    -------
    list of (str or None)
        One per channel, as `canonical`; but all None if the list as a whole counts BioSemi's
        positions (`looks_like_biosemi`).
    """
    if looks_like_biosemi(names):
        # 10-05 names beside them (a cap's spare electrodes) can't be told from counted ones
        return [None] * len(names)
    return [canonical(name) for name in names]


def require_canonical(names: Sequence[str], *, unique: bool = True) -> tuple[str, ...]:
    """Return the canonical names, or raise an error that names every fault.

    Parameters
    ----------
    names : sequence of str
        Electrode names.
    unique : bool
        Refuse two names of the same electrode.

    Returns
    -------
    tuple of str
        Canonical names, in the same order.

    Raises
    ------
    ElectrodeError
        If names are not known, look like BioSemi's positions, or stand for the same electrode.
    """
    names = [names] if isinstance(names, str) else list(names)
    found = canonical_names(names)
    unknown = [str(name) for name, known in zip(names, found, strict=True) if known is None]
    problems = []
    if unknown:
        hint = (
            " They look like BioSemi's own positions (A1, A2, ...), which are no 10-05 names; "
            "rename them by the cap's layout."
            if looks_like_biosemi(names)
            else did_you_mean(unknown[0], all_names())
        )
        problems.append(
            f"not known as scalp electrodes of the 10-05 system: {', '.join(unknown)}.{hint}"
        )
    if unique:
        first: dict[str, str] = {}
        for name, known in zip(names, found, strict=True):
            if known is None:
                continue
            if known in first:
                problems.append(f"{first[known]!r} and {str(name)!r} are the same electrode")
            else:
                first[known] = str(name)
    if problems:
        raise ElectrodeError("Electrode names can't be used: " + "; ".join(problems))
    return tuple(name for name in found if name is not None)


def positions(names: Sequence[str]) -> NDArray[np.float64]:
    """Return where electrodes are on the spherical head.

    Parameters
    ----------
    names : sequence of str
        Electrode names.

    Returns
    -------
    ndarray, shape (n_electrodes, 3)
        Metres, on a sphere of radius `HEAD_RADIUS_M` around the origin: x right, y front, z up.

    Raises
    ------
    ElectrodeError
        If a name is not known.

    Notes
    -----
    The template head of MNE-Python's ``colin27_1005`` projected on its best-fitting sphere; CB1 and
    CB2 from the SEED cap's channel_62_pos.locs. See ``data/electrode_positions.csv``.
    """
    import numpy as np

    table = _directions()
    known = require_canonical(names, unique=False)
    return HEAD_RADIUS_M * np.array([table[name] for name in known]).reshape(-1, 3)


@functools.cache
def _largest_polar_angle() -> float:
    return max(math.acos(z) for _, _, z in _directions().values())


def topo_xy(names: Sequence[str]) -> NDArray[np.float64]:
    """Return places for topographic maps, seen from above, nose up.

    Parameters
    ----------
    names : sequence of str
        Electrode names.

    Returns
    -------
    ndarray, shape (n_electrodes, 2)
        Azimuthal equidistant projection: distance from the centre is proportional to the angle
        from Cz, and the unit circle is the angle of the lowest electrode of the table.

    Raises
    ------
    ElectrodeError
        If a name is not known.
    """
    import numpy as np

    xyz = positions(names) / HEAD_RADIUS_M
    angle = np.arccos(np.clip(xyz[:, 2], -1.0, 1.0))
    flat = np.hypot(xyz[:, 0], xyz[:, 1])
    scale = np.divide(angle / _largest_polar_angle(), flat, out=np.zeros_like(flat), where=flat > 0)
    result: NDArray[np.float64] = xyz[:, :2] * scale[:, None]
    return result


def _parts(name: str) -> tuple[str, int, str]:
    """Row letters, number (0 on the midline) and the h of the half places of a known name."""
    (known,) = require_canonical([name])
    match = _PARTS.match(known)
    assert match is not None, known  # every name of the table has this form (tested)
    letters, number, half = match.groups()
    return letters, 0 if number == "z" else int(number), half


def region(name: str) -> str:
    """Return the region of an electrode, one of `REGIONS`.

    Parameters
    ----------
    name : str
        Electrode name.

    Returns
    -------
    str
        By the row of the name; frontal electrodes are midline up to number 2, temporal and
        frontal ones left (odd) or right (even).

    Raises
    ------
    ElectrodeError
        If the name is not known.
    """
    letters, number, _ = _parts(name)
    kind = _REGION_OF_ROW[letters]
    if kind == "frontal" and number <= 2:
        return "frontal_midline"
    if kind in ("frontal", "temporal"):
        return f"{kind}_{'left' if number % 2 else 'right'}"
    return kind


def mirror(name: str) -> str:
    """Return the electrode at the mirrored place: odd numbers are left, even ones right.

    Raises
    ------
    ElectrodeError
        If the name is not known.
    """
    letters, number, half = _parts(name)
    if number == 0:
        return f"{letters}z"
    return f"{letters}{number + 1 if number % 2 else number - 1}{half}"


def symmetric_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return all (left, right) pairs of mirrored electrodes in a list.

    Parameters
    ----------
    names : sequence of str
        Electrode names.

    Returns
    -------
    tuple of (str, str)
        Canonical names, in the order in which the left electrodes stand in `names`; the 62
        electrodes of the SEED cap give 27 pairs.

    Raises
    ------
    ElectrodeError
        If names are not known or not unique.
    """
    known = require_canonical(names)
    present = frozenset(known)
    return tuple(
        (name, mirror(name)) for name in known if _parts(name)[1] % 2 and mirror(name) in present
    )


def edge_electrodes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the electrodes at the frontal and temporal edge of the cap, where muscles are near.

    Power above 20-30 Hz there is largely that of frontal, temporal and chewing muscles [1]_, so
    these electrodes serve a probe for muscle activity.

    Parameters
    ----------
    names : sequence of str
        Electrode names.

    Returns
    -------
    tuple of str
        Canonical names of the frontopolar row and of all electrodes numbered 7 or higher in the
        rows from AF to TP, in the order of `names`.

    Raises
    ------
    ElectrodeError
        If names are not known or not unique.

    References
    ----------
    .. [1] Goncharova II, McFarland DJ, Vaughan TM, Wolpaw JR (2003). EMG contamination of EEG:
       spectral and topographical characteristics. Clinical Neurophysiology 114:1580-1593.
       doi:10.1016/S1388-2457(03)00093-2
    """

    def at_edge(name: str) -> bool:
        letters, number, _ = _parts(name)
        return letters == "Fp" or (letters in _EDGE_ROWS and number >= 7)

    return tuple(name for name in require_canonical(names) if at_edge(name))


def emod_identity(name: str) -> str:
    """Return a name as EMOD's released electrode table spells it: upper case, without aliases.

    T3 stays T3 there (it has a row of its own beside T7), and the ear electrodes A1 and A2 count.

    Parameters
    ----------
    name : str
        A channel's name as a recorder wrote it.

    Returns
    -------
    str
        Upper-case name without what recorders put around it; look it up in `EMOD_IDENTITIES`.
    """
    return _bare(name).upper()
