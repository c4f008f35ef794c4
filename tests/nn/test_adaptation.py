from __future__ import annotations

import math

import pytest
import torch

from affectrum.nn.adaptation import BANDWIDTHS, multi_kernel_mmd, reverse_gradient, warm_up


def slow_mmd(first: torch.Tensor, second: torch.Tensor, widths: tuple[float, ...]) -> float:
    """The definition, pair by pair."""
    rows = [row.tolist() for row in (*first, *second)]

    def squared(a: list[float], b: list[float]) -> float:
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))

    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    scale = sum(squared(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    def mean_kernel(a: list[list[float]], b: list[list[float]]) -> float:
        values = [
            sum(math.exp(-squared(p, q) / (w * scale)) for w in widths) / len(widths)
            for p in a
            for q in b
        ]
        return sum(values) / len(values)

    n = len(first)
    a, b = rows[:n], rows[n:]
    return mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)


@pytest.mark.parametrize("widths", [(1.0,), BANDWIDTHS])
def test_mmd_is_its_definition_also_for_unequal_sizes(widths: tuple[float, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    second = torch.randn(7, 3, generator=generator, dtype=torch.float64) + 1
    expected = slow_mmd(first, second, widths)
    assert multi_kernel_mmd(first, second, widths).item() == pytest.approx(expected, rel=1e-12)


def test_mmd_is_zero_for_equal_samples_and_grows_with_the_shift() -> None:
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(6, 2)
    assert multi_kernel_mmd(x, x).item() == pytest.approx(0, abs=1e-15)
    values = [multi_kernel_mmd(x, x + shift).item() for shift in (0.1, 0.5, 2.0)]
    assert 0 < values[0] < values[1] < values[2]
    # all rows alike: no scale to speak of, and still a number with a gradient
    flat = torch.ones(3, 2, requires_grad=True)
    loss = multi_kernel_mmd(flat, torch.ones(3, 2))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(flat.grad).all()


def test_the_mmd_pulls_two_samples_together() -> None:
    first = torch.zeros(4, 1, dtype=torch.float64)
    second = torch.full((4, 1), 2.0, dtype=torch.float64, requires_grad=True)
    multi_kernel_mmd(first, second).backward()
    assert (second.grad > 0).all()  # a step against it goes towards 0


def test_reversal_changes_the_gradient_and_nothing_else() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    assert x.grad.tolist() == [-0.75, -0.75]


def test_warm_up_is_the_written_formula() -> None:
    assert warm_up(0.0) == 0.0
    assert warm_up(0.1) == pytest.approx((math.e - 1) / (math.e + 1))
    assert warm_up(1.0) == pytest.approx(math.tanh(5.0))
