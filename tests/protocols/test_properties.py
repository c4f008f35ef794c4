"""Properties of every protocol on tables of trials drawn at random, against slow plain oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from affectrum.errors import ProtocolError
from affectrum.protocols import plan_folds
from affectrum.windows import Windows

CLASSES = ["a", "b"]
KEYS = ["corpus", "subject", "session", "row"]
OPTIONS: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    # Each example is a plan of many folds: what fails is found soon, making it smaller is slow.
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
QUICK = settings(max_examples=6, **OPTIONS)
LONG = settings(max_examples=10, **OPTIONS)


@st.composite
def corpora(draw: Any, name: str, shared_clips: bool) -> Windows:
    """A corpus of odd sizes: trials in any order, clips shared or not, words without a class."""
    n_subjects = draw(st.integers(2, 4))
    n_sessions = draw(st.integers(1, 3))
    n_trials = draw(st.integers(4, 7))
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng([seed, ord(name)])
    rows = []
    words = [*CLASSES, *rng.choice([*CLASSES, "c"], n_trials - 2)]
    for subject in rng.permutation(20)[:n_subjects] + 1:
        for session in range(1, n_sessions + 1):
            order = rng.permutation(n_trials) + 1
            for row in range(n_trials):
                clip = f"{row}" if shared_clips else f"{session}-{row}"
                for window in range(int(rng.integers(1, 3))):
                    rows.append(
                        {
                            "corpus": name,
                            "subject": int(subject),
                            "session": session,
                            "row": row + 1,
                            "trial": int(order[row]),
                            "clip": f"{name}/{clip}",
                            "film": f"film {row % 3}",
                            "series": f"film {row % 3}",
                            "emotion": words[row],
                            "window": window,
                            "start_s": float(window),
                        }
                    )
    table = pd.DataFrame(rows)
    x = rng.standard_normal((len(table), 2, 1)).astype(np.float32)
    return Windows.from_arrays(x, table, sfreq=None, channels=["Fz", "Cz"], recipe="r")


@st.composite
def three(draw: Any) -> list[Windows]:
    """Three corpora."""
    return [draw(corpora(name, draw(st.booleans()))) for name in ("A", "B", "C")]


PROTOCOLS = st.sampled_from(
    [
        ("within-subject", {}),
        ("within-subject", {"split": "trials:2/1/1"}),
        ("leave-one-subject-out", {}),
        ("cross-session", {}),
        ("cross-corpus/zero-shot", {"source": "B"}),
        ("cross-corpus/unsupervised", {"source": "B", "target_use": "others"}),
        ("cross-corpus/unsupervised", {"source": "B", "target_use": "calibration"}),
        ("cross-corpus/unsupervised", {"source": "B", "target_use": "test"}),
        ("cross-corpus/calibrated", {"source": "C"}),
        ("leave-one-corpus-out/zero-shot", {}),
        ("leave-one-corpus-out/unsupervised", {"target_use": "calibration"}),
        ("leave-one-corpus-out/calibrated", {}),
        ("leave-one-lab-out/zero-shot", {"labs": {"A": "x", "B": "x", "C": "y"}}),
        ("leave-one-lab-out/unsupervised", {"labs": {"A": "x", "B": "y", "C": "z"}}),
        ("leave-one-lab-out/calibrated", {"labs": {"A": "x", "B": "x", "C": "y"}}),
        ("pretrain-finetune", {"split": "subjects:1/0/1"}),
        ("pretrain-finetune", {"split": "trials:2/1/1", "source": ["B"]}),
        ("few-shot", {"shots": 1, "calibration_trials": 3}),
        ("few-shot", {"shots": 1, "calibration_trials": 3, "source": "B"}),
    ]
)


def plan(parts, protocol, options, **more):
    """Fold by fold, or None where the protocol refuses."""
    inside = protocol in ("within-subject", "leave-one-subject-out", "cross-session")
    windows = parts[:1] if inside else parts
    try:
        return list(
            plan_folds(windows, protocol, target="A", classes=CLASSES, **{**options, **more})
        )
    except ProtocolError:
        return None


def trials(table, keys=KEYS):
    return set(table[keys].itertuples(index=False, name=None))


def check_what_is_seen_is_never_tested(parts, chosen, selection):
    protocol, options = chosen
    folds = plan(parts, protocol, options, selection=selection)
    if folds is None:
        return
    target = parts[0].table
    in_class = trials(target[target["emotion"].isin(CLASSES)])
    tested: list[tuple[object, ...]] = []
    for fold in folds:
        test = trials(fold.tables["test"])
        tested += test
        assert test <= in_class
        for role, table in fold.tables.items():
            if role == "test" or (role == "unlabelled" and options.get("target_use") == "test"):
                continue
            assert not trials(table) & test
            corpora = set(table["corpus"])
            if role == "source" and "corpus" in protocol:
                assert "A" not in corpora
            elif role in ("calibration", "unlabelled"):
                assert corpora == {"A"}
        # whole trials: every window of a tested trial is tested
        whole = target.merge(pd.DataFrame(sorted(test), columns=KEYS), on=KEYS, how="inner")
        assert len(whole) == len(fold.test) == len(fold.test_rows)
        assert fold.audit().passed
        assert (selection == "validation") == (fold.access.validation is not None)
    # no trial is tested twice
    assert len(tested) == len(set(tested))
    if protocol.endswith("zero-shot") or protocol == "leave-one-subject-out":
        assert set(tested) == in_class


test_what_is_seen_is_never_tested = QUICK(
    given(three(), PROTOCOLS, st.sampled_from(["last", "validation"]))(
        check_what_is_seen_is_never_tested
    )
)
test_what_is_seen_is_never_tested_in_many_cases = pytest.mark.slow(
    LONG(
        given(three(), PROTOCOLS, st.sampled_from(["last", "validation"]))(
            check_what_is_seen_is_never_tested
        )
    )
)


@QUICK
@given(three(), PROTOCOLS)
def test_folds_do_not_depend_on_the_order_of_the_windows(parts, chosen):
    protocol, options = chosen
    folds = plan(parts, protocol, options)
    order = np.random.default_rng(1).permutation(len(parts[0]))
    # windows of a trial stay together and in order, as readers give them
    table = parts[0].table.assign(_at=order)
    first = table.groupby(KEYS)["_at"].transform("min")
    shuffled = parts[0].select(np.lexsort((table["window"], first)))
    again = plan([shuffled, *parts[1:]], protocol, options)
    assert (folds is None) == (again is None)
    for mine, theirs in zip(folds or [], again or [], strict=True):
        assert mine.id == theirs.id
        for role, rows in mine.tables.items():
            if protocol == "few-shot" and role == "calibration":
                continue  # shots are drawn from the windows as they are given
            assert set(rows["id"]) == set(theirs.tables[role]["id"])


def slow_disjoint(parts, plain, level):
    """Trials of each role that share no stimulus with the test, one by one."""
    names = {}
    for part in parts:
        for row in part.table.itertuples():
            names[row.corpus, row.subject, row.session, row.row] = getattr(row, level)
    tested = {names[trial] for trial in trials(plain.tables["test"])}
    return {
        role: {trial for trial in trials(table) if names[trial] not in tested}
        for role, table in plain.tables.items()
        if role != "test"
    }, names


def check_nothing_of_a_tested_stimulus_is_seen(parts, chosen, level):
    protocol, options = chosen
    if options.get("target_use") == "test":
        return
    plain = plan(parts, protocol, options)
    folds = plan(parts, protocol, options, stimulus_disjoint=level)
    if plain is None or folds is None:
        return
    control = plan(parts, protocol, options, stimulus_disjoint=level, stimulus_control=True)
    assert control is not None
    assert [fold.id for fold in control] == [fold.id for fold in folds]
    by_id = {fold.id: fold for fold in plain}
    tested = []
    for fold, matched in zip(folds, control, strict=True):
        assert fold.audit().passed
        assert fold.protocol.endswith(f"{level}-disjoint)")
        assert matched.protocol.endswith(f"{level}-disjoint control)")
        before = by_id[fold.id.split(f"/{level}-group")[0]]
        _, names = slow_disjoint(parts, before, level)
        held = {names[trial] for trial in trials(fold.tables["test"])}
        tested += trials(fold.tables["test"])
        assert trials(matched.tables["test"]) == trials(fold.tables["test"])
        for role, table in fold.tables.items():
            if role == "test":
                continue
            seen = {names[trial] for trial in trials(table)}
            assert not seen & held, role
            if protocol == "few-shot" and role == "calibration":
                continue
            assert trials(table) <= trials(before.tables[role])
            assert len(trials(matched.tables[role])) == len(trials(table))
            if fold.id == before.id and protocol != "leave-one-subject-out":
                assert trials(table) == slow_disjoint(parts, before, level)[0][role]
    # the same trials are tested with the modifier as without, once each
    assert sorted(tested) == sorted(
        trial for fold in plain for trial in trials(fold.tables["test"])
    )


test_nothing_of_a_tested_stimulus_is_seen = QUICK(
    given(three(), PROTOCOLS, st.sampled_from(["clip", "film"]))(
        check_nothing_of_a_tested_stimulus_is_seen
    )
)
test_nothing_of_a_tested_stimulus_is_seen_in_many_cases = pytest.mark.slow(
    LONG(
        given(three(), PROTOCOLS, st.sampled_from(["clip", "film"]))(
            check_nothing_of_a_tested_stimulus_is_seen
        )
    )
)


@QUICK
@given(three(), st.integers(1, 4), st.integers(0, 3))
def test_first_trials_are_the_first_as_presented(parts, k, extra):
    for protocol, options, role in (
        ("cross-corpus/calibrated", {}, "calibration"),
        ("cross-corpus/unsupervised", {"target_use": "calibration"}, "unlabelled"),
    ):
        folds = plan(
            parts, protocol, {"source": "B", **options}, calibration_trials=k, test_after=k + extra
        )
        if folds is None:
            return
        for fold in folds:
            table = parts[0].table
            mine = table[(table["subject"] == int(fold.subject)) & (table["session"] == 1)]
            mine = mine[mine["emotion"].isin(CLASSES)].drop_duplicates("row").sort_values("trial")
            assert set(fold.tables[role]["row"]) == set(mine["row"].iloc[:k])
            assert set(fold.tables["test"]["row"]) == set(mine["row"].iloc[k + extra :])
