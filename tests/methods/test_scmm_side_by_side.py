"""Groups of subjects that are fine-tuned in threads of their own."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator

import pytest
import torch

from affectrum.errors import ConfigError
from affectrum.methods.scmm import finetuning_many
from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.finetuning import SCMMClassifier, make_classifier
from affectrum.methods.scmm.finetuning_many import train_many
from affectrum.methods.scmm.pretraining import make_network
from affectrum.training.loop import ClassifierSettings, EpochRecord

SIZES = [100, 33, 64, 97, 2]
Data = tuple[list[SCMMClassifier], list[torch.Tensor], list[torch.Tensor]]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def make_data() -> Data:
    network = make_network(6, 5, 16, 0)
    made = [
        make_classifier(copy.deepcopy(network), 3, SCMMConfig(width=16), seed).double()
        for seed in range(len(SIZES))
    ]
    generator = torch.Generator().manual_seed(1)
    xs = [torch.randn(n, 6, 5, generator=generator, dtype=torch.float64) for n in SIZES]
    ys = [torch.randint(0, 3, (n,), generator=generator) for n in SIZES]
    return made, xs, ys


def train(data: Data, threads: int, **further: object) -> list[list[EpochRecord]]:
    torch.set_num_threads(threads)
    settings = ClassifierSettings(epochs=3, batch_size=32, learning_rate=5e-3)
    return train_many(
        *data,
        settings,
        betas=(0.9, 0.99),
        weight_decay=3e-4,
        seeds=range(10, 10 + len(SIZES)),
        **further,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_weights_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    data = make_data()
    again = copy.deepcopy(data)
    expected = train(data, 1)
    seen: dict[int, list[int]] = {}
    names = set()

    def after(numbers: list[int], epoch: int, n_epochs: int) -> None:
        names.add(threading.get_ident())
        for number in numbers:
            assert not again[0][number].training
            seen.setdefault(number, []).append(epoch)

    found = train(again, threads, after_epoch=after)
    assert seen == {number: [1, 2, 3] for number in range(len(SIZES))}
    assert threading.get_ident() not in names
    assert torch.get_num_threads() == threads
    for one, other in zip(data[0], again[0], strict=True):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-9, atol=1e-9)
    for one, other in zip(expected, found, strict=True):
        assert [r.loss for r in other] == pytest.approx([r.loss for r in one], rel=1e-9)


def test_the_same_bits_at_every_call() -> None:
    states = []
    for _ in range(2):
        data = make_data()
        train(data, 2)
        states.append([classifier.state_dict() for classifier in data[0]])
    for one, other in zip(*states, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_first_fault_ends_all_groups() -> None:
    data = make_data()
    data[1][0][0] = float("nan")
    epochs = []
    waited = threading.Event()

    def after(numbers: list[int], epoch: int, n_epochs: int) -> None:
        epochs.append(epoch)
        waited.wait(1.0)  # time for the other group to fail

    with pytest.raises(ConfigError, match="Training diverged"):
        train(data, 2, after_epoch=after)
    assert max(epochs, default=0) < 3
    assert torch.get_num_threads() == 2
    assert not any(classifier.training for classifier in data[0])


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 17, 32, 123])
@pytest.mark.parametrize("side_by_side", [1, 2, 4])
def test_groups_are_alike_and_keep_all_threads_busy(n: int, side_by_side: int) -> None:
    workers = min(n, side_by_side)
    groups = finetuning_many._groups([torch.zeros(2, 1, 1)] * n, workers)
    assert sorted(number for group in groups for number in group) == list(range(n))
    sizes = [len(group) for group in groups]
    assert max(sizes) <= 8
    assert max(sizes) - min(sizes) <= 1
    assert len(groups) % workers == 0 or len(groups) == n
