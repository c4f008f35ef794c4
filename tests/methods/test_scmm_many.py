"""Many fine-tunings at once against one by one."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from affectrum.errors import ConfigError
from affectrum.methods.scmm import finetuning_many
from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.estimator import SCMM
from affectrum.methods.scmm.finetuning import SCMMClassifier, make_classifier
from affectrum.methods.scmm.finetuning_many import train_many
from affectrum.methods.scmm.pretraining import make_network
from affectrum.methods.scmm.stacked import StackedAdam, StackedClassifier, can_stack
from affectrum.protocols.access import Access, Grant
from affectrum.training.loop import (
    ClassifierSettings,
    EpochRecord,
    make_adam,
    train_classifier,
)
from affectrum.windows import Windows

BETAS, DECAY = (0.9, 0.99), 3e-4
CLASSES = ("negative", "neutral", "positive")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """All subjects in one group; test_scmm_side_by_side.py has several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def classifiers(
    sizes: list[int], dtype: torch.dtype = torch.float64, n_bands: int = 5, **changes: object
) -> tuple[list[SCMMClassifier], list[torch.Tensor], list[torch.Tensor]]:
    config = SCMMConfig(width=16, **changes)
    network = make_network(6, n_bands, 16, 0)
    # running statistics that differ from a new network's
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.add_(0.3)
    made = [
        make_classifier(copy.deepcopy(network), 3, config, seed).to(dtype)
        for seed in range(len(sizes))
    ]
    generator = torch.Generator().manual_seed(1)
    xs = [torch.randn(n, 6, n_bands, generator=generator, dtype=dtype) for n in sizes]
    ys = [torch.randint(0, 3, (n,), generator=generator) for n in sizes]
    return made, xs, ys


def one_by_one(
    made: list[SCMMClassifier],
    xs: list[torch.Tensor],
    ys: list[torch.Tensor],
    settings: ClassifierSettings,
    held: list | None = None,
) -> list[list[EpochRecord]]:
    records = []
    for number, (classifier, x, y) in enumerate(zip(made, xs, ys, strict=True)):
        adam = {"learning_rate": settings.learning_rate, "betas": BETAS, "weight_decay": DECAY}
        optimizers = [make_adam(list(classifier.head.parameters()), **adam)]
        if not classifier.freeze_encoder:
            optimizers.insert(0, make_adam(list(classifier.network.encoder.parameters()), **adam))
        records.append(
            train_classifier(
                classifier,
                x,
                y,
                optimizers,
                settings,
                seed=10 + number,
                validation=None if held is None else held[number],
            )
        )
    return records


def at_once(
    made: list[SCMMClassifier],
    xs: list[torch.Tensor],
    ys: list[torch.Tensor],
    settings: ClassifierSettings,
    **further: object,
) -> list[list[EpochRecord]]:
    seeds = [10 + number for number in range(len(xs))]
    return train_many(
        made, xs, ys, settings, betas=BETAS, weight_decay=DECAY, seeds=seeds, **further
    )


def assert_alike(
    one: list[SCMMClassifier], other: list[SCMMClassifier], tolerance: float = 1e-10
) -> None:
    for first, second in zip(one, other, strict=True):
        state, again = first.state_dict(), second.state_dict()
        assert list(state) == list(again)
        for name, value in state.items():
            torch.testing.assert_close(
                again[name],
                value,
                rtol=tolerance,
                atol=tolerance,
                msg=name,
            )


EQUAL, UNEQUAL = [64, 64, 64], [100, 33, 64, 97, 2]


@pytest.mark.parametrize("sizes", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"zero_grad": False},
        {"keep": "best-train-accuracy"},
        {"schedule": "cosine-by-loss", "schedule_all": False},
        {"schedule": "constant"},
        {"max_steps": 6},
    ],
    ids=lambda changes: "-".join(changes) or "plain",
)
def test_weights_and_records_are_those_of_one_by_one(sizes: list[int], changes: dict) -> None:
    settings = ClassifierSettings(epochs=3, batch_size=32, learning_rate=5e-3, **changes)
    made, xs, ys = classifiers(sizes)
    again = copy.deepcopy(made)
    expected = one_by_one(made, xs, ys, settings)
    found = at_once(again, xs, ys, settings)
    assert_alike(made, again)
    for ours, theirs in zip(found, expected, strict=True):
        for mine, plain in zip(ours, theirs, strict=True):
            assert mine.loss == pytest.approx(plain.loss, rel=1e-10)
            assert mine.train_accuracy == plain.train_accuracy
            assert mine.learning_rate == pytest.approx(plain.learning_rate, rel=1e-10)


