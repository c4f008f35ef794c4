"""EMOD's backbone beside a plain form, published sizes, and what holds for every input."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from affectrum.errors import ConfigError
from affectrum.methods.emod import fused
from affectrum.methods.emod.attend import attend
from affectrum.methods.emod.attention import TemporalAttention, relative_rows
from affectrum.methods.emod.backbone import EMODBackbone, load_released
from affectrum.methods.emod.dropout import QuickDropout
from affectrum.methods.emod.encoder import TripleDomainEncoder, spectrum_of
from affectrum.methods.emod.shares import in_shares


def _plain_form() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "emod_plain.py"
    spec = importlib.util.spec_from_file_location("emod_plain", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plain_form = sys.modules.get("emod_plain") or _plain_form()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def volts(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed)) * 20e-6


@pytest.fixture(autouse=True)
def _same_weights() -> Iterator[None]:
    """Draw the same initial weights and noise in each run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


# ------------------------------------------------------------------------------------ sizes


def test_published_sizes() -> None:
    backbone = EMODBackbone()
    assert count(backbone.encoder) == 40_064 + 9_216
    assert count(backbone.blocks[0]) == 265_368
    assert count(backbone.blocks) == 796_104
    assert count(backbone) == 845_384
    assert count(EMODBackbone(layout="released", electrode_table="released")) == 845_384
    assert count(EMODBackbone(64, 3)) == 219_080
    assert count(EMODBackbone(32, 2)) == 41_744


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        # a branch, and its half of the layer that mixes them
        ({"temporal_tokens": False}, 3_584 + 128 * 128),
        ({"frequency_tokens": "none"}, 3_584 + 128 * 128),
        ({"electrodes": "none"}, 9_216),
        ({"relative": "none"}, 3 * 792),
        ({"relative": "bias"}, 3 * (792 - 99 * 16)),
        # four projections of 128 x 128, their offsets, a normalisation
        ({"spatial_attention": False}, 3 * (66_048 + 256)),
        ({"temporal_attention": False}, 3 * (66_048 + 256 + 792)),
    ],
)
def test_removals_take_their_parameters(options: dict[str, object], missing: int) -> None:
    backbone = EMODBackbone(**options)  # type: ignore[arg-type]
    assert count(backbone) == 845_384 - missing
    small = EMODBackbone(16, 1, **options)  # type: ignore[arg-type]
    assert small(volts(2, 3, 256), torch.tensor([1, 2, 3]), 128.0).shape == (2, 3, 10, 16)


# --------------------------------------------------------------------------- the plain form


@pytest.mark.parametrize(
    ("width", "kernel", "shape", "sfreq", "released"),
    [
        (16, 25, (3, 5, 640), 128.0, False),  # tokens divide the samples, not the bins
        (16, 25, (2, 4, 500), 200.0, True),
        (8, 24, (2, 3, 333), 250.0, False),  # nothing divides anything; an even kernel
        (16, 25, (2, 1, 16), 128.0, False),  # shorter than the kernel
        (8, 5, (1, 2, 13_000), 1000.0, False),  # tokens in several pieces, 65 > 50 of them
    ],
)
def test_results_and_gradients_are_those_of_the_plain_form(
    width: int,
    kernel: int,
    shape: tuple[int, int, int],
    sfreq: float,
    released: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fused, "_BUDGET_CPU", 1 << 14)
    fused._token_pieces.cache_clear()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = plain_form.PlainBackbone(width, 2, kernel=kernel, released=released).double()
        layout = "released" if released else "correct"
        fast = EMODBackbone(width, 2, kernel=kernel, layout=layout).double()  # type: ignore[arg-type]
    plain_form.copy_weights(plain, fast)
    if kernel % 2 == 0:  # torch pads even kernels with a warning; the padding is the same
        for layer in (plain.encoder.time_conv, plain.encoder.freq_conv):
            layer.forward = lambda x, f=layer: nn.functional.conv2d(  # type: ignore[assignment]
                nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2)), f.weight, f.bias
            )
    plain.eval()
    fast.eval()
    x = volts(*shape).double() + 30e-6  # an offset that normalisation has to take out
    ids = torch.arange(1, shape[1] + 1)
    found, wanted = fast(x, ids, sfreq), plain(x, ids, sfreq)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    down = torch.randn(wanted.shape, generator=seeded(1), dtype=torch.float64)
    found.backward(down)
    wanted.backward(down)
    theirs = dict(plain.named_parameters())
    for here, there in plain_form.names_in_package(2).items():
        one, other = fast.get_parameter(here).grad, theirs[there].grad
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11, msg=here)
    # the same in float32, to the figure that is promised
    with torch.no_grad():
        apart = fast.float()(x.float(), ids, sfreq) - plain.float()(x.float(), ids, sfreq)
    assert float(apart.abs().max()) < 1e-5
    fused._token_pieces.cache_clear()


