"""EMOD's heads and the numbers of its electrodes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from affectrum.electrodes import EMOD_IDENTITIES
from affectrum.errors import ConfigError
from affectrum.methods.emod.backbone import EMODBackbone
from affectrum.methods.emod.electrode_codes import electrode_places, electrode_rows
from affectrum.methods.emod.heads import (
    HEADS,
    AttentionPool,
    BatchStandardise,
    PretrainHead,
    make_head,
)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_published_sizes() -> None:
    def head(kind: str, n_channels: int, n_tokens: int, n_classes: int) -> int:
        made = make_head(
            kind,  # type: ignore[arg-type]
            width=128,
            n_channels=n_channels,
            n_tokens=n_tokens,
            n_classes=n_classes,
            dropout=0.25,
        )
        return count(made)

    assert count(PretrainHead(128)) == 132_482
    assert head("faced", 32, 50, 9) == 3_344_266
    assert head("seed", 62, 25, 3) == 99_459
    assert head("pooled", 32, 50, 9) == 9_099
    assert head("linear", 32, 50, 9) == head("normalised", 32, 50, 9) == 128 * 9 + 9
    with torch.device("meta"):  # 99 million parameters that need no memory here
        assert head("seed-v", 62, 5, 5) == 98_727_093


@pytest.mark.parametrize("kind", HEADS)
def test_heads_map_tokens_to_logits(kind: str) -> None:
    head = make_head(kind, width=16, n_channels=3, n_tokens=5, n_classes=4, dropout=0.25)  # type: ignore[arg-type]
    assert head(torch.randn(6, 3, 5, 16)).shape == (6, 4)
    if kind in ("seed", "seed-v"):
        with pytest.raises(ConfigError, match="3 electrodes x 5 tokens; received 4 x 5"):
            head(torch.randn(6, 4, 5, 16))
    else:
        assert head(torch.randn(6, 4, 5, 16)).shape == (6, 4)
    doubled = [m.p for m in head.modules() if isinstance(m, nn.Dropout)]
    assert set(doubled) == ({0.5} if kind in ("seed", "seed-v") else {0.25} if doubled else set())


def test_standardising_by_batch() -> None:
    layer = BatchStandardise(2)
    x = torch.tensor([[3.0, 0.1], [5.0, 0.3], [7.0, 0.2], [9.0, 0.2]])
    wanted = (x - x.mean(dim=0)) / (x.var(dim=0, correction=0) + layer.eps).sqrt()
    torch.testing.assert_close(layer(x), wanted)
    # the running statistics start as the first batch's, not at 0 and 1
    torch.testing.assert_close(layer.running_mean, x.mean(dim=0))
    torch.testing.assert_close(layer.running_var, x.var(dim=0))
    layer(x + 1)
    torch.testing.assert_close(layer.running_mean, x.mean(dim=0) + 0.2)
    running = layer.running_mean.clone(), layer.running_var.clone()
    known = (x[:1] - running[0]) / (running[1] + layer.eps).sqrt()
    # a rest of one window has no statistics: it takes the running ones and leaves them alone
    torch.testing.assert_close(layer(x[:1]), known)
    assert torch.equal(layer.running_mean, running[0])
    layer.eval()
    torch.testing.assert_close(layer(x[:1]), known)
    assert BatchStandardise(2)(x[:1]).isfinite().all()


def test_normalised_head_learns_what_a_constant_hides() -> None:
    """Two classes a hundredth apart on tokens of length ten: 60 steps of 1e-3 tell them apart."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(64) % 2
    tokens = torch.full((64, 3, 5, 16), 2.5) + 0.002 * torch.randn(
        64, 3, 5, 16, generator=generator
    )
    tokens[y == 1, ..., :4] += 0.01
    right = {}
    for kind in ("linear", "normalised"):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            head = make_head(kind, width=16, n_channels=3, n_tokens=5, n_classes=2, dropout=0.0)
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(tokens), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            right[kind] = float((head.eval()(tokens).argmax(dim=1) == y).float().mean())
    assert right["linear"] == 0.5
    assert right["normalised"] == 1.0


