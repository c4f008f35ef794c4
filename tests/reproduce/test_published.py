from __future__ import annotations

from pathlib import Path

import pytest

from affectrum.errors import ConfigError
from affectrum.reproduce.published import (
    MARKS,
    PublishedNumber,
    differences,
    load_published,
    published_numbers,
)

# Typed once more, from the papers' tables, by hand: (method, variant, target, metric) -> value, ±.
TABLES = {
    ("E2STN", "", "SEED", "accuracy", ("SEED-IV",)): (60.51, 5.41),
    ("E2STN", "", "SEED", "accuracy", ("MPED",)): (73.51, 7.23),
    ("DSTA", "", "SEED-IV", "accuracy", ("SEED",)): (63.25, None),
    ("DSTA", "", "SEED", "accuracy", ("SEED-IV",)): (62.92, None),
    ("EEGNet", "", "FACED", "balanced_accuracy", None): (40.90, 1.22),
    ("TSception", "", "FACED", "weighted_f1", None): (11.54, 3.01),
    ("LaBraM-Base", "", "SEED-V", "kappa", None): (23.86, 2.09),
    ("CBraMod", "", "SEED", "weighted_f1", None): (60.63, 0.96),
    ("MACTN", "", "SEED", "kappa", None): (37.18, 1.17),
    ("EMOD", "scratch", "SEED-V", "balanced_accuracy", ()): (38.47, 1.00),
    ("MS-MDA", "batch 256", "SEED", "accuracy", ()): (78.78, None),
}


def test_the_registry_holds_what_was_published() -> None:
    found = {
        (n.method, n.variant, n.target, n.metric, n.trained_on): (n.value, n.spread)
        for n in published_numbers()
        if n.what == "score"
    }
    for key, value in TABLES.items():
        assert found[key] == value, key
    emod = {(n.target, n.metric): n.value for n in published_numbers(method="emod")
            if n.method == "EMOD" and not n.variant}  # fmt: skip
    assert emod[("FACED", "balanced_accuracy")] == 62.87
    assert emod[("SEED-V", "kappa")] == 27.12
    assert emod[("SEED", "weighted_f1")] == 61.19
    # Ten rows of table 2 in full, LaBraM-Base without SEED.
    table_2 = [n for n in published_numbers() if "table 2" in n.source and "2511" in n.source]
    assert len(table_2) == 10 * 9 + 6


def test_no_table_of_scmm_is_known_and_none_is_made_up() -> None:
    numbers = published_numbers(method="scmm")
    assert [(n.what, n.value) for n in numbers if n.what == "gain"] == [("gain", 4.26)]
    # The only scores are another group's, on a corpus of its own.
    assert {n.target for n in numbers if n.what == "score"} == {"PME4"}
    assert all(n.variant for n in numbers if n.what == "score")


def test_every_number_says_where_it_comes_from() -> None:
    for number in published_numbers():
        assert number.mark in MARKS
        assert len(number.source) > 10
        assert number.mark != "inferred" or number.note
    assert published_numbers(method="emod", target="faced")
    assert published_numbers(method="nobody") == ()


META = {
    "source": ["SEED-IV"],
    "target": "SEED",
    "task": {"classes": "valence3-no-fear"},
    "classes": ["negative", "neutral", "positive"],
    "protocol": "cross-corpus/calibrated (transductive)",
    "selection": "oracle",
    "calibration_trials": 9,
}
NUMBER = {
    "method": "X",
    "trained_on": ["SEED-IV"],
    "target": "SEED",
    "classes": 3,
    "scheme": "valence3-no-fear",
    "protocol": "cross-corpus/calibrated (transductive)",
    "selection": "oracle",
    "calibration_trials": 9,
    "value": 50.0,
    "mark": "paper",
    "source": "somewhere",
}


def test_a_number_stands_beside_ours_only_if_everything_is_known_and_the_same() -> None:
    assert differences(PublishedNumber.model_validate(NUMBER), META) == []
    others = {
        "trained_on": [["DEAP"], [], None],
        "target": ["SEED-IV"],
        "scheme": ["valence3", None],
        "protocol": ["cross-corpus/calibrated", "cross-corpus/zero-shot", None],
        "selection": ["last", "validation", None],
        "calibration_trials": [6, None],
        "what": ["gain"],
    }
    for name, values in others.items():
        for value in values:
            number = PublishedNumber.model_validate({**NUMBER, name: value})
            assert len(differences(number, META)) == 1, (name, value)
    # A protocol without calibration trials does not ask for their number.
    zero = {**META, "calibration_trials": None, "protocol": "cross-corpus/zero-shot"}
    number = {**NUMBER, "calibration_trials": None, "protocol": "cross-corpus/zero-shot"}
    assert differences(PublishedNumber.model_validate(number), zero) == []


def test_no_published_score_of_another_protocol_matches_a_calibrated_cell() -> None:
    for selection in ("last", "oracle"):
        for protocol in ("cross-corpus/calibrated", "cross-corpus/calibrated (transductive)"):
            meta = {**META, "selection": selection, "protocol": protocol}
            assert [n.title for n in published_numbers() if not differences(n, meta)] == []


def test_numbers_are_printed_as_published() -> None:
    number = PublishedNumber.model_validate({**NUMBER, "value": 60.5, "spread": 5.4})
    assert number.text == "60.50 ± 5.40"
    gain = PublishedNumber.model_validate({**NUMBER, "what": "gain", "value": -4.3})
    assert gain.text == "-4.30"


def test_a_wrong_registry_names_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text(
        """
- shared: {method: A, mark: paper, source: there}
  numbers:
    - {value: 120, target: SEED}
    - {value: 50}
    - {value: 50, target: SEED, protocol: by-magic}
    - {value: 50, target: SEED, colour: blue}
    - {value: 50, target: SEED}
- numbers: []
""",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_published(path)
    text = str(caught.value)
    for words in ("0.0", "0.1", "needs a target", "by-magic", "colour", "  - 1:"):
        assert words in text
    assert "0.4" not in text
    path.write_text("just: this", encoding="utf-8")
    with pytest.raises(ConfigError, match="list of groups"):
        load_published(path)
    path.write_text("- shared: {method: A", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_published(path)
    with pytest.raises(ConfigError, match="can't be read"):
        load_published(tmp_path / "nothing.yaml")
