"""The generative model: every factor does what it says, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from affectrum.errors import ConfigError
from affectrum.twins import TwinGenerator, TwinSettings
from affectrum.twins.generator import Cap
from affectrum.twins.people import PROFILES
from affectrum.twins.seeds import derive_rng
from affectrum.twins.shaping import Shaper, passband_response, slow_noise

# nothing but what a test switches on
QUIET = TwinSettings(
    effect=0,
    signature=0,
    time_on_task=0,
    trial_sd=0,
    residual_sd=0,
    slope_drift_sd=0,
    session_sd=0,
    impedance_sd=0,
    subject_sd=0,
    anatomy_degrees=0,
    conductivity_sd=0,
    alpha_frequency_sd=0,
    felt_sd=0,
    state_sd=0,
    response_rotation=0,
    response_gain_sd=0,
    non_responders=0,
    reversed_responders=0,
    sensor_noise_uv=0,
    corpus_factors=0,
).without_artefacts()


def power(x: np.ndarray, sfreq: float, low: float, high: float) -> np.ndarray:
    """Mean power between two frequencies: shape (n_channels,)."""
    spectrum = np.abs(np.fft.rfft(x.astype(np.float64), axis=1)) ** 2
    f = np.fft.rfftfreq(x.shape[1], 1 / sfreq)
    return np.asarray(spectrum[:, (f >= low) & (f < high)].mean(axis=1) / x.shape[1])


def rows_of(generator: TwinGenerator, emotion: str) -> list[int]:
    clips = generator.facts.clips[0]
    return [row for row, clip in enumerate(clips, start=1) if clip.emotion == emotion]


def mean_power(
    generator: TwinGenerator, rows: list[int], cap: Cap, low: float, high: float
) -> np.ndarray:
    """Mean over subjects and trials of log power at the cap's electrodes."""
    values = [
        np.log(power(generator.trial(subject, 1, row, cap).x, cap.sfreq, low, high))
        for subject in (1, 2, 3)
        for row in rows
    ]
    return np.asarray(np.mean(values, axis=0))


def test_same_arguments_same_numbers() -> None:
    first = TwinGenerator("SEED", seed=5, trial_seconds=3).trial(2, 1, 4)
    other = TwinGenerator("SEED", seed=5, trial_seconds=3)
    other.trial(1, 1, 1)  # drawing something else before does not matter
    again = other.trial(2, 1, 4)
    assert_array_equal(first.x, again.x)
    assert not np.array_equal(
        first.x, TwinGenerator("SEED", seed=6, trial_seconds=3).trial(2, 1, 4).x
    )


def test_another_rate_is_the_same_person() -> None:
    generator = TwinGenerator("DEAP", seed=1, trial_seconds=4)
    slow = generator.trial(1, 1, 7)
    fast = generator.trial(1, 1, 7, replace(generator.cap, sfreq=512.0))
    assert fast.x.shape[1] == 4 * (slow.x.shape[1] - 1) + 1
    # the vendor's band ends below both Nyquist frequencies
    assert_allclose(fast.x[:, ::4], slow.x, atol=0.05)


def test_another_cap_is_the_same_person() -> None:
    generator = TwinGenerator("SEED", seed=1, trial_seconds=3)
    whole = generator.trial(1, 1, 1)
    names = ("Oz", "Cz", "Fp1")
    few = generator.trial(1, 1, 1, replace(generator.cap, electrodes=names))
    index = [generator.facts.electrodes.index(name) for name in names]
    assert_allclose(few.x, whole.x[index], rtol=1e-4, atol=1e-3)


def test_average_reference_has_no_mean() -> None:
    generator = TwinGenerator("DEAP", seed=0, trial_seconds=3)
    assert_allclose(generator.trial(1, 1, 1).x.mean(axis=0), 0, atol=1e-4)


def test_alpha_falls_with_arousal_over_the_back_of_the_head() -> None:
    settings = QUIET.model_copy(update={"effect": 1.0})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=16)
    cap = replace(generator.cap, electrodes=("O1", "O2", "P3", "P4", "Fp1"), reference=None)
    calm, excited = rows_of(generator, "neutral"), rows_of(generator, "negative")
    change = mean_power(generator, excited, cap, 8, 12) - mean_power(generator, calm, cap, 8, 12)
    assert np.all(change[:4] < -0.3)
    assert change[4] > change[:4].max()  # weaker at the front
    without = settings.model_copy(update={"arousal_alpha": 0.0})
    flat = TwinGenerator("SEED", without, seed=0, trial_seconds=16)
    rest = mean_power(flat, excited, cap, 8, 12) - mean_power(flat, calm, cap, 8, 12)
    assert np.all(np.abs(rest[:4]) < 0.25)


