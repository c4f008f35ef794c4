"""The catalog against oracles written by hand, and against the reference where it is at hand."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from affectrum import catalog
from affectrum.catalog import amigos, deap, dreamer, seed, seed_iv
from affectrum.electrodes import canonical
from affectrum.errors import ConfigError

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "corpora.md"
ALL = [catalog.get(name) for name in catalog.names()]


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.is_file():
        pytest.skip("the reference on corpora is not beside this checkout")
    scope: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 10
    for block in blocks:
        exec(compile(block, str(REFERENCE), "exec"), scope)
    return scope


def nested(value: Any) -> Any:
    """Lists all the way down, so that tuples and lists compare."""
    return [nested(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_names_are_listed_in_one_order_and_found_without_regard_to_spelling():
    listed = [name for name in catalog.names() if name in ("DEAP", "SEED-IV", "SEED")]
    assert listed == ["SEED", "SEED-IV", "DEAP"]
    for spelling in ("SEED-IV", "seed_iv", "SeedIV", "seed iv"):
        assert catalog.get(spelling).name == "SEED-IV"
    with pytest.raises(ConfigError, match=r"Known corpora are SEED, .*Did you mean 'SEED-IV'"):
        catalog.get("SEED-IVV")


@pytest.mark.parametrize("facts", ALL, ids=lambda facts: facts.name)
def test_facts_agree_with_themselves(facts):
    assert len(facts.electrodes) == len(set(facts.electrodes)) == len(facts.electrodes_in_file)
    assert [canonical(name) for name in facts.electrodes] == list(facts.electrodes)
    for ours, theirs in zip(facts.electrodes, facts.electrodes_in_file, strict=True):
        assert canonical(theirs) in (ours, None)  # caps that number their electrodes
    assert len(facts.trials_per_session) == len(facts.clips) == facts.n_sessions
    assert tuple(len(session) for session in facts.clips) == facts.trials_per_session
    if bool(facts.label_codes) != bool(facts.ratings):  # else `plane_from` tells
        assert facts.is_rated == bool(facts.ratings)
    if facts.passband_hz is not None:
        assert 0 <= facts.passband_hz[0] < facts.passband_hz[1] <= facts.sfreq / 2
    assert facts.row_order in ("presentation", "clip")
    assert facts.volts_per_unit == {"uV": 1e-6, "V": 1.0, None: None}[facts.unit]
    if facts.sex is not None:
        assert len(facts.sex) == facts.n_subjects
        assert set(facts.sex) == {"M", "F"}
    for session, clips in enumerate(facts.clips, start=1):
        assert len({clip.clip for clip in clips}) == len(clips)
        for clip in clips:
            assert clip.clip.startswith(facts.name + "/")
            assert (clip.film is None) == (clip.series is None)
            assert clip.emotion is None or clip.emotion in facts.emotions
        codes = facts.session_codes(session)
        assert [facts.label_codes[code] for code in codes] == [
            clip.emotion for clip in clips if clip.emotion is not None
        ]
    for window_s, counts in facts.feature_windows.items():
        assert window_s > 0
        assert tuple(len(session) for session in counts) == facts.trials_per_session
    # `affectrum corpora --json` prints them
    assert json.loads(json.dumps(dataclasses.asdict(facts)))["name"] == facts.name
    assert isinstance(hash(facts), int)


def test_seed_by_hand():
    facts = catalog.get("SEED")
    assert (len(facts.electrodes), facts.n_subjects, facts.sfreq) == (62, 15, 200.0)
    assert facts.electrodes[57] == "CB1"
    assert facts.electrodes[61] == "CB2"
    assert [clip.emotion for clip in facts.clips[0][:4]] == [
        "positive",
        "neutral",
        "negative",
        "negative",
    ]
    assert facts.session_codes(1) == (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1)
    assert sum(seed.WINDOWS_1S) == 3394
    assert all(n == 200 * w + 1 for n, w in zip(seed.N_SAMPLES, seed.WINDOWS_1S, strict=True))
    durations = [end - start for start, end in zip(seed.RAW_START_S, seed.RAW_END_S, strict=True)]
    assert durations == list(seed.WINDOWS_1S)


def test_seed_sessions_are_the_order_of_the_dates():
    for subject in range(15):
        stems = [seed.FILES[session][subject] for session in range(3)]
        assert all(stem.startswith(f"{subject + 1}_") for stem in stems)
        assert stems == sorted(stems)


def test_seed_films_fit_the_labels_and_cross_the_usual_split():
    clips = catalog.get("SEED").clips[0]
    by_emotion = {
        emotion: {clip.series for clip in clips if clip.emotion == emotion}
        for emotion in ("negative", "neutral", "positive")
    }
    # all five neutral clips are one series: a series-disjoint three-class task does not exist
    assert by_emotion["neutral"] == {"World Heritage"}
    assert by_emotion["negative"] == {"Aftershock", "Back to 1942"}
    assert not by_emotion["negative"] & by_emotion["positive"]
    # trials 11, 12 and 15 continue films of the first nine trials; 14 continues trial 10
    training = {clip.film for clip in clips[:9]}
    assert [row for row in range(10, 16) if clips[row - 1].film in training] == [11, 12, 15]
    assert clips[13].film == clips[9].film


def test_films_can_be_set_by_someone_who_knows_them():
    facts = catalog.get("SEED")
    known = [[(f"film {row}", "one series") for row in range(15)]] * 3
    changed = facts.with_films(known, evidence="SEED_stimulation.xlsx")
    assert changed.clips[2][4].film == "film 4"
    assert changed.clips[2][4].emotion == facts.clips[2][4].emotion
    assert changed.clip_evidence == "SEED_stimulation.xlsx"
    assert facts.clips[2][4].film == "World Heritage: Huangshan"
    with pytest.raises(ConfigError, match=r"expected one .*\(15, 15, 15\); received \(15, 15\)"):
        facts.with_films(known[:2])


def test_seed_iv_by_hand():
    facts = catalog.get("SEED-IV")
    assert facts.label_codes == {0: "neutral", 1: "sad", 2: "fear", 3: "happy"}
    assert [clip.emotion for clip in facts.clips[1][:3]] == ["fear", "sad", "happy"]
    assert facts.clips[2][23].clip == "SEED-IV/3-24"
    assert len({clip.clip for session in facts.clips for clip in session}) == 72
    assert [sum(session) for session in seed_iv.WINDOWS_4S] == [851, 832, 822]
    for labels in seed_iv.LABELS:
        assert sorted(labels) == sorted([0, 1, 2, 3] * 6)
    assert facts.clips[0][0].duration_s == 168.0
    assert facts.code_of("fear") == 2
    with pytest.raises(ConfigError, match="no emotion 'joy'"):
        facts.code_of("joy")


def test_deap_by_hand():
    facts = catalog.get("DEAP")
    assert (len(facts.electrodes), facts.n_subjects, facts.sfreq) == (32, 32, 128.0)
    assert facts.n_samples == ((8064,) * 40,)
    assert (facts.baseline_s + 60) * facts.sfreq == 8064
    assert facts.ratings["valence"] == (1.0, 9.0)
    assert list(facts.ratings) == ["valence", "arousal", "dominance", "liking"]
    assert facts.row_order == "clip"
    assert facts.session_codes(1) == ()
    assert [deap.TWENTE_ORDER[i] for i in deap.TWENTE_TO_GENEVA] == list(deap.ELECTRODES)
    assert set(deap.ELECTRODES) <= set(seed.ELECTRODES)


@pytest.mark.parametrize(
    ("status", "code"), [(4, 4), (1703684, 4), (1638148, 4), (5832452, 4), (1703680 + 3, 3)]
)
def test_deap_event_codes_survive_high_bits(status, code):
    assert deap.event_code(status) == code


def test_deap_status_conventions():
    assert deap.status_names(1) == deap.status_names(23) == ("Status",)
    assert deap.status_names(24) == deap.status_names(28) == ("",)
    assert deap.status_names(29) == deap.status_names(32) == ("-0", "-1")
    assert (deap.n_channels_raw(28), deap.n_channels_raw(29)) == (48, 49)


def test_constants_equal_the_reference(reference):
    pairs = {
        "SEED_CH": seed.ELECTRODES_IN_FILE,
        "SEED_LABEL": seed.LABELS,
        "SEED_T": seed.N_SAMPLES,
        "SEED_W1": seed.WINDOWS_1S,
        "SEED_RAW_START": seed.RAW_START_S,
        "SEED_RAW_END": seed.RAW_END_S,
        "SEED_SEX": tuple(seed.FACTS.sex or ""),
        "SEED_FILES": seed.FILES,
        "SEED4_LABEL": seed_iv.LABELS,
        "SEED4_W": seed_iv.WINDOWS_4S,
        "SEED4_SEX": tuple(seed_iv.FACTS.sex or ""),
        "SEED4_FILES": seed_iv.FILES,
        "DEAP_CH": deap.ELECTRODES,
        "DEAP_PERIPH": deap.PERIPHERAL,
        "DEAP_TWENTE": deap.TWENTE_ORDER,
        "TWENTE_TO_GENEVA": deap.TWENTE_TO_GENEVA,
        "DEAP_LABELS": deap.LABEL_COLUMNS,
        "DEAP_FAMILIARITY_MISSING": deap.FAMILIARITY_MISSING,
        "DREAMER_CH": dreamer.ELECTRODES,
        "DREAMER_CLIPS": [(film, emotion) for film, _, emotion in dreamer.CLIPS],
        "AMIGOS_VIDEO": (*amigos.SHORT_VIDEOS, *amigos.LONG_VIDEOS),
        "AMIGOS_SELF": amigos.SELF_REPORTS,
        "AMIGOS_CH": (*amigos.FACTS.electrodes, *amigos.AUXILIARY),
        "AMIGOS_NO_LONG": amigos.WITHOUT_LONG_VIDEOS,
        "AMIGOS_TORCHEEG_SKIP": amigos.GAPS_REPORTED,
    }
    for name, ours in pairs.items():
        assert nested(ours) == nested(reference[name]), name
    assert reference["SEED4_NAMES"] == seed_iv.FACTS.label_codes
