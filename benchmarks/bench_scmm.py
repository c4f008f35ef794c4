"""SCMM's pre-training step beside its plain form, part by part, in one run.

The plain form is what one writes first from the method's description: every pair of inputs expanded
for the cosine, the matrix scaled by scikit-learn, masks of pairs rebuilt in each step, masks drawn
in numpy, torch's own layers, and an unfused Adam. Both compute the same numbers, which is checked
before anything is timed.

    python benchmarks/bench_scmm.py [--threads 2] [--rounds 15] [--channels 62] [--require 12]

Plain and fast take turns, so that whatever else the machine does slows both. The best and the
median of the rounds are printed.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.preprocessing import MinMaxScaler
from torch import nn

from affectrum.methods.scmm.config import PRESETS, SCMMConfig
from affectrum.methods.scmm.fused import contrast_and_aggregate
from affectrum.methods.scmm.losses import pair_weights
from affectrum.methods.scmm.network import SCMMNetwork
from affectrum.methods.scmm.objective import Objective, WeightSettings, make_views, make_weighting
from affectrum.methods.scmm.pretraining import make_network
from affectrum.methods.scmm.weights import soft_assignments
from affectrum.training.loop import make_adam

ALPHA, TAU, TEMPERATURE = 0.5, 0.05, 0.5
BATCH = 256


# ------------------------------------------------------------------------------------ plain form


def plain_masks(rng: np.random.Generator, n_channels: int, n_bands: int) -> np.ndarray:
    keep = rng.binomial(1, 0.5, size=(BATCH, n_channels, n_bands))
    whole = np.repeat(rng.binomial(1, 0.5, size=(BATCH, n_channels, 1)), n_bands, axis=2)
    choice = np.repeat(rng.uniform(size=(BATCH, n_channels, 1)), n_bands, axis=2)
    return np.where(choice > 0.1, keep, whole).astype(bool)


def plain_weights(x: torch.Tensor, metric: str = "cosine") -> torch.Tensor:
    flat = x.flatten(1)
    if metric == "cosine":
        d = -F.cosine_similarity(flat[:, None], flat[None], dim=-1)
    elif metric == "euclidean":
        d = (flat[:, None] - flat[None]).square().sum(-1).sqrt()
    else:
        d = (flat[:, None] - flat[None]).abs().sum(-1)
    d = d.numpy().copy()
    itself = np.eye(len(d), dtype=bool)
    d[itself] = d[~itself].min()
    scaled = MinMaxScaler().fit_transform(d)
    return torch.from_numpy(2 * ALPHA / (1 + np.exp(scaled / TAU))).to(x.dtype)


def plain_pair_masks(n: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    positive = np.zeros((2 * n, 2 * n))
    for i in range(2 * n):
        positive[i, (i + n) % (2 * n)] = 1
    negative = 1 - positive - np.eye(2 * n)
    return torch.from_numpy(positive).to(dtype), torch.from_numpy(negative).to(dtype)


def plain_contrast(z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    n = len(z)
    logits = z @ z.T / TEMPERATURE
    positive, negative = plain_pair_masks(n // 2, z.dtype)
    log_p = F.log_softmax(logits - 1e12 * torch.eye(n, dtype=z.dtype), dim=1)
    return -(log_p * (positive + negative * w)).sum() / (n * (n - 1))


def plain_aggregate(z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    return torch.softmax(z @ z.T / TEMPERATURE - 1e12 * torch.eye(len(z), dtype=z.dtype), dim=1) @ h


class PlainEncoder(nn.Sequential):
    """The encoder's weights in torch's own layers."""

    def __init__(self, network: SCMMNetwork) -> None:
        layers: list[nn.Module] = []
        for block in network.encoder.blocks:
            layers += [block.convolution, block.normalisation, nn.ReLU()]
            layers += [nn.MaxPool1d(2, stride=2, padding=1)]
        super().__init__(*layers)


class PlainStep:
    """One pre-training step, plainly."""

    def __init__(self, network: SCMMNetwork) -> None:
        self.network = network
        self.encoder = PlainEncoder(network)
        self.scales = nn.Parameter(torch.ones(2))
        self.optimizer = torch.optim.Adam(
            [*network.parameters(), self.scales], lr=5e-4, betas=(0.9, 0.99), weight_decay=3e-4
        )
        self.rng = np.random.default_rng(0)

    def views(self, x: torch.Tensor) -> torch.Tensor:
        """Originals and masked copies."""
        keep = torch.from_numpy(plain_masks(self.rng, *x.shape[1:]))
        masked = x.clone()
        masked[~keep] = 0
        return torch.cat([x, masked])

    def loss(self, views: torch.Tensor) -> torch.Tensor:
        """Total loss of a batch of views."""
        w = plain_weights(views)
        h = self.encoder(views).flatten(1)
        z = self.network.projector(h)
        contrastive = plain_contrast(z, w)
        rebuilt = self.network.decoder(plain_aggregate(z, h))
        reconstruction = F.mse_loss(rebuilt, views.flatten(1))
        total = torch.zeros(())
        for scale, part in zip(self.scales, (contrastive, reconstruction), strict=True):
            total = total + 0.5 / scale**2 * part + torch.log(1 + scale**2)
        return total

    def __call__(self, x: torch.Tensor) -> None:
        """Take one step on a batch."""
        loss = self.loss(self.views(x))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


# ------------------------------------------------------------------------------------- fast form


class FastStep:
    """One pre-training step, as the package does it."""

    def __init__(self, network: SCMMNetwork, config: SCMMConfig) -> None:
        self.network = network
        weighting = make_weighting(config)
        assert weighting is not None
        settings = WeightSettings(ALPHA, TAU, TEMPERATURE)
        self.objective = Objective(network, weighting, config, settings, 0.0)
        self.optimizer = make_adam(
            [*network.parameters(), *weighting.parameters()],
            learning_rate=5e-4,
            betas=(0.9, 0.99),
            weight_decay=3e-4,
        )
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, x: torch.Tensor) -> None:
        """Take one step on a batch."""
        self.optimizer.zero_grad(set_to_none=True)
        self.objective(x, self.generator).total.backward()
        self.optimizer.step()


def config_like_plain() -> SCMMConfig:
    """Same sums as the plain form: released weights, raw z, every row rebuilds its own input."""
    return SCMMConfig(**{**PRESETS["paper"], "recon_target": "own_input", "recon_rows": "all"})


# ----------------------------------------------------------------------------------------- timing


def milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start)


def compare(
    name: str, plain: Callable[[], object], fast: Callable[[], object], rounds: int
) -> float:
    plain()
    fast()
    plain_ms, fast_ms = [], []
    for _ in range(rounds):
        plain_ms.append(milliseconds(plain))
        fast_ms += [milliseconds(fast) for _ in range(3)]
    best = min(plain_ms) / min(fast_ms)
    print(
        f"{name:36s}{min(plain_ms):9.2f}{np.median(plain_ms):9.2f}   "
        f"{min(fast_ms):9.2f}{np.median(fast_ms):9.2f}   {best:8.1f}"
        f"{np.median(plain_ms) / np.median(fast_ms):8.1f}",
        flush=True,
    )
    return best


def check_equal(x: torch.Tensor) -> None:
    """Compare loss and gradients in float64, where equal means equal."""
    x = x.double()
    network = make_network(x.shape[1], x.shape[2], 128, 0).double()
    fast = FastStep(network, config_like_plain())
    plain = PlainStep(copy.deepcopy(network))
    views = make_views(x, fast.objective.config, 0.0, torch.Generator().manual_seed(0))
    wanted = plain.loss(views)
    found = fast.objective(x, torch.Generator().manual_seed(0)).total
    wanted.backward()
    found.backward()
    apart = 0.0
    for one, other in zip(network.parameters(), plain.network.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        apart = max(apart, float((one.grad - other.grad).abs().max()))
    loss_apart = abs(found.item() - wanted.item())
    print(f"float64: losses differ by {loss_apart:.1e}, gradients by at most {apart:.1e}")
    assert loss_apart < 1e-9
    assert apart < 1e-9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--bands", type=int, default=5)
    parser.add_argument(
        "--require", type=float, default=0.0, help="fail if the whole step gains less than this"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    shape = (BATCH, options.channels, options.bands)
    x = torch.from_numpy(rng.uniform(size=shape).astype(np.float32))
    print(
        f"batch {BATCH} + 1 view, {options.channels} x {options.bands}, {options.threads} threads, "
        f"torch {torch.__version__}; milliseconds"
    )
    check_equal(x)

    network = make_network(options.channels, options.bands, 128, 0)
    config = config_like_plain()
    plain, fast = PlainStep(copy.deepcopy(network)), FastStep(network, config)
    views = plain.views(x)
    w = pair_weights(soft_assignments(views, ALPHA, TAU), 2)
    h, z = (part.detach().requires_grad_() for part in network(views))
    print(
        f"{'':36s}{'plain best':>9s}{'median':>8s}   {'fast best':>9s}{'median':>9s}   gain: best"
    )
    compare(
        "draw masks and views",
        lambda: plain.views(x),
        lambda: make_views(x, config, 0.0, fast.generator),
        options.rounds,
    )
    for metric in ("cosine", "euclidean", "manhattan"):
        compare(
            f"soft assignments, {metric}",
            lambda metric=metric: plain_weights(views, metric),
            lambda metric=metric: soft_assignments(views, ALPHA, TAU, metric),
            max(3, options.rounds // 4),
        )
    compare(
        "encoder, forward and backward",
        lambda: plain.encoder(views).square().sum().backward(),
        lambda: network.encoder(views).square().sum().backward(),
        options.rounds,
    )
    compare(
        "loss, aggregation, decoder, f. and b.",
        lambda: (
            plain_contrast(z, w) + plain.network.decoder(plain_aggregate(z, h)).square().mean()
        ).backward(),
        lambda: sum(
            part.square().mean() if part.ndim else part
            for part in contrast_and_aggregate(
                z, F.linear(h, network.decoder.weight), w, TEMPERATURE
            )
        ).backward(),
        options.rounds,
    )
    compare("Adam", plain.optimizer.step, fast.optimizer.step, options.rounds)
    gain = compare("whole step", lambda: plain(x), lambda: fast(x), options.rounds)
    strict = FastStep(make_network(*shape[1:], 128, 0), SCMMConfig())
    compare("whole step, fast form as in strict", lambda: plain(x), lambda: strict(x), 5)
    if gain < options.require:
        print(f"whole step: gain {gain:.1f} is below the required {options.require}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