def test_muscles_follow_valence_at_the_edge_above_30_hz() -> None:
    settings = QUIET.model_copy(update={"effect": 1.0, "valence_gamma": 0.0})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=16)
    cap = replace(generator.cap, electrodes=("T7", "T8", "Cz"), reference=None)
    happy, sad = rows_of(generator, "positive"), rows_of(generator, "negative")
    change = mean_power(generator, happy, cap, 35, 70) - mean_power(generator, sad, cap, 35, 70)
    assert np.all(change[:2] > 0.25)
    assert abs(change[2]) < 0.2
    off = TwinGenerator(
        "SEED", settings.model_copy(update={"muscle": 0.0}), seed=0, trial_seconds=16
    )
    gone = mean_power(off, happy, cap, 35, 70) - mean_power(off, sad, cap, 35, 70)
    assert np.all(np.abs(gone) < 0.2)


def test_frontal_asymmetry_has_the_subjects_own_sign() -> None:
    update = {"effect": 1.0, "frontal_asymmetry": 3.0, "arousal_alpha": 0.0}
    generator = TwinGenerator("SEED", QUIET.model_copy(update=update), seed=0, trial_seconds=12)
    cap = replace(generator.cap, electrodes=("AF3", "AF4"), reference=None)
    signs = set()
    for subject in range(1, 7):
        right_minus_left = []
        for rows in (rows_of(generator, "negative"), rows_of(generator, "positive")):
            values = [
                np.log(power(generator.trial(subject, 1, row, cap).x, cap.sfreq, 8, 12))
                for row in rows
            ]
            mean = np.mean(values, axis=0)
            right_minus_left.append(mean[1] - mean[0])
        change = right_minus_left[1] - right_minus_left[0]
        expected = generator.subject(subject).response[:, 0]
        planted = expected[expected != 0]
        assert planted.size
        signs.add(bool(change > 0))
    assert signs == {True, False}


def test_without_effect_the_signal_does_not_know_the_emotion() -> None:
    effect = TwinSettings.null()
    generator = TwinGenerator("SEED", effect, seed=0, trial_seconds=3)
    assert not np.any(generator.subject(2).response)


def test_signature_is_alike_in_all_people_and_shared_by_a_film() -> None:
    settings = QUIET.model_copy(update={"signature": 1.0})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=8)
    courses = {}
    for subject in (1, 2):
        for row in (1, 2, 3, 5):
            identity = ("SEED", subject, 1, "trial", row)
            courses[subject, row] = generator._course(identity, subject, 1, row, 8, 0)[0]
    assert_allclose(courses[1, 1], courses[2, 1], atol=1e-5)
    cortical = {key: z.mean(axis=1) for key, z in courses.items()}

    def alike(a: tuple[int, int], b: tuple[int, int]) -> float:
        return float(np.corrcoef(cortical[a], cortical[b])[0, 1])

    # rows 2 and 5 are one film (two parts), rows 1 and 3 are others
    assert alike((1, 2), (1, 5)) > 0.3
    assert abs(alike((1, 1), (1, 3))) < 0.3 < alike((1, 2), (1, 5))


def test_time_on_task_raises_alpha_through_the_session() -> None:
    settings = QUIET.model_copy(update={"time_on_task": 1.0})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=12)
    cap = replace(generator.cap, electrodes=("O1", "Pz", "O2"), reference=None)
    late = mean_power(generator, [14, 15], cap, 8, 12)
    early = mean_power(generator, [1, 2], cap, 8, 12)
    assert np.mean(late - early) > 0.4


def test_time_on_task_follows_presentation_not_the_file() -> None:
    generator = TwinGenerator("DEAP", QUIET.model_copy(update={"time_on_task": 1.0}), seed=0)
    order = generator.presentation(3, 1)
    assert sorted(order) == list(range(1, 41))
    assert order != generator.presentation(4, 1)
    first, last = order[0], order[-1]
    assert generator._time_on_task(3, 1, first).min() == pytest.approx(-0.5)
    assert generator._time_on_task(3, 1, last).max() == pytest.approx(0.5)


def test_non_responders_do_not_respond() -> None:
    generator = TwinGenerator("SEED", TwinSettings(non_responders=0.5), seed=0)
    kinds = [generator.subject(n).kind for n in range(1, 7)]
    assert kinds.count("non-responder") == 3
    for number, kind in enumerate(kinds, start=1):
        response = generator.subject(number).response
        assert np.any(response) == (kind != "non-responder")