@pytest.mark.parametrize("n_bands", [4, 5, 7])
def test_any_number_of_bands(n_bands: int) -> None:
    settings = ClassifierSettings(epochs=2, batch_size=16)
    made, xs, ys = classifiers([40, 30], n_bands=n_bands)
    again = copy.deepcopy(made)
    one_by_one(made, xs, ys, settings)
    at_once(again, xs, ys, settings)
    assert_alike(made, again)


def test_a_frozen_encoder_stays_as_it_is() -> None:
    settings = ClassifierSettings(epochs=2, batch_size=32)
    made, xs, ys = classifiers(UNEQUAL, freeze_encoder=True)
    before = copy.deepcopy(made)
    again = copy.deepcopy(made)
    one_by_one(made, xs, ys, settings)
    at_once(again, xs, ys, settings)
    assert_alike(made, again)
    for old, new in zip(before, again, strict=True):
        for name, value in old.network.state_dict().items():
            assert torch.equal(new.network.state_dict()[name], value)


def test_float32_differs_by_rounding_only() -> None:
    settings = ClassifierSettings(epochs=1, batch_size=32)
    made, xs, ys = classifiers(UNEQUAL, torch.float32)
    again = copy.deepcopy(made)
    one_by_one(made, xs, ys, settings)
    at_once(again, xs, ys, settings)
    # a single step of Adam turns the rounding of a gradient near zero into a step of full size
    assert_alike(made, again, tolerance=5e-3)


def test_validation_keeps_each_subjects_own_epoch() -> None:
    settings = ClassifierSettings(epochs=4, batch_size=16, learning_rate=0.02)
    made, xs, ys = classifiers([60, 48, 36])
    again = copy.deepcopy(made)

    def held(which: list[SCMMClassifier]) -> list:
        def predict(classifier: SCMMClassifier, x: torch.Tensor) -> np.ndarray:
            with torch.no_grad():
                return classifier(x).argmax(dim=1).numpy()

        return [
            (lambda c=classifier, x=x: predict(c, x[:20].flip(1)), y[:20].numpy())
            for classifier, x, y in zip(which, xs, ys, strict=True)
        ]

    expected = one_by_one(made, xs, ys, settings, held(made))
    found = at_once(again, xs, ys, settings, validations=held(again))
    assert_alike(made, again)
    assert [[r.validation for r in rows] for rows in found] == [
        [r.validation for r in rows] for rows in expected
    ]


def test_groups_of_few_subjects_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ClassifierSettings(epochs=2, batch_size=32)
    made, xs, ys = classifiers(UNEQUAL)
    again = copy.deepcopy(made)
    seen: list[tuple[tuple[int, ...], int]] = []
    at_once(made, xs, ys, settings)
    monkeypatch.setattr(finetuning_many, "_GROUP_SUBJECTS", {"cpu": 2})
    at_once(again, xs, ys, settings, after_epoch=lambda n, e, _: seen.append((tuple(n), e)))
    assert_alike(made, again)
    assert [numbers for numbers, _ in seen] == [(0, 3)] * 2 + [(2, 1)] * 2 + [(4,)] * 2


def test_a_subject_does_not_depend_on_its_company() -> None:
    settings = ClassifierSettings(epochs=2, batch_size=32)
    made, xs, ys = classifiers([64, 50])
    other = copy.deepcopy(made)
    at_once(made, xs, ys, settings)
    at_once(other, [xs[0], 100 * xs[1]], [ys[0], ys[1].flip(0)], settings)
    assert_alike(made[:1], other[:1])


def test_afterwards_nobody_shares_memory() -> None:
    made, xs, ys = classifiers([32, 32])
    at_once(made, xs, ys, ClassifierSettings(epochs=1, batch_size=16))
    kept = copy.deepcopy(made[1].state_dict())
    with torch.no_grad():
        for value in made[0].state_dict().values():
            value.zero_()
    for name, value in made[1].state_dict().items():
        assert torch.equal(value, kept[name])
        assert value.is_contiguous()
    assert not any(classifier.training for classifier in made)


