"""Files of BIDS data sets, written byte for byte alike on every run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.files import atomic_file, write_text
from affectrum.twins.mat_struct_files import Node, numbers, record, records, text, write_nested_mat

__all__ = [
    "EdfChannel",
    "write_description",
    "write_edf",
    "write_fdt",
    "write_json",
    "write_npy",
    "write_set",
    "write_tsv",
]

Array = NDArray[np.floating[Any]]

_LOW, _HIGH = -(2**15), 2**15 - 1


class EdfChannel(NamedTuple):
    """A channel of an EDF file: label, unit, physical range (the digital range is 16 bits)."""

    label: str
    unit: str
    physical_min: float
    physical_max: float


def write_tsv(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Write a table with tabs between its columns."""
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(columns), *("\t".join(str(cell) for cell in row) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a sidecar."""
    write_text(path, json.dumps(content, indent=4) + "\n")


def write_description(path: Path, name: str, version: str, doi: str) -> None:
    """Write dataset_description.json of a simulated data set."""
    write_json(
        path,
        {
            "Name": name,
            "BIDSVersion": version,
            "DatasetType": "raw",
            "License": "n/a",
            "Acknowledgements": "SIMULATED DATA: no person was recorded.",
            "DatasetDOI": doi,
        },
    )


def write_npy(path: Path, shape: tuple[int, ...], parts: Iterable[Array]) -> None:
    """Write an array of doubles part by part.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Of the whole array.
    parts : iterable of ndarray
        The entries of its first axis.
    """
    with atomic_file(path) as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype="<f8").tobytes())


def write_fdt(path: Path, parts: Iterable[Array]) -> None:
    """Write the signals of an EEGLAB data set: float32, all channels of a sample together.

    Parameters
    ----------
    path : Path
        The file.
    parts : iterable of ndarray, each of shape (n_channels, n_samples)
        One after the other.
    """
    with atomic_file(path) as file:
        for part in parts:
            file.write(np.ascontiguousarray(part.T, dtype="<f4").tobytes())


def write_set(path: Path, names: Sequence[str], sfreq: float, n_samples: int, data: str) -> None:
    """Write the header of an EEGLAB data set whose signals stand in another file.

    Parameters
    ----------
    path : Path
        The .set file.
    names : sequence of str
        Labels of the channels.
    sfreq : float
        Samples per second.
    n_samples : int
        Samples per channel.
    data : str
        Name of the .fdt file.
    """

    def scalar(value: float) -> Node:
        return numbers((1, 1), lambda: np.array([[value]]))

    places = [{"labels": text(name), "type": text("EEG")} for name in names]
    fields = {
        "setname": text(path.stem),
        "nbchan": scalar(float(len(names))),
        "trials": scalar(1.0),
        "pnts": scalar(float(n_samples)),
        "srate": scalar(float(sfreq)),
        "xmin": scalar(0.0),
        "xmax": scalar((n_samples - 1) / sfreq),
        "data": text(data),
        "datfile": text(data),
        "chanlocs": records((1, len(names)), places),
        "ref": text("common"),
    }
    write_nested_mat(path, [("EEG", record(fields))])


def write_edf(
    path: Path,
    channels: Sequence[EdfChannel],
    sfreq: int,
    n_records: int,
    records_: Iterable[Array],
) -> None:
    """Write an EDF file of 1-s records.

    Parameters
    ----------
    path : Path
        The file.
    channels : sequence of EdfChannel
        In file order.
    sfreq : int
        Samples per second of every channel.
    n_records : int
        Seconds.
    records_ : iterable of ndarray, each of shape (n_channels, k * sfreq)
        Physical values, together `n_records` seconds. Values out of range are clipped.
    """
    low = np.array([c.physical_min for c in channels])[:, None]
    high = np.array([c.physical_max for c in channels])[:, None]
    step = (high - low) / (_HIGH - _LOW)
    n = len(channels)

    def cell(value: object, width: int) -> bytes:
        return str(value).encode("ascii")[:width].ljust(width)

    header = [
        cell(0, 8),
        cell("X X X X", 80),
        cell("Startdate X X X X", 80),
        b"01.01.1509.00.00",
        cell(256 * (n + 1), 8),
        cell("", 44),
        cell(n_records, 8),
        cell(1, 8),
        cell(n, 4),
        *(cell(c.label, 16) for c in channels),
        *(cell("", 80) for _ in channels),
        *(cell(c.unit, 8) for c in channels),
        *(cell(f"{c.physical_min:g}", 8) for c in channels),
        *(cell(f"{c.physical_max:g}", 8) for c in channels),
        *(cell(_LOW, 8) for _ in channels),
        *(cell(_HIGH, 8) for _ in channels),
        *(cell("", 80) for _ in channels),
        *(cell(sfreq, 8) for _ in channels),
        *(cell("", 32) for _ in channels),
    ]
    written = 0
    with atomic_file(path) as file:
        file.write(b"".join(header))
        for values in records_:
            digital = np.clip(np.rint((values - low) / step) + _LOW, _LOW, _HIGH).astype("<i2")
            n_seconds = digital.shape[1] // sfreq
            ordered = digital.reshape(n, n_seconds, sfreq).transpose(1, 0, 2)
            file.write(np.ascontiguousarray(ordered).tobytes())
            written += n_seconds
        if written != n_records:
            raise ValueError(f"{path}: {n_records} records announced, {written} written")
