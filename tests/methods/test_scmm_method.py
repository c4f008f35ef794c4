from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import affectrum as af
from affectrum.errors import AccessError, BundleError, ConfigError
from affectrum.methods.registry import restore_method
from affectrum.methods.scmm import pretraining, search
from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.estimator import SCMM
from affectrum.protocols.access import Access, Grant
from affectrum.training.schedules import learning_rate
from affectrum.windows import Windows

CLASSES = ("negative", "neutral", "positive")
CHANNELS = ("Fp1", "Fz", "F3", "Cz", "P3", "Oz")
QUICK = {
    "pretrain_steps": 12,
    "pretrain_batch": 32,
    "finetune_epochs": 3,
    "finetune_batch": 32,
    "width": 16,
    "search": 0,
    "device": "cpu",
}


def simulated(
    n_subjects: int, corpus: str, seed: int, n_classes: int = 3, n_trials: int = 6
) -> tuple[Windows, np.ndarray]:
    """Windows with a class pattern, a subject's offset, a trial's offset and noise."""
    rng = np.random.default_rng(seed)
    pattern = np.random.default_rng(99).normal(size=(n_classes, 6, 5))
    x, rows, y = [], [], []
    for subject in range(1, n_subjects + 1):
        of_subject = rng.normal(size=(6, 5))
        for trial in range(1, n_trials + 1):
            label = trial % n_classes
            offset = pattern[label] + 0.5 * of_subject + 0.3 * rng.normal(size=(6, 5))
            x.append(offset + rng.normal(size=(12, 6, 5)))
            y += [label] * 12
            rows += [
                {"corpus": corpus, "subject": subject, "trial": trial, "window": w, "start_s": w}
                for w in range(12)
            ]
    windows = Windows.from_arrays(
        np.concatenate(x).astype(np.float32),
        pd.DataFrame(rows).astype({"start_s": float}),
        sfreq=200.0,
        channels=CHANNELS,
        bands="seed",
    )
    return windows, np.array(y, dtype=np.int64)


@pytest.fixture(scope="module")
def data() -> dict[str, tuple[Windows, np.ndarray]]:
    target, y = simulated(1, "SEED-IV", 2)
    first = (target.table["trial"] <= 3).to_numpy()
    return {
        "source": simulated(3, "SEED", 1),
        "calibration": (target.select(first), y[first]),
        "test": (target.select(~first), y[~first]),
    }


def access_to(data: dict, *roles: str, **changes: object) -> Access:
    protocol = "cross-corpus/calibrated" if "calibration" in roles else "cross-corpus/zero-shot"
    grants = {role: Grant(*data[role]) for role in roles}
    return Access(**{"protocol": protocol, "classes": CLASSES, **grants, **changes})


def quick(**params: object) -> SCMM:
    return SCMM(**{**QUICK, **params})


def same_arrays(one: dict, other: dict) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[key], other[key]) for key in one)


def test_calibrated_zero_shot_and_leave_one_subject_out_learn(data: dict) -> None:
    test, y = data["test"]
    for access in (
        access_to(data, "source", "calibration"),
        access_to(data, "source"),
        access_to(data, "source", protocol="leave-one-subject-out"),
    ):
        method = quick(pretrain_steps=60, finetune_epochs=20, width=32, learning_rate=2e-3)
        assert method.fit(access) is method
        scores = method.predict_proba(test)
        assert scores.shape == (len(test), 3)
        assert scores.dtype == np.float64
        assert np.allclose(scores.sum(axis=1), 1, atol=1e-12)
        assert (scores >= 0).all()
        assert (scores.argmax(axis=1) == y).mean() > 0.6, access.protocol
        assert method.classes_ == CLASSES


@pytest.mark.parametrize("preset", ["strict", "paper", "released"])
def test_same_seed_same_scores_whatever_the_global_state(data: dict, preset: str) -> None:
    access = access_to(data, "source", "calibration")
    params = SCMM.preset_params(preset)
    scores = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        method = quick(**{**params, **QUICK, "search": 2, "search_steps": 3}).fit(access)
        assert torch.equal(torch.get_rng_state(), before)
        scores.append(method.predict_proba(data["test"][0]))
    assert np.array_equal(scores[0], scores[1])
    other = quick(**{**params, **QUICK, "seed": 1}).fit(access)
    assert not np.array_equal(scores[0], other.predict_proba(data["test"][0]))