@pytest.mark.parametrize("inference", [False, True])
def test_shares_on_two_threads_give_the_same(
    inference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affectrum.methods.emod.fused._BUDGET_CPU", 1 << 12)
    monkeypatch.setattr("affectrum.methods.emod.attend._BUDGET_CPU", 1 << 10)
    backbone = EMODBackbone(16, 1).double().eval()
    x, ids = volts(3, 5, 256).double(), torch.arange(1, 6)
    answers = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        with torch.inference_mode(inference):
            tokens = backbone(x, ids, 128.0)
        gradients = []
        if not inference:
            tokens.square().sum().backward()
            gradients = [p.grad for p in backbone.parameters()]
            backbone.zero_grad()
        assert torch.get_num_threads() == n_threads
        answers.append([tokens, *gradients])
    torch.set_num_threads(1)
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-9, atol=1e-12)


def test_faults_in_a_share_come_out() -> None:
    def work(pieces: Sequence[int]) -> int:
        if 3 in pieces:
            raise ValueError("three")
        return sum(pieces)

    cpu = torch.device("cpu")
    torch.set_num_threads(2)
    assert in_shares([1, 2, 4, 5, 6], work, cpu) == [3, 15]
    with pytest.raises(ValueError, match="three"):
        in_shares([1, 2, 3], work, cpu)
    torch.set_num_threads(1)
    assert in_shares([1, 2, 4], work, cpu) == [7]


def test_gradient_of_the_input_is_that_of_finite_differences() -> None:
    """Such as saliency needs; this way the maps are made by torch's own layers."""
    encoder = TripleDomainEncoder(8, 5).double()
    ids = torch.tensor([1, 2])
    x = volts(1, 2, 64).double()
    with torch.no_grad():
        pooled = encoder(x, ids, 64.0, 5)
    x.requires_grad_()
    found = encoder(x, ids, 64.0, 5)
    torch.testing.assert_close(found, pooled, rtol=0, atol=1e-12)
    found.square().sum().backward()
    way = volts(1, 2, 64, seed=3).double()
    with torch.no_grad():
        ahead = encoder(x + 1e-4 * way, ids, 64.0, 5).square().sum()
        behind = encoder(x - 1e-4 * way, ids, 64.0, 5).square().sum()
    assert x.grad is not None
    slope = float((x.grad * way).sum())
    assert float(ahead - behind) / 2e-4 == pytest.approx(slope, rel=1e-5)


