from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.methods.scmm.losses import (
    aggregate,
    pair_weights,
    reconstruction_loss,
    soft_contrastive_loss,
)


def plain_loss(z: np.ndarray, w: np.ndarray, n_views: int, temperature: float) -> float:
    """The formula, pair by pair."""
    n = len(z)
    b = n // n_views
    s = z @ z.T / temperature
    total = 0.0
    for i in range(n):
        normaliser = sum(math.exp(s[i, j]) for j in range(n) if j != i)
        for j in range(n):
            if j != i:
                weight = 1.0 if i % b == j % b else w[i, j]
                total += weight * -math.log(math.exp(s[i, j]) / normaliser)
    return total / (n * (n - 1))


@given(
    b=st.integers(2, 5),
    n_views=st.integers(2, 4),
    temperature=st.floats(0.2, 3.0),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=30, deadline=None)
def test_equal_to_the_formula_pair_by_pair(
    b: int, n_views: int, temperature: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    n = b * n_views
    z = torch.randn(n, 6, generator=generator, dtype=torch.float64)
    w = torch.rand(n, n, generator=generator, dtype=torch.float64)
    expected = plain_loss(z.numpy(), w.numpy(), n_views, temperature)
    found = soft_contrastive_loss(z, w, n_views, temperature)
    assert float(found) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("b", [2, 5, 256])
def test_closed_form_for_constant_projections(b: int) -> None:
    z = torch.full((2 * b, 8), 0.3, dtype=torch.float64)
    loss = soft_contrastive_loss(z, torch.zeros(2 * b, 2 * b, dtype=torch.float64), 2, 0.5)
    assert float(loss) == pytest.approx(math.log(2 * b - 1) / (2 * b - 1), rel=1e-12)


def test_three_views_closed_form() -> None:
    n, n_views = 12, 3
    z = torch.ones(n, 4, dtype=torch.float64)
    loss = soft_contrastive_loss(z, torch.zeros(n, n, dtype=torch.float64), n_views, 1.0)
    assert float(loss) == pytest.approx((n_views - 1) * math.log(n - 1) / (n - 1), rel=1e-12)


def test_diagonal_and_positives_of_the_weights_are_ignored() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    w = torch.rand(8, 8, generator=generator, dtype=torch.float64)
    changed = w.clone()
    changed.fill_diagonal_(1e6)
    for i in range(8):
        changed[i, (i + 4) % 8] = -3.0
    assert soft_contrastive_loss(z, w, 2, 0.5) == soft_contrastive_loss(z, changed, 2, 0.5)
    ready = pair_weights(w, 2)
    assert ready.diagonal().tolist() == [0.0] * 8
    assert [ready[i, (i + 4) % 8].item() for i in range(8)] == [1.0] * 8
    assert torch.equal(w, torch.rand(8, 8, generator=_after_z(), dtype=torch.float64))


def _after_z() -> torch.Generator:
    generator = torch.Generator().manual_seed(0)
    torch.randn(8, 5, generator=generator, dtype=torch.float64)
    return generator


def test_gradients_are_right_and_reach_projections_only() -> None:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    w = torch.rand(6, 6, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda q: soft_contrastive_loss(q, w, 2, 0.7), (z,))
    assert torch.autograd.gradcheck(
        lambda q: soft_contrastive_loss(q, w, 3, 0.7, normalise=True), (z,)
    )
    h = torch.randn(6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q, maps: aggregate(q @ q.T, maps, 0.7)[1], (z, h))


def test_normalised_loss_does_not_depend_on_length() -> None:
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(10, 4, generator=generator, dtype=torch.float64)
    w = torch.rand(10, 10, generator=generator, dtype=torch.float64)
    lengths = 1 + torch.rand(10, 1, generator=generator, dtype=torch.float64)
    one = soft_contrastive_loss(z, w, 2, 0.5, normalise=True)
    other = soft_contrastive_loss(z * lengths, w, 2, 0.5, normalise=True)
    assert float(one) == pytest.approx(float(other), rel=1e-12)
    raw = [float(soft_contrastive_loss(q, w, 2, 0.5)) for q in (z, z * lengths)]
    assert abs(raw[0] - raw[1]) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_aggregator_rows_sum_to_one_without_the_diagonal(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    z = (3 * torch.randn(40, 8, generator=generator)).to(dtype)
    h = torch.randn(40, 7, 2, generator=generator).to(dtype)
    weights, rebuilt = aggregate(z @ z.T, h, 0.5)
    tolerance = {torch.bfloat16: 2e-2, torch.float16: 2e-3}.get(dtype, 1e-5)
    assert weights.diagonal().abs().max() == 0
    assert torch.allclose(weights.double().sum(dim=1), torch.ones(40).double(), atol=tolerance)
    assert bool(torch.isfinite(weights).all())
    assert rebuilt.shape == h.shape
    assert rebuilt.dtype == dtype
    by_hand = torch.einsum("ij,jkl->ikl", weights.double(), h.double())
    assert torch.allclose(rebuilt.double(), by_hand, atol=tolerance * 5)


def test_aggregator_by_hand() -> None:
    similarity = torch.tensor([[9.0, math.log(2), 0.0], [0.0, 9.0, 0.0], [0.0, -60.0, 9.0]])
    h = torch.tensor([[1.0], [2.0], [4.0]])
    weights, rebuilt = aggregate(similarity, h, 1.0)
    assert weights[0].tolist() == pytest.approx([0, 2 / 3, 1 / 3])
    assert weights[1].tolist() == pytest.approx([0.5, 0, 0.5])
    assert weights[2].tolist() == pytest.approx([1, 0, 0])
    assert rebuilt.flatten().tolist() == pytest.approx([8 / 3, 2.5, 1.0])


def test_reconstruction_targets_and_rows() -> None:
    originals = torch.tensor([[[1.0]], [[2.0]]])
    masked = torch.tensor([[[0.0]], [[2.0]]])
    views = torch.cat([originals, masked])
    rebuilt = torch.tensor([[1.0], [3.0], [0.0], [2.0]])
    assert reconstruction_loss(rebuilt, views, 2) == pytest.approx((1**2) / 4)
    assert reconstruction_loss(rebuilt, views, 2, target="original") == pytest.approx((1 + 1) / 4)
    assert reconstruction_loss(rebuilt, views, 2, rows="originals") == pytest.approx(1 / 2)


def test_bad_parameters_are_named() -> None:
    z = torch.zeros(6, 2)
    with pytest.raises(ConfigError, match="'temperature' must be above 0; received 0"):
        soft_contrastive_loss(z, torch.zeros(6, 6), 2, 0)
    with pytest.raises(ConfigError, match="must divide the 6 rows; received 4"):
        soft_contrastive_loss(z, torch.zeros(6, 6), 4, 1.0)
    with pytest.raises(ConfigError, match="received -1"):
        aggregate(z @ z.T, z, -1)
