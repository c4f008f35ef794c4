from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from affectrum.errors import ConfigError
from affectrum.training.loop import (
    ClassifierSettings,
    balanced_accuracy,
    epoch_batches,
    make_adam,
    train_classifier,
    train_steps,
)


def blobs(n: int = 120, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    centers = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0]])
    return centers[y] + 0.5 * torch.randn(n, 2, generator=generator), y


def linear(seed: int = 0) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(2, 3)


class RecordingSGD(torch.optim.SGD):
    """Plain gradient descent that keeps the learning rate of each step."""

    def __init__(self, parameters) -> None:
        super().__init__(parameters, lr=1.0)
        self.rates: list[float] = []

    def step(self, closure=None):
        self.rates.append(self.param_groups[0]["lr"])
        return super().step(closure)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_rate_follows_the_schedule_the_settings_name(schedule: str) -> None:
    x, y = blobs()
    network = linear()
    optimizer = RecordingSGD(network.parameters())
    settings = ClassifierSettings(epochs=8, batch_size=40, learning_rate=0.1, schedule=schedule)
    records = train_classifier(network, x, y, [optimizer], settings, seed=0)
    wanted = [
        0.1 if schedule == "constant" else 0.1 * (1 + math.cos(math.pi * epoch / 8)) / 2
        for epoch in range(8)
    ]
    assert [record.learning_rate for record in records] == pytest.approx(wanted)
    assert optimizer.rates == pytest.approx(np.repeat(wanted, 3))


def test_the_released_schedule_follows_the_loss_and_spares_the_classifier() -> None:
    x, y = blobs()
    first, second = linear(), nn.Linear(3, 3)
    network = nn.Sequential(first, second)
    optimizers = [RecordingSGD(first.parameters()), RecordingSGD(second.parameters())]
    settings = ClassifierSettings(
        epochs=5,
        batch_size=120,
        learning_rate=0.1,
        schedule="cosine-by-loss",
        schedule_all=False,
    )
    records = train_classifier(network, x, y, optimizers, settings, seed=0)
    expected = [0.1] + [
        0.1 * (1 + math.cos(math.pi * record.loss / 5)) / 2 for record in records[:-1]
    ]
    assert optimizers[0].rates == pytest.approx(expected)
    assert optimizers[1].rates == [0.1] * 5


def test_without_zero_grad_gradients_pile_up() -> None:
    x, y = blobs(60)
    pile, plain = linear(), linear()
    one = ClassifierSettings(epochs=3, batch_size=60, learning_rate=0.1, schedule="constant")
    train_classifier(plain, x, y, [torch.optim.SGD(plain.parameters(), lr=0.1)], one, seed=0)
    two = ClassifierSettings(
        epochs=3, batch_size=60, learning_rate=0.1, schedule="constant", zero_grad=False
    )
    train_classifier(pile, x, y, [torch.optim.SGD(pile.parameters(), lr=0.1)], two, seed=0)

    by_hand = linear()
    total = [torch.zeros_like(parameter) for parameter in by_hand.parameters()]
    for _ in range(3):
        loss = nn.functional.cross_entropy(by_hand(x), y)
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        total = [old + new for old, new in zip(total, gradients, strict=True)]
        with torch.no_grad():
            for parameter, gradient in zip(by_hand.parameters(), total, strict=True):
                parameter -= 0.1 * gradient
    for found, wanted in zip(pile.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(found, wanted)
    assert not torch.allclose(pile.weight, plain.weight, atol=1e-3)


def test_validation_keeps_the_first_best_epoch_and_last_the_last() -> None:
    x, y = blobs()
    scores = iter([0.2, 0.9, 0.9, 0.4])
    truth = np.array([0, 1] * 50)
    snapshots = []
    network = linear()

    def predict() -> np.ndarray:
        snapshots.append(network.weight.detach().clone())
        wrong = round((1 - next(scores)) * 50)
        predicted = truth.copy()
        predicted[: 2 * wrong] = 1 - predicted[: 2 * wrong]
        return predicted

    settings = ClassifierSettings(epochs=4, batch_size=30)
    optimizer = make_adam(list(network.parameters()), learning_rate=1e-2)
    records = train_classifier(
        network, x, y, [optimizer], settings, seed=0, validation=(predict, truth)
    )
    assert [record.validation for record in records] == pytest.approx([0.2, 0.9, 0.9, 0.4])
    assert torch.equal(network.weight, snapshots[1])

    last = linear()
    optimizer = make_adam(list(last.parameters()), learning_rate=1e-2)
    train_classifier(last, x, y, [optimizer], settings, seed=0)
    assert torch.equal(last.weight, snapshots[3])


def test_best_train_accuracy_goes_back_after_a_worse_epoch() -> None:
    x, y = blobs()
    network = linear()
    seen = []
    settings = ClassifierSettings(
        epochs=6, batch_size=30, learning_rate=3.0, schedule="constant", keep="best-train-accuracy"
    )
    records = train_classifier(
        network,
        x,
        y,
        [torch.optim.SGD(network.parameters(), lr=3.0)],
        settings,
        seed=0,
        after_epoch=lambda epoch, n: seen.append(network.weight.detach().clone()),
    )
    accuracies = [record.train_accuracy for record in records]
    best = int(np.argmax(accuracies))
    assert best < len(accuracies) - 1, "the example must get worse again for this test to tell"
    for later in seen[best:]:
        assert torch.equal(later, seen[best])


def test_epochs_share_the_budget_of_steps() -> None:
    x, y = blobs(300)
    network = linear()
    optimizer = RecordingSGD(network.parameters())
    settings = ClassifierSettings(epochs=10, batch_size=20, max_steps=40, learning_rate=0.1)
    train_classifier(network, x, y, [optimizer], settings, seed=0)
    assert len(optimizer.rates) == 40
    unlimited = RecordingSGD(network.parameters())
    settings = ClassifierSettings(epochs=10, batch_size=20, max_steps=1000, learning_rate=0.1)
    train_classifier(network, x, y, [unlimited], settings, seed=0)
    assert len(unlimited.rates) == 150


def test_epoch_batches_take_every_window_once_and_leave_none_alone() -> None:
    for n in (5, 64, 65, 129, 200):
        batches = epoch_batches(n, 64, None, seed=3, epoch=2)
        assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(n))
        assert min(len(batch) for batch in batches) > 1
    assert sum(len(batch) for batch in epoch_batches(200, 64, 2, 3, 2)) == 128