def test_adam_is_torchs_for_every_subject() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    ours = start.clone().requires_grad_()
    stacked = StackedAdam([ours], BETAS, DECAY)
    plain = [row.clone().requires_grad_() for row in start]
    optimizers = [torch.optim.Adam([p], lr=0.1, betas=BETAS, weight_decay=DECAY) for p in plain]
    for n_active in (3, 3, 1, 2, 3):
        gradient = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        ours.grad = gradient.clone()
        stacked.step(n_active, [0.1, 0.1, 0.1])
        for p, optimizer, row in list(zip(plain, optimizers, gradient, strict=True))[:n_active]:
            p.grad = row.clone()
            optimizer.step()
    torch.testing.assert_close(ours.detach(), torch.stack([p.detach() for p in plain]))


def test_what_cannot_be_stacked_is_known() -> None:
    made, _, _ = classifiers([8, 8])
    assert can_stack(made)
    assert not can_stack(classifiers([8], n_bands=40)[0])
    other, _, _ = classifiers([8], freeze_encoder=True)
    assert not can_stack([made[0], other[0]])
    stack = StackedClassifier(made)
    assert set(stack.trained) == set(stack.parameters)
    stack.release()


def test_too_few_windows_and_divergence_are_named() -> None:
    made, xs, ys = classifiers([32, 1])
    with pytest.raises(ConfigError, match="at least 2 windows; received 1"):
        at_once(made, xs, ys, ClassifierSettings(epochs=1))
    made, xs, ys = classifiers([32, 16])
    with pytest.raises(ConfigError, match="Training diverged"):
        at_once(made, [xs[0], xs[1] * float("nan")], ys, ClassifierSettings(epochs=1))


# ------------------------------------------------------------------------------- the method


def accesses() -> list[Access]:
    rng = np.random.default_rng(0)

    def windows(corpus: str, subject: int, n: int) -> Windows:
        table = pd.DataFrame(
            {
                "corpus": corpus,
                "subject": subject,
                "trial": np.arange(n) // 8 + 1,
                "window": np.arange(n) % 8,
                "start_s": (np.arange(n) % 8).astype(float),
            }
        )
        return Windows.from_arrays(
            rng.normal(size=(n, 6, 5)).astype(np.float32),
            table,
            sfreq=200.0,
            channels=("Fp1", "Fz", "F3", "Cz", "P3", "Oz"),
            bands="seed",
        )

    source = Grant(windows("SEED", 1, 96), rng.integers(0, 3, 96))
    return [
        Access(
            protocol="cross-corpus/calibrated",
            classes=CLASSES,
            source=source,
            calibration=Grant(windows("SEED-IV", subject, n), rng.integers(0, 3, n)),
            seed=5,
        )
        for subject, n in ((1, 40), (2, 24), (3, 40))
    ]


def test_fit_many_is_fit_of_each() -> None:
    given = accesses()
    method = SCMM(
        width=16,
        pretrain_steps=6,
        pretrain_batch=16,
        search=0,
        finetune_epochs=3,
        finetune_batch=16,
        device="cpu",
        learning_rate=1e-3,
    )
    pretrained = method.pretrain(given[0])
    epochs: list[list[np.ndarray]] = [[], [], []]
    test = given[0].source.windows  # any windows will do

    def observer(number: int):
        return lambda epoch, n_epochs, predict: epochs[number].append(predict(test))

    stages: list[tuple[str, int, int]] = []
    found = method.fit_many(
        given,
        observers=[observer(0), None, observer(2)],
        pretrained=[pretrained] * 3,
        progress=lambda *event: stages.append(event),
    )
    assert stages[-1] == ("fine-tuning", 3, 3)
    assert [len(kept) for kept in epochs] == [3, 0, 3]
    for number, (fitted, access) in enumerate(zip(found, given, strict=True)):
        alone = SCMM(method.config).fit(access, pretrained=pretrained)
        scores, expected = fitted.predict_proba(test), alone.predict_proba(test)
        np.testing.assert_allclose(scores, expected, atol=2e-3)
        assert (scores.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.97
        if epochs[number]:
            np.testing.assert_array_equal(epochs[number][-1], scores)
        assert len(fitted.history_) == 3
        assert fitted.classes_ == CLASSES
    assert not hasattr(method, "classes_")


def test_methods_without_a_way_of_their_own_fit_one_by_one() -> None:
    from affectrum.methods.registry import make_method

    given = accesses()
    method = make_method("svm", arm="calibration")
    assert not method.fits_many_at_once
    found = method.fit_many(given)
    for fitted, access in zip(found, given, strict=True):
        alone = make_method("svm", arm="calibration").fit(access)
        test = given[0].source.windows
        np.testing.assert_array_equal(fitted.predict_proba(test), alone.predict_proba(test))
