"""Facts of SEED-V, SEED-FRA and SEED-GER against the reference, and by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from affectrum import affect, catalog
from affectrum.catalog import seed, seed_fra, seed_ger, seed_v

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "corpora.md"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.is_file():
        pytest.skip("the reference on corpora is not beside this checkout")
    scope: dict[str, Any] = {}
    text = REFERENCE.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(REFERENCE), "exec"), scope)
    return scope


def nested(value: Any) -> Any:
    return [nested(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_constants_equal_the_reference(reference):
    pairs = {
        "SEED5_LABEL": seed_v.LABELS,
        "SEED5_START": seed_v.START_S,
        "SEED5_END": seed_v.END_S,
        "SEED5_W": seed_v.WINDOWS_4S,
        "SEED5_SEX": tuple(seed_v.FACTS.sex or ""),
        "SEED5_DATES": seed_v.DATES,
        "SEED5_CNT": seed_v.CNT_FILES,
        "SEED_V_CNT_EXTRA": seed_v.EXTRA_CHANNELS,
        "FRA_LABEL": seed_fra.LABELS,
        "FRA_START": seed_fra.PUBLIC_START_S,
        "FRA_END": seed_fra.PUBLIC_END_S,
        "FRA_SEX": tuple(seed_fra.FACTS.sex or ""),
        "GER_LABEL": seed_ger.LABELS,
        "GER_START": seed_ger.PUBLIC_START_S,
        "GER_END": seed_ger.PUBLIC_END_S,
        "GER_SEX": tuple(seed_ger.FACTS.sex or ""),
    }
    for name, ours in pairs.items():
        assert nested(ours) == nested(reference[name]), name
    assert reference["SEED5_NAMES"] == seed_v.FACTS.label_codes


def test_seed_v_by_hand():
    facts = catalog.get("SEED-V")
    assert facts.electrodes == seed.ELECTRODES
    assert [clip.emotion for clip in facts.clips[0][:5]] == [
        "happy",
        "fear",
        "neutral",
        "sad",
        "disgust",
    ]
    assert facts.clips[2][14].clip == "SEED-V/3-15"
    assert facts.clips[1][0].duration_s == 237
    assert [sum(session) for session in seed_v.WINDOWS_4S] == [681, 541, 601]
    assert sum(map(sum, seed_v.WINDOWS_4S)) == 1823
    assert seed_v.CNT_FILES[2][9] == "10_3_20180626.cnt"
    assert seed_v.CNT_FILES[0][6] == seed_v.UNREADABLE_FILE
    for labels in seed_v.LABELS:
        assert sorted(labels) == sorted([0, 1, 2, 3, 4] * 3)


def test_seed_v_recordings_in_the_order_of_their_dates():
    order = [seed_v.recording_order(subject) for subject in range(1, 17)]
    assert order[0] == (1, 3, 2)
    assert order[1] == (1, 2, 3)
    # subjects 11 and 12 saw set 2 before set 1, nobody else did
    assert [s for s, sets in enumerate(order, 1) if sets.index(2) < sets.index(1)] == [11, 12]
    for subject, sets in enumerate(order, start=1):
        dates = [seed_v.DATES[number - 1][subject - 1] for number in sets]
        assert dates == sorted(dates)
        assert len(set(dates)) == 3


def test_seed_fra_and_ger_by_hand():
    fra, ger = catalog.get("SEED-FRA"), catalog.get("SEED-GER")
    assert fra.trials_per_session == (21, 21, 21)
    assert ger.trials_per_session == (20, 20, 20)
    assert [clip.emotion for clip in fra.clips[1][:3]] == ["positive", "negative", "neutral"]
    assert fra.clips[0][0].duration_s == 172
    # nobody knows how long the German clips are
    assert {clip.duration_s for clip in ger.clips[0]} == {None}
    assert len(seed_ger.SUPPOSED_ROWS) == len(seed_ger.PUBLIC_START_S) == 18
    assert set(range(1, 21)) - set(seed_ger.SUPPOSED_ROWS) == {2, 19}


@pytest.mark.parametrize("name", ["SEED-V", "SEED-FRA", "SEED-GER"])
def test_schemes_that_the_words_can_fill(name):
    facts = catalog.get(name)
    for scheme in facts.class_schemes:
        assert affect.get_scheme(scheme).supports(name), scheme
    assert facts.lab == catalog.get("SEED").lab