def test_windows_do_not_see_each_other_and_electrodes_have_no_order() -> None:
    backbone = EMODBackbone(16, 2).eval()
    x, ids = volts(4, 6, 256), torch.arange(1, 7)
    with torch.no_grad():
        whole = backbone(x, ids, 128.0)
        one = backbone(x[2:3], ids, 128.0)
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        mixed = backbone(x[:, order], ids[order], 128.0)
        each = backbone(x, ids.expand(4, 6), 128.0)
    torch.testing.assert_close(whole[2:3], one, rtol=0, atol=1e-5)
    torch.testing.assert_close(whole[:, order], mixed, rtol=0, atol=1e-5)
    torch.testing.assert_close(whole, each, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("n_channels", "sfreq", "seconds", "n_tokens"),
    [(14, 128.0, 1, 5), (62, 200.0, 4, 20), (3, 250.0, 12, 60), (1, 300.0, 0.1, 1)],
)
def test_any_electrodes_rates_and_lengths(
    n_channels: int, sfreq: float, seconds: float, n_tokens: int
) -> None:
    backbone = EMODBackbone(8, 1).eval()
    x = volts(1, n_channels, round(sfreq * seconds))
    tokens = backbone(x, torch.arange(1, n_channels + 1), sfreq)
    assert tokens.shape == (1, n_channels, n_tokens, 8)
    assert torch.isfinite(tokens).all()


def test_flat_electrodes_and_windows_stay_finite() -> None:
    backbone = EMODBackbone(8, 1)
    x = volts(2, 3, 256)
    x[0] = 0
    tokens = backbone(x, torch.tensor([1, 2, 3]), 128.0)
    tokens.square().sum().backward()
    assert torch.isfinite(tokens).all()
    assert all(torch.isfinite(p.grad).all() for p in backbone.parameters() if p.grad is not None)


def test_wrong_inputs_are_told() -> None:
    backbone = EMODBackbone(8, 1)
    with pytest.raises(ConfigError, match=r"\(batch, channels, samples\)"):
        backbone(volts(3, 256), torch.tensor([1]), 128.0)
    with pytest.raises(ConfigError, match="2 channels need as many electrode ids; received 3"):
        backbone(volts(1, 2, 256), torch.tensor([1, 2, 3]), 128.0)
    with pytest.raises(ConfigError, match="'sfreq' must be positive"):
        backbone(volts(1, 2, 256), torch.tensor([1, 2]), 0.0)


# -------------------------------------------------------------------------------- attention


def test_the_two_layouts_on_a_toy() -> None:
    """Two tokens of five features, each entry 5 * t + d."""
    toy = torch.arange(10.0).view(1, 1, 2, 5)
    released = TemporalAttention(5, 5, layout="released")
    assert released.tokens_of(toy)[0, 0].tolist() == [[0, 5, 1, 6, 2], [7, 3, 8, 4, 9]]
    assert TemporalAttention(5, 5).tokens_of(toy) is toy


def test_offsets_beyond_the_table_are_clamped() -> None:
    rows = relative_rows(4, 2, torch.device("cpu"))
    assert rows.tolist() == [[2, 1, 0, 0], [3, 2, 1, 0], [4, 3, 2, 1], [4, 4, 3, 2]]
    assert relative_rows(60, 49, torch.device("cpu"))[[0, 59], [59, 0]].tolist() == [0, 98]


def test_attention_against_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affectrum.methods.emod.attend._BUDGET_CPU", 200)  # several pieces
    n, n_rows, length, n_heads, features = 2, 5, 7, 3, 4
    qkv = torch.randn(n, n_rows, length, 3, n_heads, features, generator=seeded())
    qkv = qkv.double().requires_grad_()
    bias = torch.randn(n_heads, length, length, generator=seeded(1)).double().requires_grad_()
    q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).flatten(1, 2)
    wanted = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    wanted = wanted.unflatten(0, (n, n_rows)).transpose(2, 3).flatten(-2)
    found = attend(qkv, bias=bias)
    torch.testing.assert_close(found, wanted)
    down = torch.randn(found.shape, generator=seeded(2)).double()
    ours = torch.autograd.grad(found, (qkv, bias), down)
    theirs = torch.autograd.grad(wanted, (qkv, bias), down)
    torch.testing.assert_close(ours, theirs)


# ------------------------------------------------------------------------ spectrum and hertz


