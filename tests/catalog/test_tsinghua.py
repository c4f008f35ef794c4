"""FACED's constants against the reference, where it is beside this checkout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from affectrum.catalog import faced, thu_ep

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "corpora.md"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.is_file():
        pytest.skip("the reference on corpora is not beside this checkout")
    scope: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        exec(compile(block, str(REFERENCE), "exec"), scope)
    return scope


def test_constants_equal_the_reference(reference):
    pairs = {
        "FACED_CH": (*faced.ELECTRODES, *faced.EARS),
        "FACED_RATING": tuple(name.capitalize() for name in faced.RATING_COLUMNS),
        "FACED_EMO": faced.EMOTIONS,
        "FACED_DUR": faced.VIDEO_SECONDS,
        "FACED_FILM": faced.FILMS,
        "FACED_V_MEAN": faced.VALENCE_MEAN,
        "FACED_A_MEAN": faced.AROUSAL_MEAN,
        "FACED_V_SD": faced.VALENCE_SD,
        "FACED_A_SD": faced.AROUSAL_SD,
        "FACED_RAW_250HZ_UNIT_NA": faced.RAW_UNIT_UNKNOWN_SUBJECTS,
    }
    for name, ours in pairs.items():
        assert list(ours) == list(reference[name]), name
    codes = {word: code for code, word in faced.FACTS.label_codes.items()}
    assert codes == reference["FACED_INT"]
    assert dict(faced.BANDS) == reference["FACED_BANDS"]
    fast = reference["FACED_RAW_1000HZ_C1"] + reference["FACED_RAW_1000HZ_C2"]
    assert list(faced.RAW_1000HZ_SUBJECTS) == fast


def test_thu_ep_shares_faceds_clips_in_order_but_not_their_names():
    ours, theirs = thu_ep.FACTS.clips[0], faced.FACTS.clips[0]
    assert [clip.emotion for clip in ours] == [clip.emotion for clip in theirs]
    assert not {clip.clip for clip in ours} & {clip.clip for clip in theirs}
    # what no source says is not stated
    assert thu_ep.FACTS.unit is None
    assert thu_ep.FACTS.electrodes == ()
    assert thu_ep.FACTS.ratings == {}
