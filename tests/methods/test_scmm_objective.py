from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from affectrum.methods.scmm.config import PRESETS, SCMMConfig
from affectrum.methods.scmm.fused import contrast_and_aggregate
from affectrum.methods.scmm.losses import (
    aggregate,
    pair_weights,
    reconstruction_loss,
    soft_contrastive_loss,
)
from affectrum.methods.scmm.objective import (
    Objective,
    WeightSettings,
    make_views,
    make_weighting,
)
from affectrum.methods.scmm.pretraining import make_network
from affectrum.methods.scmm.weights import soft_assignments

SETTINGS = WeightSettings(upper_bound=0.5, sharpness=0.1, temperature=0.5)


def batch(n: int = 12) -> torch.Tensor:
    return torch.rand(n, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def objective(config: SCMMConfig) -> Objective:
    network = make_network(6, 5, 16, 0).double()
    weighting = make_weighting(config)
    if weighting is not None:
        weighting.double()
    return Objective(network, weighting, config, SETTINGS, 0.0)


def test_correct_masking_leaves_the_originals_and_alias_masks_both_halves_alike() -> None:
    x = batch()
    before = x.clone()
    views = make_views(x, SCMMConfig(), 0.0, generator())
    assert torch.equal(views[:12], x)
    assert not torch.equal(views[12:], x)
    aliased = make_views(x, SCMMConfig(mask_alias=True), 0.0, generator())
    assert torch.equal(aliased[:12], aliased[12:])
    assert torch.equal(aliased[12:], views[12:])  # the same masks
    assert float((aliased[:12] == 0).double().mean()) == pytest.approx(0.5, abs=0.1)
    assert torch.equal(x, before)
    three = make_views(x, SCMMConfig(n_masked=3), 0.0, generator())
    assert len(three) == 48
    assert not torch.equal(three[12:24], three[24:36])


def test_fused_contrast_and_aggregation_equal_the_plain_functions() -> None:
    source = torch.Generator().manual_seed(1)
    z = torch.randn(10, 4, generator=source, dtype=torch.float64)
    h = torch.randn(10, 7, generator=source, dtype=torch.float64)
    w = torch.rand(10, 10, generator=source, dtype=torch.float64)
    for n_rebuilt in (10, 5):
        mine = [z.clone().requires_grad_(), h.clone().requires_grad_()]
        theirs = [z.clone().requires_grad_(), h.clone().requires_grad_()]
        loss, rebuilt = contrast_and_aggregate(*mine, pair_weights(w, 2), 0.4, n_rebuilt)
        wanted_loss = soft_contrastive_loss(theirs[0], w, 2, 0.4)
        _, wanted = aggregate(theirs[0] @ theirs[0].T, theirs[1], 0.4)
        wanted = wanted[:n_rebuilt]
        assert abs(float(loss.detach() - wanted_loss.detach())) < 1e-12
        assert (rebuilt - wanted).abs().max() < 1e-12
        (3 * loss + rebuilt.square().sum()).backward()
        (3 * wanted_loss + wanted.square().sum()).backward()
        for one, other in zip(mine, theirs, strict=True):
            assert (one.grad - other.grad).abs().max() < 1e-9
        ready = pair_weights(w, 2)
        assert torch.autograd.gradcheck(
            lambda q, v, ready=ready, n=n_rebuilt: contrast_and_aggregate(q, v, ready, 0.4, n),
            (mine[0], mine[1]),
        )


@pytest.mark.parametrize("preset", ["strict", "paper", "released"])
def test_the_objective_is_the_sum_of_its_written_parts(preset: str) -> None:
    config = SCMMConfig(**PRESETS[preset])
    made = objective(config)
    x = batch()
    losses = made(x, generator())

    views = make_views(x, config, 0.0, generator())
    network = made.network
    h = network.embed(views)
    z = network.projector(h)
    if config.normalise_z:
        z = F.normalize(z, dim=1)
    w = soft_assignments(
        views,
        0.5,
        0.1,
        scaling=config.distance_scaling,
        n_views=2,
        rows=config.weight_rows,
    )
    contrastive = soft_contrastive_loss(z, w, 2, 0.5)
    _, rebuilt = aggregate(z @ z.T, h, 0.5)
    reconstruction = reconstruction_loss(
        network.decoder(rebuilt),
        views,
        2,
        target=config.recon_target,
        rows=config.recon_rows,
    )
    assert losses.contrastive is not None
    assert losses.reconstruction is not None
    assert losses.contrastive.item() == pytest.approx(contrastive.item(), rel=1e-9)
    assert losses.reconstruction.item() == pytest.approx(reconstruction.item(), rel=1e-9)
    # scales start at 1: half of each loss, plus 2 log 2
    total = 0.5 * (contrastive + reconstruction).item() + 2 * np.log(2)
    assert losses.total.item() == pytest.approx(total, rel=1e-9)


def test_every_switch_changes_the_objective() -> None:
    x = batch()
    base = objective(SCMMConfig())(x, generator()).total.item()
    switches = [
        {"contrastive": False},
        {"reconstruction": False},
        {"aggregator": False},
        {"soft_weights": False},
        {"normalise_z": False},
        {"mask_alias": True},
        {"n_masked": 2},
        {"mask_mode": "random"},
        {"mask_mode": "channel"},
        {"mask_mode": "parallel"},
        {"mask_ratio": 0.2},
        {"mask_threshold": 0.9},
        {"metric": "euclidean"},
        {"metric": "manhattan", "distance_scaling": "row"},
        {"distance_scaling": "column"},
        {"weight_rows": "all"},
        {"recon_target": "own_input"},
        {"recon_rows": "originals"},
        {"loss_weighting": "equal"},
    ]
    totals = {}
    for switch in switches:
        total = objective(SCMMConfig(**switch))(x, generator()).total.item()
        totals[str(switch)] = total
        assert abs(total - base) > 1e-9, switch
    for (one, first), (other, second) in itertools.combinations(totals.items(), 2):
        assert abs(first - second) > 1e-12, (one, other)


def test_ablations_without_one_part_train_only_what_they_need() -> None:
    x = batch()
    cases = {
        "contrastive": {"projector.0.weight": True, "decoder.weight": False},
        "reconstruction": {"projector.0.weight": False, "decoder.weight": True},
    }
    for kept, expected in cases.items():
        off = {"contrastive": "reconstruction", "reconstruction": "contrastive"}[kept]
        made = objective(SCMMConfig(**{off: False, "aggregator": False}))
        losses = made(x, generator())
        losses.total.backward()
        assert getattr(losses, off) is None
        assert getattr(losses, kept) is not None
        for name, parameter in made.network.named_parameters():
            if name in expected:
                has = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
                assert has == expected[name], (kept, name)


def test_without_aggregator_a_window_is_rebuilt_from_itself() -> None:
    made = objective(SCMMConfig(aggregator=False, contrastive=False, loss_weighting="equal"))
    x = batch()
    losses = made(x, generator())
    views = make_views(x, made.config, 0.0, generator())
    by_hand = F.mse_loss(
        made.network.decoder(made.network.embed(views)), views[:12].flatten(1).repeat(2, 1)
    )
    assert losses.total.item() == pytest.approx(by_hand.item(), rel=1e-12)


def test_hard_weights_are_the_usual_contrastive_loss() -> None:
    config = SCMMConfig(soft_weights=False, reconstruction=False, loss_weighting="equal")
    made = objective(config)
    x = batch()
    views = make_views(x, config, 0.0, generator())
    z = F.normalize(made.network(views)[1], dim=1)
    logits = (z @ z.T / 0.5).masked_fill(torch.eye(24, dtype=torch.bool), float("-inf"))
    target = torch.arange(24).roll(12)
    expected = F.cross_entropy(logits, target) / 23  # mean over rows, then over pairs of a row
    assert made(x, generator()).total.item() == pytest.approx(expected.item(), rel=1e-9)