def test_means_are_float32_under_mixed_precision() -> None:
    """A mean 0.0078 above 2.5 lies between two numbers of bfloat16."""
    head = make_head("normalised", width=8, n_channels=2, n_tokens=2, n_classes=2, dropout=0.0)
    tokens = torch.full((4, 2, 2, 8), 2.5, dtype=torch.bfloat16)
    tokens[1::2, 0, 0] += 0.03125  # the next number of bfloat16 is 2.515625
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mean = next(iter(head.children()))(tokens)
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean[1] - mean[0], torch.full((8,), 0.03125 / 4))


def test_unknown_heads_are_told() -> None:
    with pytest.raises(ConfigError, match="linear"):
        make_head("liner", width=8, n_channels=1, n_tokens=1, n_classes=2, dropout=0.0)  # type: ignore[arg-type]


def test_pool_by_hand() -> None:
    pool = AttentionPool(2, 0.0)
    with torch.no_grad():
        pool.score.weight.copy_(torch.tensor([[1.0, 0.0]]))
        pool.score.bias.zero_()
    log3 = torch.log(torch.tensor(3.0))
    x = torch.stack([torch.tensor([0.0, 4.0]), torch.stack([log3, torch.tensor(8.0)])])[None]
    # weights 1/4 and 3/4
    wanted = torch.tensor([[0.75 * float(log3), 0.25 * 4 + 0.75 * 8]])
    torch.testing.assert_close(pool(x), wanted)


def test_pretrain_head_gives_unit_vectors() -> None:
    head = PretrainHead(16, hidden=32, out=8)
    z = head(torch.randn(6, 3, 5, 16))
    assert z.shape == (6, 8)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(6))
    assert isinstance(head.norm, nn.BatchNorm1d)


# -------------------------------------------------------------------------------- electrodes


def test_released_rows() -> None:
    assert len(EMOD_IDENTITIES) == 68
    assert list(EMOD_IDENTITIES) == sorted(EMOD_IDENTITIES)
    assert electrode_rows(EMOD_IDENTITIES, "released") == list(range(1, 69))
    # A1, A2, AF3, AF4, C1 come first; PZ, T3 ... T8 and TP7, TP8 last
    names = ["A1", "A2", "AF3", "AF4", "C1", "Pz", "T3", "T4", "T5", "T6", "T7", "T8", "TP8"]
    wanted = [1, 2, 3, 4, 5, 60, 61, 62, 63, 64, 65, 66, 68]
    assert electrode_rows(names, "released") == wanted
    assert electrode_rows(["cb1", "EEG FP1-REF", "Fp1"], "released")[1] == 36
    assert electrode_rows(["AFF1", "M1", "HEOG"], "released") == [0, 0, 0]


def test_canonical_rows() -> None:
    rows = electrode_rows(["T3", "T4", "T5", "T6"])
    assert rows == electrode_rows(["T7", "T8", "P7", "P8"])
    assert electrode_rows(["T7", "T8", "P7", "P8"]) == electrode_rows(
        ["T7", "T8", "P7", "P8"], "released"
    )
    assert electrode_rows(["M1", "M2"]) == electrode_rows(["A1", "A2"]) == [1, 2]
    # without a row of its own: the nearest electrode that has one
    assert electrode_rows(["FFC1h"])[0] in electrode_rows(["FC1", "F1", "FCz", "Fz"])
    assert electrode_rows(["HEOG", "GSR1", "nonsense"]) == [0, 0, 0]
    # BioSemi's own positions are no 10-05 names
    assert electrode_rows(["A1", "A5", "B7", "C3"]) == [0, 0, 0, 0]
    with pytest.raises(ConfigError, match="electrode_table"):
        electrode_rows(["Fz"], "published")  # type: ignore[arg-type]


def test_ids_follow_the_options() -> None:
    names = ["T3", "Fz", "A1", "what"]
    canonical = EMODBackbone(8, 0).electrode_ids(names)
    released = EMODBackbone(8, 0, electrode_table="released").electrode_ids(names)
    places = EMODBackbone(8, 0, electrodes="positions").electrode_ids(names)
    assert canonical.dtype == torch.int64
    assert canonical.tolist() == electrode_rows(names)
    assert released[0] == 61
    assert places.tolist() == electrode_places(names)
    assert places.tolist().count(0) == 1