def test_reversed_responders_turn_the_common_pattern_round() -> None:
    update = {"effect": 1.0, "frontal_asymmetry": 0.0}
    usual = QUIET.model_copy(update=update)
    turned = QUIET.model_copy(update={**update, "reversed_responders": 1.0})
    a = TwinGenerator("SEED", usual, seed=0).subject(1).response
    b = TwinGenerator("SEED", turned, seed=0).subject(1).response
    assert_allclose(a, -b)


def test_rotation_keeps_the_strength_of_the_response() -> None:
    update = {"effect": 1.0, "frontal_asymmetry": 0.0}
    common = TwinGenerator("SEED", QUIET.model_copy(update=update), seed=0).subject(1).response
    turned = QUIET.model_copy(update={**update, "response_rotation": 1.0})
    own = TwinGenerator("SEED", turned, seed=0).subject(1).response
    # the muscles (the last six) are not rotated
    a, b = np.linalg.norm(common[:-6]), np.linalg.norm(own[:-6])
    assert 0.8 < b / a < 1.25
    assert abs(np.corrcoef(common[:-6, 1], own[:-6, 1])[0, 1]) < 0.3


def test_bursts_reach_the_same_mean_state_as_a_path() -> None:
    settings = QUIET.model_copy(update={"effect": 1.0, "state": "bursts"})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=40)
    trial = generator.trial(1, 1, 1)
    point = generator.point(1, 1)
    assert_allclose(trial.state.mean(axis=0), [point.valence, point.arousal], atol=1e-6)
    assert trial.state[:, 0].max() > 1.5 * abs(point.valence)


def test_a_path_comes_close_to_what_was_felt() -> None:
    settings = TwinSettings(state_sd=0.02, felt_sd=0.3)
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=40)
    felt = generator.rating(1, 1, 3).felt
    assert_allclose(generator.trial(1, 1, 3).state[-20:].mean(axis=0), felt, atol=0.06)


def test_ratings_scatter_over_subjects_as_measured() -> None:
    generator = TwinGenerator("DEAP", seed=0)
    valence = np.array(
        [[generator.rating(s, 1, row).reported[0] for row in range(1, 41)] for s in range(1, 33)]
    )
    # FACED: SD over 123 people, mean of the 28 clips' valence SD 1.54 on 0-7, that is 0.44
    assert 0.36 < valence.std(axis=0).mean() < 0.54


def test_blinks_are_frontal_and_can_be_switched_off() -> None:
    settings = QUIET.model_copy(update={"blinks_per_minute": 60.0})
    cap = replace(TwinGenerator("SEED").cap, electrodes=("Fp1", "Oz"), reference=None)
    blinking = TwinGenerator("SEED", settings, seed=0, trial_seconds=20).trial(1, 1, 1, cap)
    calm = TwinGenerator("SEED", QUIET, seed=0, trial_seconds=20).trial(1, 1, 1, cap)
    added = blinking.x - calm.x
    assert added[0].max() > 60
    assert np.abs(added[1]).max() < 5
    assert np.abs(calm.eyes).max() == 0


def test_mains_is_a_line_and_is_filtered_where_the_vendor_filters() -> None:
    settings = QUIET.model_copy(update={"mains_uv": 10.0})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=10)
    x = generator.trial(1, 1, 1).x
    assert np.median(power(x, 200, 49.8, 50.2) / power(x, 200, 52, 60)) > 20
    filtered = generator.trial(1, 1, 1, replace(generator.cap, passband=(4.0, 45.0))).x
    assert np.all(power(filtered, 200, 49.8, 50.2) < 0.2 * power(x, 200, 49.8, 50.2))


def test_bad_electrodes_are_noisy_throughout_a_session() -> None:
    settings = QUIET.model_copy(update={"bad_electrodes": 0.2, "sensor_noise_uv": 1.0})
    generator = TwinGenerator("SEED", settings, seed=0, trial_seconds=4)
    quiet = QUIET.model_copy(update={"sensor_noise_uv": 1.0})
    good = TwinGenerator("SEED", quiet, seed=0, trial_seconds=4)
    noisy = []
    for row in (1, 2):
        ratio = generator.trial(1, 1, row).x.std(axis=1) / good.trial(1, 1, row).x.std(axis=1)
        noisy.append(np.flatnonzero(ratio > 1.3))
    assert 4 <= noisy[0].size <= 24
    assert_array_equal(noisy[0], noisy[1])


def test_vendor_lengths_and_short_ones() -> None:
    full = TwinGenerator("SEED")
    assert [full.seconds(1, row) for row in (1, 3, 9)] == [235, 206, 265]
    short = TwinGenerator("SEED", trial_seconds=10)
    lengths = [short.seconds(1, row) for row in range(1, 16)]
    assert 8 <= min(lengths) < max(lengths) <= 12
    assert lengths.index(max(lengths)) == 8  # the longest clip of all
    assert {TwinGenerator("DEAP", trial_seconds=7).seconds(1, row) for row in (1, 40)} == {7}


