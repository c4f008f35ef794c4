from __future__ import annotations

import pytest

from affectrum.errors import ConfigError
from affectrum.methods.registry import make_method, method_info, method_names
from affectrum.methods.scmm.config import OPEN_SETTINGS, PRETRAIN_FIELDS, SCMMConfig
from affectrum.methods.scmm.estimator import SCMM


def test_strict_is_the_default_and_masks_correctly() -> None:
    config = make_method("scmm").config
    assert config == SCMMConfig()
    assert not config.mask_alias
    assert config.finetune_zero_grad
    assert config.pretrain_schedule == config.finetune_schedule == "cosine"
    assert config.pretrain_windows is None
    assert config.pretrain_steps == 2000
    assert config.sharpness_rule == "quantile"
    assert config.mask_value == "mean"
    assert (config.upper_bound, config.sharpness, config.temperature) == (None, None, None)
    assert config.reported_epoch == config.finetune_keep == "last"


@pytest.mark.parametrize(
    ("transfer", "alpha", "tau", "temperature", "epochs"),
    [
        ("SEED->SEED-IV", 0.75, 0.5, 0.5, 50),
        ("SEED-IV->SEED", 0.5, 0.05, 0.5, 50),
        ("DEAP->SEED", 0.5, 0.05, 0.5, 50),
        ("SEED->DEAP", 0.5, 0.2, 0.05, 500),
    ],
)
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_published_settings_of_the_four_transfers(
    preset: str, transfer: str, alpha: float, tau: float, temperature: float, epochs: int
) -> None:
    config = make_method("scmm", preset=preset, transfer=transfer).config
    assert config.upper_bound == alpha
    assert config.sharpness == tau
    assert config.temperature == temperature
    assert config.finetune_epochs == epochs
    assert config.metric == "cosine"
    assert (config.learning_rate, config.betas, config.weight_decay) == (5e-4, (0.9, 0.99), 3e-4)
    assert (config.pretrain_batch, config.finetune_batch) == (256, 128)
    assert config.pretrain_steps == 2000  # 200 epochs of 10 batches
    assert config.reported_epoch == "oracle"


def test_every_released_quirk_is_a_named_switch() -> None:
    released = make_method("scmm", preset="released").config
    paper = make_method("scmm", preset="paper").config
    quirks = {
        "mask_alias": True,
        "pretrain_windows": 2560,
        "finetune_schedule": "cosine-by-loss",
        "schedule_classifier": False,
        "finetune_zero_grad": False,
        "finetune_keep": "best-train-accuracy",
        "recon_target": "own_input",
        "recon_rows": "all",
    }
    differing = {
        name for name in SCMMConfig.model_fields if getattr(released, name) != getattr(paper, name)
    }
    assert differing == set(quirks)
    for name, value in quirks.items():
        assert getattr(released, name) == value
        assert getattr(paper, name) != value
    shared = {
        "distance_scaling": "column",
        "weight_rows": "all",
        "normalise_z": False,
        "weighting_decay": True,
        "mask_value": 0.0,
        "sharpness_rule": "value",
        "schedule_unit": "epoch",
    }
    for name, value in shared.items():
        assert getattr(released, name) == getattr(paper, name) == value
        assert getattr(SCMMConfig(), name) != value


def test_unknown_transfers_list_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        make_method("scmm", preset="paper", transfer="SEED->FACED")
    for known in ("SEED->SEED-IV", "SEED-IV->SEED", "DEAP->SEED", "SEED->DEAP"):
        assert repr(known) in str(caught.value)
    with pytest.raises(ConfigError, match="Preset 'strict' of method 'scmm' takes no transfer"):
        make_method("scmm", transfer="SEED->DEAP")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mask_rato": 0.4}, "Did you mean 'mask_ratio'"),
        ({"mask_ratio": 1.4}, "received 1.4"),
        ({"contrastive": False, "reconstruction": False}, "pretraining=False"),
        ({"sharpness": 2.0}, "quantile between 0 and 1"),
        ({"sharpness_rule": "value"}, "give a value"),
        ({"mask_alias": True, "n_masked": 2}, "one masked copy only"),
        ({"width": 30}, "multiple of 4"),
    ],
)
def test_bad_parameters_are_explained(params: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match="scmm") as caught:
        make_method("scmm", **params)
    assert message in str(caught.value)


def test_two_faults_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        SCMM(mask_mode="checker", batch=3)
    assert "mask_mode" in str(caught.value)
    assert "unknown parameter 'batch'" in str(caught.value)


def test_fine_tuning_alone_does_not_enter_the_pretraining_digest() -> None:
    assert "finetune_epochs" not in PRETRAIN_FIELDS
    assert "device" not in PRETRAIN_FIELDS
    for name in ("seed", "mask_mode", "temperature", "pretrain_steps", "search", "width"):
        assert name in PRETRAIN_FIELDS


def test_open_settings_are_all_named_in_each_candidate() -> None:
    assert all(set(row) == {"sharpness", "temperature", "upper_bound"} for row in OPEN_SETTINGS)
    for row in OPEN_SETTINGS:
        SCMMConfig(**row)


def test_the_registry_describes_scmm() -> None:
    assert "scmm" in method_names()
    info = method_info("scmm")
    assert info.presets == ("strict", "paper", "released")
    assert len(info.transfers) == 4
    assert "10.1145/3746027.3755798" in info.reference
    assert all(parameter.description for parameter in info.parameters)
