"""What every form promises that holds shipped features only."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import ConfigError


@pytest.fixture
def corpus(feature_case, written, layouts):
    name, form = feature_case
    return layouts.open_as(name, form, written(name, form))


def test_features_say_what_they_are(corpus):
    assert corpus.feature_names
    for name in corpus.feature_names:
        info = corpus.feature_info(name)
        assert info.name == name
        assert info.window_s > 0
        assert info.bands
        assert info.scale


def test_features_are_those_of_their_row(corpus, feature_case, layouts):
    verify = layouts.layout_of(*feature_case).verify
    for _, trial in corpus.trials.sample(min(8, len(corpus.trials)), random_state=0).iterrows():
        for name in corpus.feature_names:
            info = corpus.feature_info(name)
            x = corpus.read_features(trial, name)
            assert x.dtype == np.float64
            assert x.ndim == 3
            assert x.shape[2] == len(info.bands)
            assert abs(x.shape[0] * info.window_s - trial["duration_s"]) < info.window_s
            if not name.startswith(("dasm", "rasm", "asm", "dcau")):
                assert x.shape[1] == len(corpus.channels) == trial["n_channels"]
            verify(trial, name, x)


def test_features_are_not_taken_for_signals(corpus):
    trial = corpus.trials.iloc[0]
    assert corpus.trials["sfreq"].isna().all()
    for refused in (corpus.read, lambda _: next(corpus.iter_trials())):
        with pytest.raises(ConfigError, match="features, no signals"):
            refused(trial)


def test_unknown_features_are_explained(corpus):
    with pytest.raises(ConfigError, match=corpus.feature_names[0]):
        corpus.read_features(corpus.trials.iloc[0], "no_such_feature")


def test_what_was_read_is_the_callers_own(corpus):
    trial, name = corpus.trials.iloc[0], corpus.feature_names[0]
    x = corpus.read_features(trial, name)
    before = x.copy()
    x[:] = 7.0
    np.testing.assert_array_equal(corpus.read_features(trial, name), before)
