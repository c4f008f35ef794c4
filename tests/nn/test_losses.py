from __future__ import annotations

import math

import pytest
import torch

from affectrum.nn.losses import AutomaticWeighting


def test_automatic_weighting_is_the_written_formula() -> None:
    weighting = AutomaticWeighting(2)
    with torch.no_grad():
        weighting.scales.copy_(torch.tensor([2.0, 0.5]))
    total = weighting(torch.tensor(3.0), torch.tensor(0.25))
    expected = 3 / (2 * 4) + math.log(5) + 0.25 / (2 * 0.25) + math.log(1.25)
    assert total.item() == pytest.approx(expected, rel=1e-6)


def test_automatic_weighting_starts_at_one_and_learns() -> None:
    weighting = AutomaticWeighting(2)
    assert weighting.scales.tolist() == [1.0, 1.0]
    weighting(torch.tensor(4.0), torch.tensor(0.0)).backward()
    # d/dp: -L / p^3 + 2p / (1 + p^2) = -4 + 1 and 0 + 1
    assert weighting.scales.grad.tolist() == pytest.approx([-3.0, 1.0])
    with pytest.raises(ValueError, match="Expected 2 losses; received 1"):
        weighting(torch.tensor(1.0))