def test_the_classifier_is_in_evaluation_mode_for_the_observer() -> None:
    x, y = blobs()
    network = nn.Sequential(nn.BatchNorm1d(2), linear())
    modes = []
    settings = ClassifierSettings(epochs=2, batch_size=50)
    optimizer = make_adam(list(network.parameters()), learning_rate=1e-2)
    train_classifier(
        network, x, y, [optimizer], settings, seed=0,
        after_epoch=lambda epoch, n: modes.append((epoch, n, network.training)),
    )  # fmt: skip
    assert modes == [(1, 2, False), (2, 2, False)]
    assert not network.training


def test_balanced_accuracy_by_hand() -> None:
    y = np.array([0, 0, 0, 0, 2, 2])
    assert balanced_accuracy(y, np.array([0, 0, 0, 2, 2, 0])) == pytest.approx((0.75 + 0.5) / 2)


def test_divergence_and_too_little_data_are_named() -> None:
    x, y = blobs(10)
    network = linear()
    optimizer = make_adam(list(network.parameters()), learning_rate=1e-2)
    with pytest.raises(ConfigError, match="diverged"):
        train_classifier(
            network, x * float("nan"), y, [optimizer], ClassifierSettings(epochs=1), seed=0
        )
    with pytest.raises(ConfigError, match="received 1"):
        train_classifier(network, x[:1], y[:1], [optimizer], ClassifierSettings(), seed=0)


def noisy_run(n_steps: int, stop: int | None, checkpoint, fingerprint: str = "f"):
    network = linear(3)
    optimizer = make_adam(list(network.parameters()), learning_rate=1e-2, weight_decay=1e-3)

    def objective(step: int) -> torch.Tensor:
        if step == stop:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(16, 2, generator=generator)
        return network(x).square().mean()

    history = train_steps(
        objective,
        [network],
        optimizer,
        n_steps,
        rate=lambda step: 1e-2 / (1 + step),
        checkpoint=checkpoint,
        checkpoint_every=4,
        fingerprint=fingerprint,
        log_every=2,
    )
    return network, history


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path) -> None:
    whole, history = noisy_run(11, None, None)
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        noisy_run(11, 7, path)
    resumed, resumed_history = noisy_run(11, None, path)
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)
    assert history == resumed_history
    finished, _ = noisy_run(11, 0, path)  # nothing is left to do: step 0 is not run again
    assert torch.equal(whole.weight, finished.weight)
    with pytest.raises(ConfigError, match="another run"):
        noisy_run(11, None, path, fingerprint="g")
