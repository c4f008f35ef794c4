"""SEED-VII's facts against lists retyped from its stimulus order."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from affectrum import catalog
from affectrum.catalog import seed, seed_vii

FACTS = catalog.get("seed vii")
REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "corpora.md"


def test_words_by_hand():
    first = [clip.emotion for clip in FACTS.clips[0]]
    assert first[:10] == first[10:]
    assert first[:5] == ["happy", "neutral", "disgust", "sad", "anger"]
    assert first[5:10] == first[4::-1]  # there and back
    for session in FACTS.clips:
        words = [clip.emotion for clip in session]
        assert words[:10] == words[10:]
        assert words[:5] == words[9:4:-1]
    assert [session[0].emotion for session in FACTS.clips] == ["happy", "anger", "happy", "disgust"]
    counts = Counter(clip.emotion for session in FACTS.clips for clip in session)
    assert counts.pop("neutral") == 8
    assert counts == dict.fromkeys(["happy", "sad", "anger", "disgust", "fear", "surprise"], 12)


def test_clips_are_numbered_as_the_videos():
    names = [clip.clip for session in FACTS.clips for clip in session]
    assert names == [f"SEED-VII/{number:02d}" for number in range(1, 81)]


def test_codes_are_in_the_order_of_first_occurrence():
    assert FACTS.emotions == ("happy", "neutral", "disgust", "sad", "anger", "fear", "surprise")
    assert not FACTS.is_rated


def test_cap_and_people():
    assert FACTS.electrodes == seed.ELECTRODES
    assert (FACTS.electrodes[57], FACTS.electrodes[61]) == ("CB1", "CB2")
    assert FACTS.sex == "MMFMMMFFFFMFMFMFMFFM"
    assert FACTS.sex.count("M") == FACTS.sex.count("F") == 10
    assert (FACTS.sfreq, FACTS.raw_sfreq) == (200.0, 1000.0)


def test_folds_are_blocks_of_five_trials():
    assert (tuple([0] * 5 + [1] * 5 + [2] * 5 + [3] * 5),) * 4 == seed_vii.FOLDS


def test_the_two_recordings_with_wrong_triggers():
    assert seed_vii.TRIGGERS_WRONG == {
        (14, 1): "2022-10-15 14:25:34",
        (9, 3): "2022-11-11 14:01:27",
    }


def test_lists_are_those_of_the_reference():
    if not REFERENCE.is_file():
        pytest.skip("the reference on corpora is not beside this checkout")
    scope: dict = {}
    text = REFERENCE.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        if "SEED7_LABEL" in block or block.startswith("SEED_CH"):
            exec(compile(block, str(REFERENCE), "exec"), scope)
    words = [[clip.emotion for clip in session] for session in FACTS.clips]
    assert words == scope["SEED7_LABEL"]
    assert list(FACTS.sex) == scope["SEED7_SEX"]
    assert [list(fold) for fold in seed_vii.FOLDS] == scope["SEED7_FOLD"]
    assert list(FACTS.electrodes_in_file) == scope["SEED_CH"]
    assert list(seed_vii.CNT_EXTRA) == scope["SEED_VII_CNT_EXTRA"]
