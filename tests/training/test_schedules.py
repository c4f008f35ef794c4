from __future__ import annotations

import math

import pytest
import torch

from affectrum.errors import ConfigError
from affectrum.training.schedules import learning_rate


@pytest.mark.parametrize("end", [0.0, 1e-7])
def test_cosine_is_torchs_cosine_annealing(end: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5e-4)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=end)
    for epoch in range(20):
        assert learning_rate("cosine", 5e-4, epoch, 20, end=end) == pytest.approx(
            peer.get_last_lr()[0], rel=1e-9
        )
        optimizer.step()
        peer.step()


def test_constant_stays() -> None:
    assert {learning_rate("constant", 0.1, epoch, 7) for epoch in range(7)} == {0.1}


def test_cosine_by_loss_hardly_moves() -> None:
    # the released code's rates at 50 epochs: 4.994e-4 at loss 1.1, 5.0e-4 at loss 0.05
    assert learning_rate("cosine-by-loss", 5e-4, 1, 50, loss=1.1) == pytest.approx(
        4.994e-4, abs=5e-8
    )
    assert learning_rate("cosine-by-loss", 5e-4, 49, 50, loss=0.05) == pytest.approx(5e-4, abs=5e-8)
    assert learning_rate("cosine-by-loss", 5e-4, 0, 50) == 5e-4
    assert learning_rate("cosine-by-loss", 1.0, 3, 50, loss=25) == pytest.approx(0.5)


def test_ends() -> None:
    assert learning_rate("cosine", 1.0, 0, 10) == 1.0
    assert learning_rate("cosine", 1.0, 5, 10) == pytest.approx(0.5)
    assert math.isclose(learning_rate("cosine", 1.0, 10, 10), 0, abs_tol=1e-15)
    with pytest.raises(ConfigError, match="Did you mean 'cosine'"):
        learning_rate("cosin", 1.0, 0, 10)  # type: ignore[arg-type]