@pytest.mark.parametrize("kind", ["magnitude", "log-power"])
def test_spectra_without_phase(kind: str) -> None:
    t = torch.arange(512, dtype=torch.float64) / 128
    sines = torch.stack([torch.sin(2 * torch.pi * 10 * t + p) * 5 for p in (0.0, 0.7, 2.1)])
    spectra = spectrum_of(sines, kind)  # type: ignore[arg-type]
    torch.testing.assert_close(spectra, spectra[:1].expand_as(spectra), rtol=0, atol=1e-6)
    real = spectrum_of(sines, "real")[:, 40]
    wanted = (
        torch.sin(torch.tensor([0.0, 0.7, 2.1], dtype=torch.float64)) * 2.5
    )  # Re of 5 sin: 2.5 sin(phase)
    torch.testing.assert_close(real, wanted, rtol=0, atol=1e-6)


def test_hertz_tokens_are_alike_at_every_rate() -> None:
    """The same 12-Hz sine at four rates: the same bins and tokens, unlike tokens by bin."""

    def at(sfreq: int) -> torch.Tensor:
        t = torch.arange(4 * sfreq, dtype=torch.float64) / sfreq
        return (torch.sin(2 * torch.pi * 12 * t + 0.4) * 10e-6)[None, None]

    ids = torch.tensor([1])
    for kind in ("real", "magnitude", "log-power"):
        hertz = TripleDomainEncoder(
            8,
            5,
            temporal_tokens=False,
            frequency_tokens="hertz",
            spectrum=kind,  # type: ignore[arg-type]
        ).double()
        with torch.no_grad():
            tokens = [hertz(at(sfreq), ids, float(sfreq), 20) for sfreq in (128, 200, 250, 300)]
        bins = hertz.frequencies(at(250) * 1e6, 250.0)[0, 0]
        assert bins.shape == (180,)  # 45 Hz of 1/4 Hz
        assert int(bins.abs().argmax() if kind != "log-power" else bins.argmax()) == 48
        for other in tokens[1:]:
            torch.testing.assert_close(other, tokens[0], rtol=0, atol=1e-6)
    bins_encoder = TripleDomainEncoder(8, 5, temporal_tokens=False).double()
    with torch.no_grad():
        low, high = (bins_encoder(at(sfreq), ids, float(sfreq), 20) for sfreq in (128, 300))
    assert float((low - high).abs().max()) > 0.02


def test_hertz_above_half_the_rate_is_zero() -> None:
    encoder = TripleDomainEncoder(8, 5, frequency_tokens="hertz", max_frequency=45.0)
    bins = encoder.frequencies(torch.ones(1, 1, 256), 64.0)
    assert bins.shape == (1, 1, 180)
    assert bins[..., 129:].abs().max() == 0


# --------------------------------------------------------------------- electrodes, by place


def test_places_serve_electrodes_never_seen() -> None:
    backbone = EMODBackbone(16, 1, electrodes="positions").eval()
    ids = backbone.electrode_ids(["Fp1", "AFF1", "AFF5h", "A1", "T3", "T7", "not one"])
    with torch.no_grad():
        vectors = backbone.encoder.electrodes(ids)  # type: ignore[misc]
    assert ids[-1] == 0
    assert ids[4] == ids[5]
    assert len(set(ids.tolist())) == 6
    torch.testing.assert_close(vectors[:-1].mean(dim=1), torch.zeros(6), rtol=0, atol=1e-5)
    # neighbours that no corpus of the pre-training has are alike, and unlike the ear
    assert (vectors[1] - vectors[2]).norm() < (vectors[1] - vectors[3]).norm() / 2
    tokens = backbone(volts(1, 7, 256), ids, 128.0)
    assert torch.isfinite(tokens).all()


# ------------------------------------------------------------------- memory, precision, state


