"""The layout of THU-EP: MATLAB v7.3 files with six bands, and files of ratings.

Where the ear electrodes stand among the channels, and how the ratings are called, is not
documented; what is chosen here stands in ``simulated_options.yaml``, for the reader's options.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import faced
from affectrum.catalog import thu_ep as facts
from affectrum.twins.files import write_mat, write_text
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.tsinghua import SESSION, band_signals, processed_cap, subject_scores

__all__ = ["CHANNELS", "DEFAULT_FORMS", "FORMS", "OPTIONS", "jobs"]

FloatArray = NDArray[np.float64]

FORMS = ("signals",)
DEFAULT_FORMS = FORMS

CHANNELS = (*faced.ELECTRODES[:16], "A1", "A2", *faced.ELECTRODES[16:])
OPTIONS: dict[str, Any] = {
    "channels": list(CHANNELS),
    "rating_key": "rating",
    "rating_columns": list(faced.RATING_COLUMNS),
    "rating_scale": list(faced.RATING_SCALE),
}
_HEADER = (
    b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Thu Jan 01 00:00:00 2015 HDF5 schema"
)


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    yield Job(Path("simulated_options.yaml"), _write_options, small=True)
    for subject in layout.subjects:
        path = Path("EEG data") / facts.FILE.format(subject=subject)
        yield Job(path, partial(_write_signals, layout, subject))
        path = Path("ratings") / f"sub{subject}_rating.mat"
        yield Job(path, partial(_write_ratings, layout, subject))


def _write_options(path: Path) -> None:
    lines = ["# What the reader has to be told about this simulated folder."]
    lines += [f"{name}: {json.dumps(value)}" for name, value in OPTIONS.items()]
    write_text(path, "\n".join(lines) + "\n")


def _write_ratings(layout: Layout, subject: int, path: Path) -> None:
    scores = subject_scores(layout.generator, subject)
    write_mat(path, [(OPTIONS["rating_key"], scores)], compress=layout.compress)


def _rows(generator: TwinGenerator, subject: int) -> Iterator[FloatArray]:
    """Yield each stimulus as the file has it, shape (n_samples, 32, 6)."""
    cap = processed_cap(generator, CHANNELS)
    for row in range(1, faced.N_VIDEOS + 1):
        x = to_file_values(generator.trial(subject, SESSION, row, cap).x[:, :-1])
        bands = band_signals(x, cap.sfreq)
        yield np.concatenate([bands, x[None]]).transpose(2, 1, 0)


def _write_signals(layout: Layout, subject: int, path: Path) -> None:
    import h5py

    generator = layout.generator
    n_samples = generator.seconds(SESSION, 1) * round(generator.facts.sfreq)
    shape = (n_samples, len(CHANNELS), faced.N_VIDEOS, facts.N_BANDS)
    packing = {"compression": "gzip", "compression_opts": 1} if layout.compress else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    # HDF5 writes by name, so `atomic_file` does not serve
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(temporary, "w", libver="earliest", userblock_size=512) as file:
            data = file.create_dataset(
                facts.VARIABLE,
                shape,
                "<f8",
                chunks=(n_samples, len(CHANNELS), 1, facts.N_BANDS),
                track_times=False,
                **packing,
            )
            data.attrs["MATLAB_class"] = np.bytes_("double")
            for row, values in enumerate(_rows(generator, subject)):
                data[:, :, row, :] = values
        with temporary.open("r+b") as raw:
            raw.write(_HEADER.ljust(116) + bytes(8) + b"\x00\x02IM")
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
