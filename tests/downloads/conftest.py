"""A data set behind a local server, and a corpus of the catalogue that points to it."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from affectrum import catalog


def _load_server():
    spec = importlib.util.spec_from_file_location(
        "downloads_server", Path(__file__).with_name("server.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["downloads_server"] = module
    spec.loader.exec_module(module)
    return module


server = _load_server()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[server.Bucket]:
    """Serve a small BIDS data set; the corpus "OPEN" of the catalogue is in it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # these files are thousands of bytes long, not hundreds of millions
    monkeypatch.setattr("affectrum.downloads.fetch._CHUNK", 100)
    facts = dataclasses.replace(catalog.get("DEAP"), name="OPEN", openneuro="ds900001")
    monkeypatch.setitem(catalog._FACTS, "OPEN", facts)
    monkeypatch.setitem(catalog._BY_FOLDED, "open", facts)
    rng = np.random.default_rng(0)
    names = [
        "README",
        "participants.tsv",
        "sub-01/eeg/sub-01_task-emotion_eeg.edf",
        "sub-01/eeg/sub-01_task-emotion_events.tsv",
        "sub-02/eeg/sub-02_task-emotion_eeg.edf",
        "derivatives/sub-01/ica & filtered.npy",
        "empty.txt",
    ]
    files = {f"ds900001/{name}": rng.bytes(3000 + 500 * k) for k, name in enumerate(names)}
    files["ds900001/empty.txt"] = b""
    files["ds900001/dataset_description.json"] = (
        b'{"Name": "x", "DatasetDOI": "doi:10.18112/openneuro.ds900001.v1.0.2"}'
    )
    files["ds9000012/other"] = b"another data set"
    made = server.Bucket(files)
    with server.Server(made):
        yield made