def test_corpora_differ_unless_switched_off() -> None:
    assert PROFILES["SEED"].gain != PROFILES["DEAP"].gain
    assert TwinGenerator("DEAP", TwinSettings(corpus_factors=0)).profile.gain == 1.0


@pytest.mark.parametrize(
    ("corpus", "options", "words"),
    [
        ("SEEED", {}, ["SEEED", "SEED"]),
        ("SEED", {"seed": -1, "trial_seconds": 1}, ["seed", "trial_seconds", "at least 2"]),
    ],
)
def test_refusals_name_every_fault(corpus: str, options: dict, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        TwinGenerator(corpus, **options)
    for word in words:
        assert word in str(caught.value)


def test_settings_refuse_unknown_dials_and_negative_strengths() -> None:
    with pytest.raises(ValueError, match="muscel"):
        TwinSettings(muscel=1)
    with pytest.raises(ValueError, match="effect"):
        TwinSettings(effect=-1)
    assert TwinSettings().digest() != TwinSettings(effect=2).digest()


def test_every_dial_says_where_its_default_comes_from() -> None:
    for name, field in TwinSettings.model_fields.items():
        assert field.description, name
        if name != "state":
            assert field.description.endswith("]"), name


def test_the_page_names_every_dial_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "twins.md").read_text(encoding="utf-8")
    for name, field in TwinSettings.model_fields.items():
        default = field.default if isinstance(field.default, str) else f"{field.default:.3g}"
        assert f"| `{name}` | {default} |" in page, name


# shaping -------------------------------------------------------------------------------------


def test_slow_noise_is_stationary_with_the_named_time_constant() -> None:
    x = slow_noise(np.random.default_rng(0), 2000, 60, 8.0).astype(np.float64)
    assert_allclose(x.var(axis=0), 1.0, atol=0.12)
    lagged = np.mean(x[:, :-4] * x[:, 4:])
    assert_allclose(lagged, np.exp(-0.5), atol=0.02)


def test_aperiodic_has_unit_power_and_its_exponent() -> None:
    shaper = Shaper(derive_rng(0, "test"), 60, 200, (0.0, 90.0))
    steady, tilted = shaper.aperiodic(40, 1.2)
    f = np.fft.rfftfreq(steady.shape[1], 1 / 200)
    density = 2 * (np.abs(np.fft.rfft(steady, axis=1)) ** 2).mean(axis=0) / steady.shape[1] / 200
    inside = (f >= 1) & (f < 45)
    assert_allclose(density[inside].sum() * (f[1] - f[0]), 1.0, rtol=0.05)
    slope = np.polyfit(np.log(f[inside]), np.log(density[inside]), 1)[0]
    assert slope == pytest.approx(-1.2, abs=0.05)
    steeper = steady + np.float32(0.1) * tilted
    power_of = (np.abs(np.fft.rfft(steeper, axis=1)) ** 2).mean(axis=0)[inside]
    assert np.polyfit(np.log(f[inside]), np.log(power_of), 1)[0] == pytest.approx(-1.3, abs=0.06)


def test_oscillations_have_unit_power_in_their_band() -> None:
    shaper = Shaper(derive_rng(1, "test"), 60, 200, (0.0, 90.0))
    for low, high, peaked in ((8.0, 12.0, True), (20.0, 31.0, False)):
        x = shaper.oscillation(30, low, high, peaked=peaked)
        assert x.var() == pytest.approx(1.0, rel=0.05)
        assert power(x, 200, low, high).mean() > 50 * power(x, 200, high + 5, high + 9).mean()


def test_modulation_interpolates_between_points() -> None:
    shaper = Shaper(derive_rng(1, "test"), 2, 10, (0.0, 4.0))
    envelope = np.array([[0.0, 1.0, 1.0, 3.0, 5.0]], dtype=np.float32)
    out = shaper.upsample(envelope)[0]
    expected = np.interp(np.arange(21) / 10, np.arange(5) / 2, envelope[0])
    assert_allclose(out, expected, atol=1e-6)


def test_passband_halves_power_at_its_edges() -> None:
    response = passband_response(np.array([4.0, 20.0, 45.0, 90.0]), (4.0, 45.0))
    assert_allclose(response[[0, 2]] ** 2, 0.5, atol=1e-3)
    assert response[1] == pytest.approx(1.0, abs=1e-3)
    assert response[3] < 1e-4
    assert passband_response(np.array([0.01]), (0.0, 75.0))[0] == pytest.approx(1.0)
