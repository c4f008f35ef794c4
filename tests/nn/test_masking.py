from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.nn.masking import MASK_MODES, draw_mask, masked_views


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_half_is_masked_and_one_electrode_in_thirteen_wholly() -> None:
    mask = draw_mask((4000, 62, 5), generator())
    assert mask.double().mean() == pytest.approx(0.5, abs=0.003)
    # 0.9 * 0.5**5 + 0.1 * 0.5 = 0.078125
    assert mask.all(dim=2).double().mean() == pytest.approx(0.078125, abs=0.002)


@pytest.mark.parametrize(
    ("mode", "whole"),
    [("random", 0.5**5), ("channel", 0.5), ("hybrid", 0.078125), ("parallel", 0.078125)],
)
def test_share_of_wholly_masked_electrodes_by_mode(mode: str, whole: float) -> None:
    mask = draw_mask((4000, 31, 5), generator(), mode=mode)
    assert mask.all(dim=2).double().mean() == pytest.approx(whole, abs=0.012)
    assert mask.double().mean() == pytest.approx(0.5, abs=0.012)


def test_parallel_draws_once_per_sample_and_hybrid_once_per_electrode() -> None:
    shape = (2000, 40, 5)
    uniform_rows = {}
    for mode in ("parallel", "hybrid"):
        mask = draw_mask(shape, generator(1), mode=mode, threshold=0.5)
        all_or_nothing = mask.all(dim=2) | ~mask.any(dim=2)
        # a sample whose 40 electrodes are all masked all-or-nothing
        uniform_rows[mode] = all_or_nothing.all(dim=1).double().mean()
    assert uniform_rows["parallel"] == pytest.approx(0.5, abs=0.04)
    assert uniform_rows["hybrid"] == 0


@given(
    mode=st.sampled_from(MASK_MODES),
    ratio=st.sampled_from([0.0, 1.0]),
    n_masked=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=30, deadline=None)
def test_views_never_alias_the_original(mode: str, ratio: float, n_masked: int, seed: int) -> None:
    x = torch.randn(6, 4, 5, generator=generator(seed))
    before = x.clone()
    views = masked_views(x, generator(seed), n_masked=n_masked, mode=mode, ratio=ratio, value=7.0)
    assert views.shape == (6 * n_masked, 4, 5)
    expected = torch.full_like(views, 7.0) if ratio == 1 else x.repeat(n_masked, 1, 1)
    assert torch.equal(views, expected)
    views.zero_()
    assert torch.equal(x, before)


def test_masked_entries_hold_the_value_and_the_others_are_untouched() -> None:
    x = torch.randn(50, 8, 5, generator=generator())
    per_column = torch.arange(40.0).view(8, 5)
    views = masked_views(x, generator(3), n_masked=2, value=per_column)
    mask = draw_mask((100, 8, 5), generator(3))
    again = x.repeat(2, 1, 1)
    assert torch.equal(views[~mask], again[~mask])
    assert torch.equal(views[mask], per_column.expand(100, 8, 5)[mask])
    assert not torch.equal(views[:50], views[50:])  # each copy has a mask of its own


def test_masks_follow_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    one = draw_mask((5, 4, 3), generator(9))
    torch.manual_seed(2)
    assert torch.equal(one, draw_mask((5, 4, 3), generator(9)))
    assert not torch.equal(one, draw_mask((5, 4, 3), generator(10)))


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ConfigError, match=r"'mask_ratio'.*received 1\.5"):
        draw_mask((2, 2, 2), generator(), ratio=1.5)
    with pytest.raises(ConfigError, match=r"Did you mean 'hybrid'"):
        draw_mask((2, 2, 2), generator(), mode="hybird")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least 1; received 0"):
        masked_views(torch.zeros(2, 2, 2), generator(), n_masked=0)