def test_runs_of_other_seeds_pretrain_anew(data: dict) -> None:
    # The spread over a plan's seeds is that of the whole training, not of fine-tuning alone.
    first, second = (access_to(data, "source", "calibration", seed=seed) for seed in (0, 1))
    one, two = quick().pretrain(first), quick().pretrain(second)
    assert one is not None
    assert two is not None
    assert one.fingerprint != two.fingerprint
    assert not same_arrays(one.arrays, two.arrays)
    with pytest.raises(ConfigError, match="seed"):
        quick().fit(second, pretrained=one)
    scratch = [quick(pretraining=False, finetune_epochs=0).fit(a) for a in (first, second)]
    assert not same_arrays(scratch[0].state()[0], scratch[1].state()[0])


def test_folds_with_one_source_share_pretraining(data: dict) -> None:
    method = quick()
    one = access_to(data, "source", "calibration")
    x, y = data["calibration"]
    other = access_to({**data, "calibration": (x.with_x(x.x + 1), y)}, "source", "calibration")
    shared = method.pretrain(one)
    assert shared is not None
    assert shared.fingerprint == method.pretrain_fingerprint(one)
    assert method.pretrain_fingerprint(one) == method.pretrain_fingerprint(other)
    again = method.pretrain(other)
    assert again is not None
    assert same_arrays(shared.arrays, again.arrays)

    alone = quick().fit(one).predict_proba(data["test"][0])
    given = quick().fit(one, pretrained=shared).predict_proba(data["test"][0])
    assert np.array_equal(alone, given)

    fine = quick(finetune_epochs=5, device="auto")
    assert fine.pretrain_fingerprint(one) == shared.fingerprint
    for change in ({"seed": 1}, {"mask_ratio": 0.4}, {"pretrain_steps": 13}, {"temperature": 1.0}):
        assert quick(**change).pretrain_fingerprint(one) != shared.fingerprint
    with pytest.raises(ConfigError, match="other source windows, parameters or seed"):
        quick(seed=1).fit(one, pretrained=shared)
    with pytest.raises(ConfigError, match="from scratch"):
        quick(pretraining=False).fit(one, pretrained=shared)


def test_pretraining_never_touches_target_windows(data: dict) -> None:
    one = access_to(data, "source", "calibration")
    found = quick().pretrain(one)
    without = quick().pretrain(access_to(data, "source"))
    assert found is not None
    assert without is not None
    assert same_arrays(found.arrays, without.arrays)


def test_other_class_sets_need_calibration_labels(data: dict) -> None:
    four = ("neutral", "sad", "fear", "happy")
    access = access_to(data, "source", source_classes=four)
    with pytest.raises(AccessError, match=r"neutral, sad, fear, happy.*cross-corpus/calibrated"):
        quick(pretrain_steps=10**6).fit(access)  # refused before any training
    both = access_to(data, "source", "calibration", source_classes=four)
    assert quick().fit(both).classes_ == CLASSES
    with pytest.raises(AccessError, match="one class scheme"):
        quick(finetune_on="both").fit(both)


def test_missing_grants_are_refused_before_training(data: dict) -> None:
    unlabelled = Grant(data["source"][0], None)
    access = Access(protocol="stand-in", classes=CLASSES, source=unlabelled)
    with pytest.raises(AccessError, match="calibration_labels or source_signals"):
        quick(pretrain_steps=10**6).fit(access)
    with pytest.raises(AccessError, match="does not grant"):
        quick(finetune_on="calibration").fit(access_to(data, "source"))
    assert SCMM.supports("cross-corpus/calibrated")
    assert SCMM.supports("cross-corpus/zero-shot")
    assert SCMM.supports("leave-one-subject-out")


@pytest.mark.parametrize("n_classes", [2, 4])
def test_any_number_of_classes(n_classes: int) -> None:
    names = ("a", "b", "c", "d")[:n_classes]
    windows, y = simulated(2, "SEED-IV", 3, n_classes=n_classes, n_trials=8)
    method = quick().fit(Access(protocol="p", classes=names, source=Grant(windows, y)))
    assert method.predict_proba(windows).shape == (len(windows), n_classes)


