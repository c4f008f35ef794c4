from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler

from affectrum.errors import ConfigError
from affectrum.methods.scmm.weights import (
    METRICS,
    SCALINGS,
    distance_quantile,
    pairwise_distances,
    scaled_distances,
    sharpness_by_quantile,
    soft_assignments,
)
from affectrum.nn.masking import masked_views


def plain_distances(x: torch.Tensor, metric: str) -> torch.Tensor:
    """Every pair expanded, the way one writes it first."""
    flat = x.flatten(1)
    one, other = flat[:, None, :], flat[None, :, :]
    if metric == "cosine":
        return -F.cosine_similarity(one, other, dim=-1)
    if metric == "euclidean":
        return (one - other).square().sum(dim=-1).sqrt()
    return (one - other).abs().sum(dim=-1)


def plain_weights(x: torch.Tensor, alpha: float, tau: float, metric: str) -> torch.Tensor:
    distances = plain_distances(x, metric).numpy().copy()
    n = len(distances)
    off = distances[~np.eye(n, dtype=bool)]
    distances[np.eye(n, dtype=bool)] = off.min()
    scaled = MinMaxScaler().fit_transform(distances)
    return torch.from_numpy(2 * alpha / (1 + np.exp(scaled / tau)))


def batch(n: int = 48, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    """Smooth features in 0 to 1 with near neighbours, and their half-masked views."""
    generator = torch.Generator().manual_seed(seed)
    steps = 0.05 * torch.randn(n, 62, 5, generator=generator, dtype=torch.float64)
    x = steps.cumsum(dim=0) + torch.rand(62, 5, generator=generator, dtype=torch.float64)
    x = x.sigmoid()
    return torch.cat([x, masked_views(x, generator)]).to(dtype)


SETTINGS = [(0.75, 0.5), (0.5, 0.05), (0.5, 0.2)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("alpha", "tau"), SETTINGS)
def test_equal_to_the_plain_form_in_float64(metric: str, alpha: float, tau: float) -> None:
    x = batch()
    fast = soft_assignments(x, alpha, tau, metric)
    assert (fast - plain_weights(x, alpha, tau, metric)).abs().max() < 1e-9


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("alpha", "tau"), SETTINGS)
def test_float32_error_within_three_times_the_plain_forms(
    metric: str, alpha: float, tau: float
) -> None:
    x = batch(dtype=torch.float32)
    exact = plain_weights(x.double(), alpha, tau, metric)
    plain_error = (plain_weights(x, alpha, tau, metric).double() - exact).abs().max()
    fast_error = (soft_assignments(x, alpha, tau, metric).double() - exact).abs().max()
    assert fast_error <= 3 * plain_error


@pytest.mark.parametrize("metric", METRICS)
def test_distances_of_copies_and_zeros(metric: str) -> None:
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [-2.0, 1.0]])
    d = pairwise_distances(x, metric)
    expected = {
        "cosine": [0.0, 1.0, 1.0],
        "euclidean": [0.0, math.sqrt(5), math.sqrt(10)],
        "manhattan": [0.0, 3.0, 4.0],
    }[metric]
    assert d[0, 1:].tolist() == pytest.approx(expected, abs=1e-6)
    assert d.dtype == torch.float32


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("metric", METRICS)
def test_scaled_weights_do_not_depend_on_the_unit(metric: str, scale: float) -> None:
    x = batch()
    reference = soft_assignments(x, 0.5, 0.05, metric)
    assert (soft_assignments(x * scale, 0.5, 0.05, metric) - reference).abs().max() < 1e-9


