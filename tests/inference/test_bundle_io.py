from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from affectrum.errors import BundleError
from affectrum.inference import bundle_io
from affectrum.inference.bundle_io import read_bundle_files, write_bundle_files

ARRAYS = {
    "method/w": np.arange(6.0).reshape(2, 3),
    "method/n": np.array(3),
    "scaler/kind": np.frombuffer(b"standard", dtype=np.uint8),
    "method/empty": np.zeros((0, 4), dtype=np.float32),
}


def write(folder: Path, **options: bool) -> Path:
    return write_bundle_files(folder, ARRAYS, {"kind": "model", "x": 1}, "# card", **options)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    folder = write(tmp_path / "a" / "model")
    files = read_bundle_files(folder)
    assert sorted(files.arrays) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(files.arrays[name], array)
        assert files.arrays[name].dtype == array.dtype
        assert files.arrays[name].shape == array.shape
    assert files.facts["x"] == 1
    assert files.card == "# card"
    assert files.notes == ()
    assert sorted(os.listdir(folder)) == [
        "README.md",
        "bundle.json",
        "manifest.json",
        "model.safetensors",
    ]
    assert os.listdir(folder.parent) == ["model"]  # nothing temporary is left
    assert read_bundle_files(folder / "manifest.json").digest == files.digest


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "one"), write(tmp_path / "two")
    for name in os.listdir(first):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace('"x": 1', '"x": 2'))
    with pytest.raises(BundleError) as caught:
        read_bundle_files(folder)
    message = str(caught.value)
    assert "model.safetensors: missing" in message
    assert "bundle.json: its contents differ" in message
    assert "export the model again" in message


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-8])
    with pytest.raises(BundleError, match=rf"{len(data) - 8} bytes, {len(data)} were written"):
        read_bundle_files(folder)


def test_an_edited_model_card_is_no_fault(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    digest = read_bundle_files(folder).digest
    (folder / "README.md").write_text("# my own words")
    files = read_bundle_files(folder)
    assert files.notes == ("README.md was edited after the bundle was written.",)
    assert files.digest == digest


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "has no manifest.json"),
        ("not json", "can't be read"),
        ("[1, 2]", "can't be read"),
        ('{"format": "other"}', "does not belong"),
        ('{"format": "affectrum-bundle", "schema_version": 99, "files": {}}', "newer Affectrum"),
        ('{"format": "affectrum-bundle", "schema_version": 1, "files": {}}', "does not list"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, content: str | None, says: str) -> None:
    folder = write(tmp_path / "model")
    (folder / "manifest.json").unlink()
    if content is not None:
        (folder / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=says):
        read_bundle_files(folder)


def test_a_manifest_can_not_point_outside_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../secret"] = {"sha256": "0"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="does not list"):
        read_bundle_files(folder)


def test_no_folder_and_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a folder"):
        read_bundle_files(tmp_path / "nowhere")


def test_names_that_are_taken(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    with pytest.raises(BundleError, match="holds a bundle"):
        write(folder)
    write_bundle_files(folder, ARRAYS, {"kind": "model", "x": 5}, "", overwrite=True)
    assert read_bundle_files(folder).facts["x"] == 5
    assert os.listdir(tmp_path) == ["model"]
    other = tmp_path / "photos"
    other.mkdir()
    (other / "me.jpg").write_bytes(b"1")
    with pytest.raises(BundleError, match="never replaced"):
        write(other, overwrite=True)
    assert (other / "me.jpg").exists()
    (tmp_path / "empty").mkdir()
    assert write(tmp_path / "empty").is_dir()


def test_a_kill_while_writing_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up at the last file: nothing stands under the name, an old one stays."""
    old = write(tmp_path / "model")
    digest = read_bundle_files(old).digest
    real = bundle_io._write

    def full_disk(path: Path, data: bytes) -> None:
        if path.name == "manifest.json":
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(bundle_io, "_write", full_disk)
    with pytest.raises(BundleError, match="No space left"):
        write(tmp_path / "new")
    with pytest.raises(BundleError, match="No space left"):
        write(old, overwrite=True)
    assert os.listdir(tmp_path) == ["model"]
    assert read_bundle_files(old).digest == digest


def test_only_numbers_and_json_go_in(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="numbers only"):
        write_bundle_files(tmp_path / "a", {"w": np.array(["a"])}, {}, "")
    with pytest.raises(BundleError, match="JSON"):
        write_bundle_files(tmp_path / "a", {}, {"x": float("nan")}, "")
    with pytest.raises(BundleError, match="JSON"):
        write_bundle_files(tmp_path / "a", {}, {"x": object()}, "")
    assert not (tmp_path / "a").exists()