def test_the_observer_sees_every_epoch_and_changes_nothing(data: dict) -> None:
    access = access_to(data, "source", "calibration")
    test = data["test"][0]
    seen: list[tuple[int, int, np.ndarray]] = []
    watched = quick().fit(
        access, observer=lambda epoch, n, predict: seen.append((epoch, n, predict(test)))
    )
    assert [(epoch, n) for epoch, n, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert np.array_equal(seen[-1][2], watched.predict_proba(test))
    assert not np.array_equal(seen[0][2], seen[-1][2])
    alone = quick().fit(access).predict_proba(test)
    assert np.array_equal(alone, watched.predict_proba(test))


def test_validation_selects_an_epoch(data: dict) -> None:
    test, y = data["test"]
    access = access_to(data, "source", "calibration", validation=Grant(test, y))
    seen = []
    method = quick(finetune_epochs=8).fit(
        access, observer=lambda epoch, n, predict: seen.append(predict(test))
    )
    scores = [record.validation for record in method.history_]
    assert all(score is not None for score in scores)
    best = int(np.argmax(scores))
    assert np.array_equal(method.predict_proba(test), seen[best])


def test_progress_tells_stages(data: dict) -> None:
    stages: list[tuple[str, int, int]] = []
    quick(search=2, search_steps=2).fit(
        access_to(data, "source", "calibration"), progress=lambda *call: stages.append(call)
    )
    assert ("search", 2, 2) in stages
    assert ("pre-training", 12, 12) in stages
    assert stages[-1] == ("fine-tuning", 3, 3)


def test_state_round_trip_and_no_shared_memory(data: dict) -> None:
    test = data["test"][0]
    method = quick().fit(access_to(data, "source", "calibration"))
    arrays, meta = method.state()
    scores = method.predict_proba(test)
    again = restore_method(arrays, meta)
    assert isinstance(again, SCMM)
    assert np.array_equal(again.predict_proba(test), scores)
    assert np.array_equal(again.embed(test), method.embed(test))
    for array in arrays.values():
        array[...] = 0
    assert np.array_equal(method.predict_proba(test), scores)
    assert np.array_equal(again.predict_proba(test), scores)
    arrays.pop(next(name for name in arrays if name.startswith("head")))
    with pytest.raises(BundleError, match="don't fit"):
        restore_method(arrays, meta)
    json.dumps(meta)


def test_prediction_does_not_depend_on_company_and_teaches_nothing(data: dict) -> None:
    test = data["test"][0]
    method = quick().fit(access_to(data, "source", "calibration"))
    before = method.state()[0]
    whole = method.predict_proba(test)
    single = np.concatenate(
        [method.predict_proba(test.select([row])) for row in range(0, len(test), 7)]
    )
    assert np.allclose(single, whole[::7], atol=1e-6)
    shifted = test.with_x(test.x + 100)
    method.predict_proba(shifted)
    assert same_arrays(before, method.state()[0])  # batch statistics included
    assert method.predict_proba(test.select([])).shape == (0, 3)


def test_embeddings_before_and_after(data: dict) -> None:
    test = data["test"][0]
    method = quick().fit(access_to(data, "source", "calibration"))
    after, before = method.embed(test), method.embed(test, stage="pretrained")
    assert after.shape == before.shape == (len(test), 3 * 16)
    assert not np.allclose(after, before)
    frozen = quick(freeze_encoder=True).fit(access_to(data, "source", "calibration"))
    assert np.array_equal(frozen.embed(test), frozen.embed(test, stage="pretrained"))
    assert len({record.loss for record in frozen.history_}) == 3  # the classifier did learn
    restored = restore_method(*method.state())
    with pytest.raises(ConfigError, match="stage='finetuned'"):
        restored.embed(test, stage="pretrained")


def test_unfit_windows_are_named(data: dict) -> None:
    test = data["test"][0]
    access = access_to(data, "source", "calibration")
    method = quick()
    with pytest.raises(ConfigError, match="not fitted"):
        method.predict_proba(test)
    method.fit(access)
    renamed = Windows.from_arrays(
        test.x, test.table, sfreq=200.0, channels=tuple(reversed(CHANNELS)), bands="seed"
    )
    with pytest.raises(ConfigError, match="other electrodes, or another order"):
        method.predict_proba(renamed)
    with pytest.raises(ConfigError, match="6 electrodes x 5 bands; received 6 x 4"):
        method.predict_proba(test.with_x(test.x[:, :, :4]))
    broken = test.x.copy()
    broken[3, 2, 1] = np.nan
    with pytest.raises(ConfigError, match=r"1 of 36 windows hold NaN or Inf"):
        method.predict_proba(test.with_x(broken))
    raw = Windows.from_arrays(test.x, test.table, sfreq=200.0, channels=CHANNELS, kind="raw")
    with pytest.raises(ConfigError, match="band features"):
        method.predict_proba(raw)
    narrow = data["source"][0]
    other = access_to(
        {**data, "source": (narrow.with_x(narrow.x[:, :, :3]), data["source"][1])},
        "source",
        "calibration",
    )
    with pytest.raises(ConfigError, match="one recipe"):
        quick(pretrain_steps=10**6).fit(other)


def test_pretraining_resumes_bit_for_bit_after_a_kill(data: dict, tmp_path) -> None:
    access = access_to(data, "source")
    whole = quick(pretrain_steps=220, n_masked=2, sampler="blocks").pretrain(access)
    assert whole is not None
    path = tmp_path / "pretrain.pt"

    class KilledError(Exception):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        if done == 212:
            raise KilledError

    method = quick(pretrain_steps=220, n_masked=2, sampler="blocks")
    with pytest.raises(KilledError):
        method.pretrain(access, checkpoint=path, progress=kill)
    steps: list[int] = []
    resumed = method.pretrain(
        access, checkpoint=path, progress=lambda stage, done, total: steps.append(done)
    )
    assert resumed is not None
    assert steps[0] == 201  # the checkpoint of step 200 was used
    assert same_arrays(whole.arrays, resumed.arrays)
    assert whole.meta == resumed.meta


def test_the_pretraining_rate_follows_its_schedule(
    data: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: dict[str, list[float]] = {}
    for unit in ("step", "epoch"):
        rates: list[float] = []
        step_of = torch.optim.Adam.step

        def step(self, closure=None, rates=rates, step_of=step_of):
            rates.append(self.param_groups[0]["lr"])
            assert len({group["lr"] for group in self.param_groups}) == 1
            return step_of(self, closure)

        with monkeypatch.context() as patch:
            patch.setattr(torch.optim.Adam, "step", step)
            quick(schedule_unit=unit, pretrain_steps=14).pretrain(access_to(data, "source"))
        used[unit] = rates
    per_epoch = -(-len(data["source"][0]) // 32)
    assert used["step"] == pytest.approx(
        [learning_rate("cosine", 5e-4, step, 14) for step in range(14)]
    )
    assert used["epoch"] == pytest.approx(
        [learning_rate("cosine", 5e-4, step // per_epoch, 2) for step in range(14)]
    )


def test_the_released_subset_and_mask_value() -> None:
    windows, y = simulated(3, "SEED", 1)
    access = Access(protocol="p", classes=CLASSES, source=Grant(windows, y))
    device = torch.device("cpu")
    part = pretraining.make_pool(access, SCMMConfig(pretrain_windows=50), device)
    assert part.x.shape == (50, 6, 5)
    same = pretraining.make_pool(access, SCMMConfig(pretrain_windows=50), device)
    assert torch.equal(part.x, same.x)
    every = pretraining.make_pool(access, SCMMConfig(), device)
    assert torch.equal(every.x, torch.from_numpy(windows.x))
    run = pretraining.run_pretraining(
        SCMMConfig(width=16), every, pretraining.resolve_settings(SCMMConfig(), every), n_steps=1
    )
    assert torch.allclose(
        run.objective.mask_value, torch.from_numpy(windows.x.mean(axis=0, dtype=np.float64)).float()
    )


def test_weight_decay_of_the_learnt_loss_weights_is_a_switch(
    data: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = []
    make = pretraining.make_adam

    def recording(parameters, **options):
        groups.append([group.get("weight_decay") for group in parameters])
        return make(parameters, **options)

    monkeypatch.setattr(pretraining, "make_adam", recording)
    for decays in (True, False):
        quick(weighting_decay=decays, pretrain_steps=1).pretrain(access_to(data, "source"))
    assert groups == [[None, 3e-4], [None, 0.0]]


def test_open_settings_are_chosen_on_held_out_source_trials(
    data: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = access_to(data, "source")
    seen: list[set[int]] = []

    def probe(embed, inside, outside, seed):
        seen.append((set(inside.trials.tolist()), set(outside.trials.tolist())))
        return np.full(5, [0.4, 0.7, 0.7][len(seen) - 1])

    monkeypatch.setattr(search, "linear_probe", probe)
    found = quick(search=3, search_steps=2).pretrain(access)
    assert found is not None
    assert len(seen) == 3
    for inside, outside in seen:
        assert inside
        assert outside
        assert not inside & outside
        assert inside | outside == set(range(18))
    tried = found.meta["search"]
    assert [row["score"] for row in tried] == [0.4, 0.7, 0.7]
    assert found.meta["settings"]["temperature"] == tried[1]["temperature"]
    assert found.meta["settings"]["quantile"] == tried[1]["sharpness"]

    fixed = quick(search=3, search_steps=2, temperature=0.3, sharpness=0.04, upper_bound=0.6)
    pretrained = fixed.pretrain(access)
    assert pretrained is not None
    assert pretrained.meta["search"] == []  # nothing is open
    assert pretrained.meta["settings"]["temperature"] == 0.3


def test_without_source_labels_the_pretraining_tasks_decide(data: dict) -> None:
    source = Grant(data["source"][0], None)
    access = Access(
        protocol="p", classes=CLASSES, source=source, calibration=Grant(*data["calibration"])
    )
    found = quick(search=2, search_steps=20).fit(access).pretrained_
    assert found is not None
    rows = found.meta["search"]
    assert len(rows) == 2
    assert all("pre-training tasks" in row["score_name"] for row in rows)
    assert all(-2.5 < row["score"] < 0 for row in rows)


def test_the_linear_probe_finds_what_is_linear() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = torch.from_numpy(np.eye(3)[y] + 0.1 * rng.normal(size=(300, 3)))[:, :, None]
    trials = np.arange(300) // 10
    inside = search.Pool(x[:200], trials[:200], y[:200])
    outside = search.Pool(x[200:], trials[200:], y[200:])
    sharp = search.linear_probe(lambda v: v.flatten(1), inside, outside, 0)
    assert sharp.shape == (10,)
    assert sharp.min() > 0.99
    noise = torch.from_numpy(rng.normal(size=(300, 3)))
    blind = search.linear_probe(lambda v: noise[: len(v)], inside, outside, 0)
    assert blind.mean() == pytest.approx(1 / 3, abs=0.15)


def test_the_first_candidate_stays_unless_trials_speak_against_it() -> None:
    luck = np.array([0.5, 0.6, 0.4, 0.5])
    assert search.first_within_error([luck, luck + np.array([0.3, -0.3, 0.3, -0.2])]) == 0
    assert search.first_within_error([luck, luck + np.array([0.1, 0.12, 0.1, 0.09])]) == 1
    assert search.first_within_error([luck, luck, luck]) == 0
    assert search.first_within_error([luck, luck + 0.2, luck + 0.2]) == 1
    assert search.first_within_error([np.array([0.1]), np.array([0.2])]) == 1


def test_the_windows_themselves_are_never_changed(data: dict) -> None:
    copies = {role: windows.x.copy() for role, (windows, _) in data.items()}
    for preset in ("strict", "released"):
        params = {**SCMM.preset_params(preset), **QUICK}
        SCMM(**params).fit(access_to(data, "source", "calibration"))
    for role, (windows, _) in data.items():
        assert np.array_equal(windows.x, copies[role])


def test_read_only_and_memory_mapped_windows_work(data: dict, tmp_path) -> None:
    source, y = data["source"]
    np.save(tmp_path / "x.npy", source.x)
    mapped = source.with_x(np.load(tmp_path / "x.npy", mmap_mode="r"))
    access = access_to({**data, "source": (mapped, y)}, "source", "calibration")
    found = quick().fit(access).predict_proba(data["test"][0])
    plain = quick().fit(access_to(data, "source", "calibration")).predict_proba(data["test"][0])
    assert np.array_equal(found, plain)


def test_public_names_resolve() -> None:
    scmm = af.methods.scmm
    assert scmm.SCMM is SCMM
    for name in scmm.__all__:
        assert getattr(scmm, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        scmm.nothing  # noqa: B018
    assert isinstance(af.make_method("scmm", preset="paper", transfer="SEED->DEAP"), SCMM)


def test_listing_scmm_imports_no_torch() -> None:
    code = (
        "import sys; from affectrum.methods.registry import method_info, make_method;"
        "method_info('scmm'); make_method('scmm'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