@given(
    n=st.integers(3, 12),
    alpha=st.floats(0.01, 1.0),
    tau=st.floats(0.02, 10.0),
    metric=st.sampled_from(METRICS),
    scaling=st.sampled_from(["column", "row", "global"]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_weights_lie_between_zero_and_alpha_and_fall_with_distance(
    n: int, alpha: float, tau: float, metric: str, scaling: str, seed: int
) -> None:
    x = torch.randn(n, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    w = soft_assignments(x, alpha, tau, metric, scaling=scaling)
    assert w.shape == (n, n)
    assert not w.requires_grad
    assert bool((w >= 0).all())
    assert bool((w <= alpha * (1 + 1e-12)).all())
    floor = 2 * alpha / (1 + math.exp(1 / tau))  # the largest scaled distance is 1
    assert float(w.min()) == pytest.approx(floor, rel=1e-6, abs=1e-30)
    d = pairwise_distances(x, metric)
    off = ~torch.eye(n, dtype=torch.bool)
    if scaling == "global":
        order = d[off].argsort()
        assert bool((w[off][order].diff() <= 1e-12).all())


def test_column_scaling_is_not_symmetric_and_the_alternatives_are_what_they_say() -> None:
    x = batch()
    d = pairwise_distances(x, "cosine")
    column = scaled_distances(d, "column")
    row = scaled_distances(d, "row")
    whole = scaled_distances(d, "global")
    assert (column - column.T).abs().max() > 0.01
    assert torch.allclose(row, column.T, atol=1e-12)
    assert torch.allclose(whole, whole.T, atol=1e-12)
    off = ~torch.eye(len(d), dtype=torch.bool)
    assert column.amax(dim=0).tolist() == pytest.approx([1.0] * len(d))
    assert row.amax(dim=1).tolist() == pytest.approx([1.0] * len(d))
    assert whole.amax() == 1
    assert whole[off].min() == 0
    none = scaled_distances(d, "none")
    assert torch.equal(none[off], d[off])
    assert none.diagonal().abs().max() == 0
    assert d.diagonal().abs().max() < 1e-12


def test_the_input_is_left_alone() -> None:
    x = batch()
    before = x.clone()
    distances = pairwise_distances(x)
    kept = distances.clone()
    for scaling in SCALINGS:
        scaled_distances(distances, scaling)
        soft_assignments(x, 0.5, 0.1, scaling=scaling)
    assert torch.equal(x, before)
    assert torch.equal(distances, kept)


def test_originals_only_gives_all_views_their_originals_weights() -> None:
    x = batch(20)
    w = soft_assignments(x, 0.5, 0.1, n_views=2, rows="originals", scaling="global")
    inside = soft_assignments(x[:20], 0.5, 0.1, scaling="global")
    for block in (w[:20, :20], w[:20, 20:], w[20:, :20], w[20:, 20:]):
        assert torch.equal(block, inside)
    # with all rows compared, masks decide: masked pairs weigh far less than original pairs
    every = soft_assignments(x, 0.5, 0.1)
    off = ~torch.eye(20, dtype=torch.bool)
    assert every[20:, 20:][off].mean() < 0.5 * every[:20, :20][off].mean()


def test_unscaled_weights_do_not_depend_on_the_batch() -> None:
    x = batch(30)[:30]
    whole = soft_assignments(x, 0.5, 0.02, scaling="none")
    part = soft_assignments(x[:7], 0.5, 0.02, scaling="none")
    assert torch.allclose(whole[:7, :7], part, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_sharpness_by_quantile_is_free_of_scale(metric: str, scale: float) -> None:
    x = batch(60)[:60] * scale
    off = ~torch.eye(60, dtype=torch.bool)
    for share in (0.02, 0.1, 0.5):
        tau = sharpness_by_quantile(x, share, metric)
        w = soft_assignments(x, 0.5, tau, metric, scaling="none")
        above = (w[off] > 0.05).double().mean()
        assert above == pytest.approx(share, abs=0.002)
    assert distance_quantile(x, 0.5, metric) == pytest.approx(
        float(pairwise_distances(x, metric)[off].median()), rel=0.01
    )


def test_quantiles_of_equal_samples_stay_usable() -> None:
    equal = torch.ones(10, 4)
    assert distance_quantile(equal, 0.1, "euclidean") == 1.0
    mostly = equal.clone()
    mostly[0] = 3.0
    assert distance_quantile(mostly, 0.1, "manhattan") == 8.0
    w = soft_assignments(equal, 0.5, 0.1, "euclidean")
    assert torch.equal(w, torch.full((10, 10), 0.5))


def test_bad_parameters_come_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        soft_assignments(torch.zeros(5, 2), 1.5, 0.0, n_views=2)
    message = str(caught.value)
    assert "'upper_bound'" in message
    assert "received 0.0" in message
    assert "'n_views' must divide the 5 rows; received 2" in message
    with pytest.raises(ConfigError, match="Did you mean 'cosine'"):
        soft_assignments(torch.zeros(5, 2), 0.5, 0.1, "cosin")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least 2 samples; received 1"):
        soft_assignments(torch.zeros(1, 2), 0.5, 0.1)
    with pytest.raises(ConfigError, match="between 0 and 1; received 2"):
        distance_quantile(torch.zeros(5, 2), 2)
