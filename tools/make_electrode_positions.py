"""Write ``src/affectrum/data/electrode_positions.csv`` from MNE's colin27_1005 montage.

Run it again only when the table itself has to change; a test compares the shipped table with the
installed MNE.

    python tools/make_electrode_positions.py src/affectrum/data/electrode_positions.csv
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Names in the montage that are no scalp electrodes of the 10-05 system (mastoid and ear
# references), or old names of ones that are (T3 = T7 ...).
NOT_1005 = ("T3", "T4", "T5", "T6", "A1", "A2", "M1", "M2")

# The SEED cap's channel_62_pos.locs: EEGLAB polar angle (degrees) and radius.
SEED_LOCS = {"CB1": (-150.0, 0.51111), "CB2": (150.0, 0.51111)}


def polar_to_unit(angle_deg: float, radius: float) -> NDArray[np.float64]:
    """Turn an EEGLAB .locs entry into a unit vector (x right, y front, z up).

    EEGLAB counts the angle from the nose towards the right ear; a radius of 0.5 is 90 degrees
    from the vertex, so the elevation is ``(0.5 - radius) * 180`` degrees.
    """
    angle = math.radians(angle_deg)
    elevation = math.radians((0.5 - radius) * 180.0)
    return np.array(
        [
            math.sin(angle) * math.cos(elevation),
            math.cos(angle) * math.cos(elevation),
            math.sin(elevation),
        ]
    )


def fit_sphere(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of the least-squares sphere through `points` (n, 3), closed form."""
    design = np.c_[2.0 * points, np.ones(len(points))]
    solution, *_ = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)
    return np.asarray(solution[:3], dtype=np.float64)


def rotation_to_top(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest rotation (3, 3) that turns the unit `vector` onto (0, 0, 1)."""
    x, y, z = vector
    k = 1.0 / (1.0 + z)
    return np.array([[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, z]])


def directions() -> dict[str, NDArray[np.float64]]:
    """Unit vectors of all 10-05 electrodes as MNE has them, and the SEED cap's CB1 and CB2."""
    import mne
    from mne.channels.montage import transform_to_head

    montage = transform_to_head(mne.channels.make_standard_montage("colin27_1005"))
    in_head = montage.get_positions()["ch_pos"]
    names = [name for name in montage.ch_names if name not in NOT_1005]
    points = np.array([in_head[name] for name in names])
    points = points - fit_sphere(points)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    unit = unit @ rotation_to_top(unit[names.index("Cz")]).T
    table = dict(zip(names, unit, strict=True))
    table.update({name: polar_to_unit(*entry) for name, entry in SEED_LOCS.items()})
    return table


HEADER = """\
# Electrode directions on the unit sphere: x right, y front, z up; Cz is (0, 0, 1).
# Source: montage colin27_1005 of MNE-Python (BSD-3-Clause), taken to the head frame, centred on
# the least-squares sphere through all its electrodes, projected on it and turned so that Cz is on
# top; CB1 and CB2 from channel_62_pos.locs of the SEED cap (EEGLAB polar -150/150 degrees,
# radius 0.51111). Written by tools/make_electrode_positions.py.
name,x,y,z
"""


def main(path: Path) -> None:
    """Write the table to `path`."""
    rows = [
        f"{name},{x:.6f},{y:.6f},{z:.6f}\n".replace("-0.000000", "0.000000")
        for name, (x, y, z) in directions().items()
    ]
    path.write_text(HEADER + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
