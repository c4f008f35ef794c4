from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from affectrum.errors import AccessError, ConfigError
from affectrum.methods import base, registry


class DummyConfig(base.MethodConfig):
    rate: float = Field(0.5, gt=0, le=1, description="a rate")
    mode: str = Field("a", description="a mode")


class Dummy(base.Method):
    name = "dummy-for-tests"
    Config = DummyConfig
    needs = ("source_signals",)
    needs_one_of = (("source_labels",), ("calibration_signals", "calibration_labels"))
    presets: ClassVar = {"strict": {}, "paper": {"rate": 0.25}}
    transfers: ClassVar = {"SEED->DEAP": {"mode": "b"}, "SEED->SEED-IV": {"mode": "c"}}
    transfer_presets = ("paper",)

    def fit(self, access: Any, *, observer=None, pretrained=None, progress=None):
        self.check_access(access)
        self.classes_ = tuple(access.classes)
        return self

    def predict_proba(self, windows: Any) -> np.ndarray:
        scores = np.full((len(windows), len(self.classes_)), 0.1)
        scores[:, 1] = 0.9
        return scores

    def state(self):
        return {"one": np.ones(1)}, self.base_meta()

    def load_state(self, arrays, meta):
        self.classes_ = tuple(meta["classes"])
        return self


class StandInAccess:
    def __init__(self, *grants: str) -> None:
        self.grants = grants
        self.classes = ("negative", "positive")
        self.protocol = "stand-in"

    def require(self, needs, method: str) -> None:
        missing = [need for need in needs if need not in self.grants]
        if missing:
            raise AccessError(f"{method}: {missing}")


@pytest.fixture
def registered():
    registry.register(Dummy)
    yield Dummy
    del registry._REGISTERED["dummy-for-tests"]


def test_all_faults_of_a_configuration_come_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        Dummy(rate=2.0, mod="b")
    message = str(caught.value)
    assert "'rate'" in message
    assert "received 2.0" in message
    assert "unknown parameter 'mod'. Did you mean 'mode'?" in message
    assert "dummy-for-tests" in message


def test_parameters_follow_scikit_learn_conventions() -> None:
    method = Dummy(rate=0.25)
    assert method.get_params() == {"seed": 0, "rate": 0.25, "mode": "a"}
    assert method.set_params(mode="z") is method
    assert method.config.rate == 0.25
    assert method.config.mode == "z"
    copy = method.clone(seed=3)
    assert copy.get_params() == {"seed": 3, "rate": 0.25, "mode": "z"}
    assert repr(method) == "Dummy(rate=0.25, mode='z')"
    with pytest.raises(ConfigError, match="received -1"):
        method.set_params(seed=-1)
    assert method.config.seed == 0


def test_presets_and_transfers(registered: type[Dummy]) -> None:
    make = registry.make_method
    assert make("dummy-for-tests").config == DummyConfig()
    paper = make("dummy-for-tests", preset="paper", transfer="seed → deap")
    assert (paper.config.rate, paper.config.mode) == (0.25, "b")
    assert make("dummy-for-tests", "paper", transfer="SEED -> SEEDIV", mode="mine").config.mode == (
        "mine"
    )
    with pytest.raises(ConfigError, match=r"'SEED->DEAP', 'SEED->SEED-IV'.*Did you mean"):
        make("dummy-for-tests", preset="paper", transfer="SEED->DEEP")
    with pytest.raises(ConfigError, match="takes no transfer"):
        make("dummy-for-tests", transfer="SEED->DEAP")
    with pytest.raises(ConfigError, match="Did you mean 'paper'"):
        make("dummy-for-tests", preset="papre")


def test_unknown_method_lists_all_and_suggests(registered: type[Dummy]) -> None:
    with pytest.raises(ConfigError, match=r"'most-frequent'.*Did you mean 'dummy-for-tests'"):
        registry.make_method("dumy-for-tests")
    assert "dummy-for-tests" in registry.method_names()


def test_names_are_not_taken_twice(registered: type[Dummy]) -> None:
    class Other(Dummy):
        pass

    with pytest.raises(ConfigError, match="is taken by"):
        registry.register(Other)
    registry.register(Dummy)  # a reload of the same class is harmless


def test_needs_are_checked_before_training() -> None:
    method = Dummy()
    with pytest.raises(AccessError, match="source_signals"):
        method.fit(StandInAccess("source_labels"))
    with pytest.raises(
        AccessError, match="source_labels or calibration_signals with calibration_labels"
    ):
        method.fit(StandInAccess("source_signals", "calibration_signals"))
    assert method.fit(StandInAccess("source_signals", "source_labels")) is method
    assert Dummy.supports(("source_signals", "source_labels"))
    assert not Dummy.supports(("source_signals",))


def test_predict_is_the_most_probable_class_and_needs_a_fit() -> None:
    method = Dummy().fit(StandInAccess("source_signals", "source_labels"))
    assert method.predict([0, 1, 2]).tolist() == [1, 1, 1]
    with pytest.raises(ConfigError, match="not fitted"):
        Dummy().state()


def test_a_state_restores_the_method(registered: type[Dummy]) -> None:
    method = Dummy(rate=0.75).fit(StandInAccess("source_signals", "source_labels"))
    again = registry.restore_method(*method.state())
    assert isinstance(again, Dummy)
    assert again.config == method.config
    assert again.classes_ == method.classes_


def test_method_info_describes_parameters(registered: type[Dummy]) -> None:
    info = registry.method_info("dummy-for-tests")
    assert info.presets == ("strict", "paper")
    rate = next(parameter for parameter in info.parameters if parameter.name == "rate")
    assert (rate.type, rate.default, rate.description) == ("float", 0.5, "a rate")


def test_seeds_depend_on_every_part_and_its_type() -> None:
    seeds = {
        base.derive_seed(0, "fit"),
        base.derive_seed(1, "fit"),
        base.derive_seed(0, "pretrain"),
        base.derive_seed("0", "fit"),
        base.derive_seed("0fit"),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    # a fixed value: seeds must not change between versions or processes
    assert base.derive_seed(0, "fit") == base.derive_seed(0, "fit")
