from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from affectrum.errors import ConfigError, FileFormatError
from affectrum.training import checkpoints
from affectrum.training.checkpoints import load_checkpoint, save_checkpoint


def test_round_trip_and_absence(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pretrain.pt"
    assert load_checkpoint(path, "a") is None
    state = {"step": 3, "values": [torch.arange(4), {"x": 1.5}], "name": "n"}
    save_checkpoint(path, "a", state)
    back = load_checkpoint(path, "a")
    assert back is not None
    assert back["step"] == 3
    assert torch.equal(back["values"][0], torch.arange(4))
    assert os.listdir(path.parent) == ["pretrain.pt"]


def test_every_value_comes_back_to_the_bit(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    generator = torch.Generator().manual_seed(3)
    state = {
        "tensors": [shared, shared.T, torch.tensor(7.0), torch.zeros(0, 3), torch.tensor([True])],
        "types": [torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.int64, torch.half)],
        "weird": torch.tensor([float("nan"), -0.0, float("inf"), 1e-45]),
        "numbered": {0: {"step": torch.tensor(3.0), "none": None}, 1: {}},
        "tuple": (0.1, -0.0, 2**70, True, "ä\n", ()),
        "generator": generator.get_state(),
    }
    save_checkpoint(tmp_path / "c", "a", state)
    back = load_checkpoint(tmp_path / "c", "a")
    assert back is not None

    def same(a: object, b: object) -> None:
        assert type(a) is type(b)
        if isinstance(a, torch.Tensor):
            assert isinstance(b, torch.Tensor)
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            bits = [x.contiguous().reshape(-1).view(torch.uint8) for x in (a, b)]
            assert torch.equal(*bits)
        elif isinstance(a, dict):
            assert isinstance(b, dict)
            assert list(a) == list(b)
            for key in a:
                same(a[key], b[key])
        elif isinstance(a, list | tuple):
            assert isinstance(b, list | tuple)
            for x, y in zip(a, b, strict=True):
                same(x, y)
        else:
            assert repr(a) == repr(b)

    same(state, back)
    restored = torch.Generator()
    restored.set_state(back["generator"])
    assert torch.equal(torch.rand(5, generator=restored), torch.rand(5, generator=generator))


@pytest.mark.parametrize("amsgrad", [False, True])
def test_an_optimizer_goes_on_exactly(tmp_path: Path, amsgrad: bool) -> None:
    def make() -> tuple[torch.nn.Linear, torch.optim.Adam]:
        torch.nn.init.ones_((layer := torch.nn.Linear(3, 2)).weight)
        torch.nn.init.zeros_(layer.bias)
        return layer, torch.optim.Adam(layer.parameters(), lr=0.1, amsgrad=amsgrad)

    def step(layer: torch.nn.Linear, optimizer: torch.optim.Adam, number: int) -> None:
        optimizer.zero_grad()
        x = torch.linspace(-1, 1, 3) * (number + 1)
        layer(x).square().sum().backward()
        optimizer.step()

    layer, optimizer = make()
    for number in range(3):
        step(layer, optimizer, number)
    state = {"layer": layer.state_dict(), "optimizer": optimizer.state_dict()}
    save_checkpoint(tmp_path / "c", "a", state)
    other, resumed = make()
    back = load_checkpoint(tmp_path / "c", "a")
    assert back is not None
    other.load_state_dict(back["layer"])
    resumed.load_state_dict(back["optimizer"])
    for number in range(3, 6):
        step(layer, optimizer, number)
        step(other, resumed, number)
    assert torch.equal(layer.weight, other.weight)
    assert torch.equal(layer.bias, other.bias)


def test_what_can_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="can't hold a set"):
        save_checkpoint(tmp_path / "c", "a", {"x": [{1, 2}]})
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, "a", {})
    with pytest.raises(ConfigError, match="another run"):
        load_checkpoint(path, "b")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_broken_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"c\.pt is not a checkpoint"):
        load_checkpoint(path, "a")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, "a", {"x": torch.zeros(1000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="Remove it to start anew"):
        load_checkpoint(path, "a")


def test_a_changed_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, "a", {"x": torch.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="does not match its digest"):
        load_checkpoint(path, "a")


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("ran",))


def test_a_file_that_would_run_code_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "fingerprint": "a", "state": Runs()}, "zip.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Runs()))
    for name in ("zip.pt", "plain.pt"):
        with pytest.raises(FileFormatError):
            load_checkpoint(name, "a")
    assert not Path("ran").exists()


def test_a_failing_write_keeps_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, "a", {"step": 1})

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, "a", {"step": 2})
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["c.pt"]
    assert load_checkpoint(path, "a") == {"step": 1}