def _saved_bytes(backbone: EMODBackbone, x: torch.Tensor, ids: torch.Tensor) -> int:
    """Return the bytes that autograd keeps for the backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        tokens = backbone(x, ids, 128.0)
        n_bytes = sum(kept.values())
    tokens.sum().backward()
    return n_bytes


def test_checkpointing_same_gradients_less_memory() -> None:
    x, ids = volts(2, 6, 640), torch.arange(1, 7)
    gradients, kept = [], []
    for checkpointing in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            backbone = EMODBackbone(32, 3, checkpointing=checkpointing, dropout=0.2)
            kept.append(_saved_bytes(backbone, x, ids))
        gradients.append([p.grad for p in backbone.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert kept[1] < kept[0] / 4


def test_memory_is_linear_in_electrodes_and_tokens() -> None:
    backbone = EMODBackbone(16, 1)
    own = sum(p.numel() * 4 for p in backbone.parameters())

    def kept(n_channels: int, seconds: int) -> int:
        ids = torch.arange(1, n_channels + 1)
        return _saved_bytes(backbone, volts(1, n_channels, 128 * seconds), ids) - own

    one, electrodes, tokens = kept(8, 5), kept(32, 5), kept(8, 20)
    assert electrodes < 4.1 * one
    # the vectors of pairs of tokens (20 s: 100 x 100 x 8) are shared by all electrodes
    assert tokens < 4.1 * one + 100 * 100 * (8 * 4 + 8)


@pytest.mark.parametrize("relative", ["query", "bias"])
def test_bfloat16_autocast_is_near_float32(relative: str) -> None:
    backbone = EMODBackbone(32, 2, relative=relative).eval()  # type: ignore[arg-type]
    x, ids = volts(2, 8, 640), torch.arange(1, 9)
    wanted = backbone(x, ids, 128.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = backbone(x, ids, 128.0)
    found.float().square().mean().backward()
    apart = (found.float() - wanted).norm() / wanted.norm()
    assert float(apart.detach()) < 0.02
    assert all(torch.isfinite(p.grad).all() for p in backbone.parameters() if p.grad is not None)
    assert sum(p.grad is not None for p in backbone.parameters()) == len(
        list(backbone.parameters())
    )


def test_dropout_rate_scale_and_gradient() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.ones(601, 333, requires_grad=True)
        dropped = QuickDropout(0.3)(x)
    dropped.sum().backward()
    values = np.unique(dropped.detach().numpy())
    share = float((dropped == 0).double().mean())
    assert values == pytest.approx([0, 1 / 0.7], rel=1e-4)
    assert share == pytest.approx(0.3, abs=4 * (0.21 / x.numel()) ** 0.5)
    # neighbours drop apart from each other
    zero = (dropped == 0).double().flatten()
    for lag in (1, 2, 3, 4, 333):
        both = float((zero[lag:] * zero[:-lag]).mean())
        assert both == pytest.approx(0.09, abs=0.004), lag
    assert x.grad is not None
    assert torch.equal(x.grad, dropped)
    assert QuickDropout(0.3).eval()(x) is x
    assert torch.equal(QuickDropout(1.0)(x), torch.zeros_like(x))


def test_a_released_checkpoint_loads_under_names_that_are_told() -> None:
    plain = plain_form.PlainBackbone(16, 2, released=True).eval()
    state = {f"module.{name}": value for name, value in plain.state_dict().items()}
    names = plain_form.names_in_package(2)
    ours = EMODBackbone(16, 2, layout="released", electrode_table="released").eval()
    load_released(ours, state, names)
    x, ids = volts(1, 4, 256), torch.arange(1, 5)
    torch.testing.assert_close(ours(x, ids, 128.0), plain(x, ids, 128.0), rtol=0, atol=1e-5)

    before = ours.encoder.mix.weight.clone()
    state["module.encoder.mix.weight"] = torch.zeros(2, 2)
    del state["module.blocks.0.norm1.bias"]
    with pytest.raises(ConfigError) as caught:
        load_released(ours, state, names)
    assert "encoder.mix.weight has shape (16, 32)" in str(caught.value)
    assert "blocks.0.spatial_norm.bias: the checkpoint has no" in str(caught.value)
    assert torch.equal(ours.encoder.mix.weight, before)
    with pytest.raises(ConfigError, match="needs layout='released'; .*electrode_table"):
        load_released(EMODBackbone(16, 2), state, names)
