"""Shared results: the same scores without names or signals, and nothing that can't be trusted."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_helpers import write_plan, write_result

from affectrum.benchmark import audit_record, load_record, score_table
from affectrum.benchmark.files import canonical_json, sha256
from affectrum.benchmark.merge import merge_files
from affectrum.benchmark.share import KeyedNames, read_key, share_run
from affectrum.benchmark.share_format import Limits
from affectrum.errors import ConfigError, LeakError, StoreError

TASK = {"source": "SEED-IV", "target": "SEED", "calibration_trials": 9}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labs' runs, shared under one key."""
    place = tmp_path_factory.mktemp("labs")
    key = place / "key.txt"
    key.write_text("0123456789abcdef0123\n")
    write_plan(place / "a", [write_result(place / "a", TASK, "scmm", 0.6)], "lab a")
    others = [
        write_result(place / "b", TASK, "svm", 0.2),
        write_result(place / "b", {**TASK, "selection": "oracle"}, "svm", 0.2, epochs=3),
        write_result(place / "b", {"target": "SEED", "protocol": "leave-one-subject-out"}, "s", 0),
    ]
    write_plan(place / "b", others, "lab b")
    for lab in "ab":
        share_run(place / lab, place / f"{lab}.zip", key=key)
    return place


def scores(run: Path) -> list[dict[str, Any]]:
    table = score_table(load_record(run), n_replicates=20, n_permutations=10)
    return table.to_dict(orient="records")


def test_the_joined_table_has_the_labs_own_scores(place: Path, tmp_path: Path) -> None:
    report = merge_files([place / "a.zip", place / "b.zip"], tmp_path / "m")
    assert report.ok
    assert [new for _, new in report.joined] == [1, 3]
    assert report.cautions == []
    joined = scores(tmp_path / "m")
    own = [*scores(place / "a"), *scores(place / "b")]
    assert len(joined) == 4
    for mine, theirs in zip(joined, own, strict=True):
        for name in ("task", "method", "protocol", "access", "selection", "simulated", "audit"):
            assert mine[name] == theirs[name]
        # which subject comes first differs, so that only rounding and draws do
        for name in ("balanced_accuracy", "balanced_accuracy_sd", "macro_f1", "ece", "nll"):
            assert mine[name] == pytest.approx(theirs[name], abs=1e-6)
    assert audit_record(tmp_path / "m")["passed"].all()


def test_one_key_pairs_subjects_of_two_labs_and_two_keys_do_not(
    place: Path, tmp_path: Path
) -> None:
    from affectrum.report.results import group_results

    merge_files([place / "a.zip", place / "b.zip"], tmp_path / "m")
    (task,) = [t for t in group_results(load_record(tmp_path / "m")) if len(t.methods) == 2]
    assert {m.label for m in task.methods} == {"scmm", "svm"}
    (pair,) = task.pairs.to_dict(orient="records")
    assert pair["n_subjects"] == 6
    assert pair["n_clips"] == 15
    # the very differences of each person, computed from the labs' own files
    own = {
        lab: load_record(place / lab)[0].predictions.assign(
            right=lambda t: t["y_true"] == t["y_pred"]
        )
        for lab in "ab"
    }
    gaps = [
        own[lab].groupby(["subject", "y_true"])["right"].mean().groupby("subject").mean()
        for lab in "ab"
    ]
    assert pair["difference"] == pytest.approx(float((gaps[0] - gaps[1]).mean()), abs=1e-9)
    share_run(place / "b", tmp_path / "other.zip")
    report = merge_files([place / "a.zip", tmp_path / "other.zip"], tmp_path / "n")
    assert report.ok
    assert "different keys" in report.cautions[0]
    assert all(len(t.methods) == 1 for t in group_results(load_record(tmp_path / "n")))


def test_nothing_private_is_in_the_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_result(
        run,
        {**TASK, "recipe": "/home/adalovelace/secret/mine.yaml", "subjects": [1, 2, 3, 4, 5, 6]},
        "svm",
        0.3,
        config={
            "c": 1.0,
            "weights": "/home/adalovelace/secret/w.bin",
            "deep": [{"x": "C:\\data\\y"}],
        },
        changes={
            "corpora": {"SEED": {"options": {"path": "/home/adalovelace"}}},
            "unknown": "private",
        },
    )
    share_run(run, tmp_path / "f.zip")
    everything = (tmp_path / "f.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        for info in archive.infolist():
            everything += archive.read(info)
    for word in (
        b"adalovelace",
        b"secret",
        b"private",
        b"SEED/3",
        b"SEED-film",
        b"a note",
        b"y.bin",
    ):
        assert word not in everything, word
    # utf-32 text of arrays too: clips are "SEED/01" and the like
    assert "SEED/".encode("utf-32-le") not in everything
    merge_files([tmp_path / "f.zip"], tmp_path / "m")
    (cell,) = load_record(tmp_path / "m")
    table = cell.predictions
    assert not set(table["subject"]) & set(range(1, 100))
    assert table["trial"].isna().all()
    assert table["subject"].nunique() == 6
    assert table["clip"].nunique() == 15
    # one clip has one name for all subjects
    assert (table.groupby("clip")["subject"].nunique() == 6).all()
    assert cell.meta["task"]["recipe"].startswith("own-")


def test_the_order_tells_no_subject_number(place: Path, tmp_path: Path) -> None:
    merge_files([place / "a.zip"], tmp_path / "m")
    (cell,) = load_record(tmp_path / "m")
    key = KeyedNames(read_key(place / "key.txt"))
    number = {key.subject("SEED", s, ["SEED"]): s for s in range(1, 7)}
    order = [number[s] for s in dict.fromkeys(cell.predictions["subject"].tolist())]
    assert sorted(order) == [1, 2, 3, 4, 5, 6]
    assert order != sorted(order)
    assert [fold["id"] for fold in cell.meta["folds"]] == sorted(
        fold["id"] for fold in cell.meta["folds"]
    )


def test_names_depend_on_the_key_and_on_every_part() -> None:
    one, other = KeyedNames(b"a" * 32), KeyedNames(b"b" * 32)
    assert one.number("subject", "SEED", 1) == KeyedNames(b"a" * 32).number("subject", "SEED", 1)
    assert one.number("subject", "SEED", 1) != other.number("subject", "SEED", 1)
    assert one.text("a", "bc") != one.text("ab", "c")
    assert one.id != other.id
    assert "a" * 8 not in repr(one)
    assert 0 < one.number("x") < 2**62


@pytest.mark.parametrize("content", ["", "short", " " * 40])
def test_a_key_must_be_a_secret(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigError, match="at least 16"):
        read_key(tmp_path / "key")
    with pytest.raises(ConfigError, match="can't be read"):
        read_key(tmp_path / "none")


def test_equal_runs_make_equal_files(place: Path, tmp_path: Path) -> None:
    share_run(place / "a", tmp_path / "again.zip", key=place / "key.txt")
    assert (tmp_path / "again.zip").read_bytes() == (place / "a.zip").read_bytes()


def test_a_failed_audit_is_not_shared(tmp_path: Path) -> None:
    write_result(tmp_path / "run", TASK, "svm", 0.3, leak=True)
    with pytest.raises(LeakError, match="not shared"):
        share_run(tmp_path / "run", tmp_path / "f.zip")
    assert not (tmp_path / "f.zip").exists()


def test_a_declared_leak_is_shared_and_stays_declared(tmp_path: Path) -> None:
    task = {**TASK, "declared_leaks": ["trials"]}
    write_result(tmp_path / "run", task, "svm", 0.3, leak=True, declared=["trials"])
    share_run(tmp_path / "run", tmp_path / "f.zip")
    assert merge_files([tmp_path / "f.zip"], tmp_path / "m").ok
    assert scores(tmp_path / "m")[0]["audit"] == "declared: trials"


def test_joined_runs_are_not_shared(place: Path, tmp_path: Path) -> None:
    write_result(tmp_path / "run", TASK, "svm", 0.3)
    write_result(tmp_path / "run", TASK, "svm", 0.0, changes={"control": "labels-by-trial"})
    report = share_run(tmp_path / "run", tmp_path / "f.zip", controls=False)
    assert (report.cells, report.controls, report.left_out) == (1, 0, 1)
    assert not report.matched
    merge_files([tmp_path / "f.zip"], tmp_path / "m")
    with pytest.raises(ConfigError, match="joined from shared files"):
        share_run(tmp_path / "m", tmp_path / "g.zip")
    with pytest.raises(ConfigError, match="own numbers"):
        merge_files([tmp_path / "f.zip"], tmp_path / "run")
    with pytest.raises(ConfigError, match="No file"):
        merge_files([], tmp_path / "x")
    (tmp_path / "empty" / "cells").mkdir(parents=True)
    with pytest.raises(StoreError, match="no finished score"):
        share_run(tmp_path / "empty", tmp_path / "g.zip")


def test_joining_again_adds_nothing(place: Path, tmp_path: Path) -> None:
    files = [place / "a.zip", place / "b.zip"]
    merge_files(files, tmp_path / "m")
    before = {p: p.read_bytes() for p in (tmp_path / "m").rglob("*.npz")}
    again = merge_files(files, tmp_path / "m")
    assert [new for _, new in again.joined] == [0, 0]
    assert again.cautions == []
    assert len(load_record(tmp_path / "m")) == 4
    assert {p: p.read_bytes() for p in (tmp_path / "m").rglob("*.npz")} == before


# ---------------------------------------------------------------------------- changed files


def rewrite(
    source: Path,
    target: Path,
    change: Callable[[dict[str, bytes]], None] | None = None,
    *,
    reseal: bool = True,
) -> Path:
    """Write a file with changed members; `reseal` also corrects digests and seal."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if change is not None:
        change(members)
    if reseal:
        manifest = json.loads(members["manifest.json"])
        for cell in manifest["cells"]:
            for name, entry in cell["files"].items():
                data = members[f"cells/{cell['name']}/{name}"]
                entry["bytes"], entry["sha256"] = len(data), sha256(data)
        manifest.pop("seal")
        manifest["seal"] = sha256(canonical_json(manifest).encode())
        members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def on_cell(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def apply(members: dict[str, bytes]) -> None:
        name = next(n for n in members if n.endswith("cell.json"))
        content = json.loads(members[name])
        change(content)
        members[name] = json.dumps(content).encode()

    return apply


def on_array(
    which: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[dict[str, bytes]], None]:
    def apply(members: dict[str, bytes]) -> None:
        name = next(n for n in members if n.endswith(f"/{which}.npy"))
        buffer = io.BytesIO()
        np.save(buffer, change(np.load(io.BytesIO(members[name]))), allow_pickle=True)
        members[name] = buffer.getvalue()

    return apply


def raw(which: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    def apply(members: dict[str, bytes]) -> None:
        members[next(n for n in members if n.endswith(f"/{which}.npy"))] = data

    return apply


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def check(content: dict[str, Any], name: str) -> dict[str, Any]:
    checks = content["folds"][0]["certificate"]["checks"]
    return next(c for c in checks if c["name"] == name)


def drop_checks(content: dict[str, Any]) -> None:
    content["folds"][0]["certificate"]["checks"] = []


def first_trial_only(array: np.ndarray) -> np.ndarray:
    return np.zeros_like(array)


def rename(content: dict[str, Any], protocol: str) -> None:
    content["protocol"] = protocol
    for fold in content["folds"]:
        fold["protocol"] = fold["certificate"]["protocol"] = protocol


def fewer_trials(content: dict[str, Any]) -> None:
    content["calibration_trials"] = content["task"]["calibration_trials"] = 1


LIES = {
    "no certificate": (on_cell(drop_checks), "no certificate"),
    "a failed check": (on_cell(lambda c: check(c, "scalers").update(passed=False)), "scalers"),
    "another count": (on_cell(lambda c: check(c, "trials").update(measured=2)), "not about these"),
    "not required": (on_cell(lambda c: check(c, "trials").update(required=False)), "not require"),
    "another protocol's certificate": (
        on_cell(lambda c: c["folds"][0]["certificate"].update(protocol="within-subject")),
        "no certificate",
    ),
    "calibration that is the test": (on_array("member_trial", first_trial_only), ""),
    "predictions of other trials": (on_array("row", lambda a: a + 1), "not of the trials"),
    "transductive under another name": (
        on_cell(lambda c: c.update(scaling="per-subject")),
        "don't agree",
    ),
    "a modifier that it did not keep": (
        on_cell(lambda c: rename(c, "cross-corpus/calibrated (clip-disjoint)")),
        "don't agree on clip-disjoint",
    ),
    "folds of another name": (
        on_cell(lambda c: c["folds"][0].update(scaling="causal")),
        "scaling of its folds",
    ),
    "a task that says otherwise": (
        on_cell(lambda c: c["task"].update(scaling="per-subject")),
        "is not that of its task",
    ),
    "an exception that nobody declared": (
        on_cell(lambda c: c["folds"][0]["certificate"].update(declared=["clip"])),
        "does not declare",
    ),
    "fewer first trials": (on_cell(fewer_trials), "first trials where the score says 1"),
    "oracle under another name": (on_cell(lambda c: c.update(selection="oracle")), "selection"),
    "another protocol": (
        on_cell(lambda c: c.update(protocol="cross-corpus/zero-shot", base="within-subject")),
        "not that of its task",
    ),
    "fewer grants": (on_cell(lambda c: c.update(grants=["source_signals"])), "grants"),
    "another source": (on_cell(lambda c: c.update(source=["DEAP"])), "corpora"),
    "an invalid task": (on_cell(lambda c: c["task"].update(protocol="psychic")), "task"),
    "scores that are none": (on_array("scores", lambda a: a * 2), "no class probabilities"),
    "scores that are not finite": (
        on_array("scores", lambda a: np.full_like(a, np.nan)),
        "no class probabilities",
    ),
    "a class that is none": (on_array("y_true", lambda a: a + 7), "can't be"),
    "a fold that is none": (on_array("fold", lambda a: a - 1), "can't be"),
    "a shorter array": (on_array("window", lambda a: a[1:]), "different lengths"),
    "objects": (on_array("y_true", lambda a: a.astype(object)), "expected kind"),
    "another kind of number": (on_array("y_true", lambda a: a.astype(float)), "expected kind"),
    "a giant array": (
        raw("y_true", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (999999999999,)}")),
        "does not hold",
    ),
    "a negative shape": (
        raw("y_true", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}", b"12345678")),
        "does not hold",
    ),
    "code in the header": (
        raw("y_true", npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}")),
        "can't be read",
    ),
    "no array": (raw("y_true", b"PK\x03\x04 something"), "can't be read"),
    "an unknown field": (on_cell(lambda c: c.update(evil=1)), "not valid"),
    "control characters": (on_cell(lambda c: c.update(task_title="\x1b[31mred")), "not valid"),
    "writing from right to left": (
        on_cell(lambda c: c["method"].update(label="\u202eevil")),
        "not valid",
    ),
    "a long name": (on_cell(lambda c: c.update(target="x" * 10_000)), "not valid"),
    "a number as text": (on_cell(lambda c: c.update(seed="1")), "not valid"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_does_not_fit_is_refused(place: Path, tmp_path: Path, lie: str) -> None:
    change, told = LIES[lie]
    file = rewrite(place / "a.zip", tmp_path / "lie.zip", change)
    report = merge_files([file], tmp_path / "m")
    ((refused, reason),) = report.refused
    assert refused == file
    assert told in reason, reason
    assert not (tmp_path / "m").exists()


def test_a_refused_file_does_not_stop_the_others(place: Path, tmp_path: Path) -> None:
    file = rewrite(place / "a.zip", tmp_path / "lie.zip", LIES["a failed check"][0])
    report = merge_files([file, place / "b.zip"], tmp_path / "m")
    assert not report.ok
    assert [path for path, _ in report.joined] == [place / "b.zip"]
    assert len(load_record(tmp_path / "m")) == 3


def test_an_honest_rewrite_is_accepted(place: Path, tmp_path: Path) -> None:
    assert merge_files([rewrite(place / "a.zip", tmp_path / "a.zip")], tmp_path / "m").ok


DAMAGE: dict[str, Callable[[dict[str, bytes]], None]] = {
    "a changed score": on_array("scores", lambda a: a[:, ::-1]),
    "a changed cell": on_cell(lambda c: c.update(seed=5)),
    "a stray member": lambda m: m.update({"../../evil.py": b"import os"}),
    "a missing member": lambda m: m.pop(next(n for n in m if n.endswith("clip.npy"))) and None,
    "a changed manifest": lambda m: m.update(
        {"manifest.json": m["manifest.json"].replace(b"lab a", b"lab x")}
    ),
    "no manifest": lambda m: m.pop("manifest.json") and None,
    "another format": lambda m: m.update({"manifest.json": b'{"format": "other"}'}),
    "a manifest that is a list": lambda m: m.update({"manifest.json": b"[1, 2]"}),
    "a manifest that is no text": lambda m: m.update({"manifest.json": b"\xff\xfe"}),
    "a manifest without end": lambda m: m.update({"manifest.json": b"[" * 100_000}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(place: Path, tmp_path: Path, damage: str) -> None:
    file = rewrite(place / "a.zip", tmp_path / "f.zip", DAMAGE[damage], reseal=False)
    report = merge_files([file], tmp_path / "m")
    assert len(report.refused) == 1
    assert not (tmp_path / "m").exists()
    assert not list(tmp_path.rglob("evil.py"))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(place: Path, tmp_path: Path, share: float) -> None:
    data = (place / "a.zip").read_bytes()
    (tmp_path / "f.zip").write_bytes(data[: int(share * len(data))])
    assert merge_files([tmp_path / "f.zip"], tmp_path / "m").refused


def test_any_flipped_byte_is_refused_or_harmless(place: Path, tmp_path: Path) -> None:
    data = (place / "a.zip").read_bytes()
    (good,) = load_and_merge(place / "a.zip", tmp_path / "good")
    rng = np.random.default_rng(0)
    for number, position in enumerate(rng.integers(0, len(data), 25)):
        changed = bytearray(data)
        changed[position] ^= 1 << int(rng.integers(8))
        file = tmp_path / f"{number}.zip"
        file.write_bytes(changed)
        found = load_and_merge(file, tmp_path / str(number))
        # times and flags of the archive are not under the seal, and change nothing
        assert found in ([], [good])


def load_and_merge(file: Path, out: Path) -> list[tuple[str, str]]:
    if merge_files([file], out).refused:
        return []
    return [(c.digest, str(c.meta["files"])) for c in load_record(out)]


def test_a_file_that_unpacks_to_too_much_is_refused(place: Path, tmp_path: Path) -> None:
    bomb = rewrite(place / "a.zip", tmp_path / "bomb.zip", raw("scores", b"\0" * 50_000_000))
    assert bomb.stat().st_size < 500_000
    for limits in (
        Limits(member_bytes=1_000_000),
        Limits(total_bytes=1_000_000),
        Limits(file_bytes=1000),
        Limits(members=3),
        Limits(json_bytes=100),
    ):
        report = merge_files([bomb], tmp_path / "m", limits=limits)
        assert re.search(r"bytes|at most", report.refused[0][1]), report.refused


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    report = merge_files([tmp_path / "none.zip"], tmp_path / "m")
    assert report.refused[0][0] == tmp_path / "none.zip"


def test_labs_that_number_subjects_differently_are_not_joined(place: Path, tmp_path: Path) -> None:
    """Same key, same task, other classes of the same trials: the data is not the same."""
    file = rewrite(place / "b.zip", tmp_path / "b.zip", on_array("y_true", lambda a: (a + 1) % 3))
    report = merge_files([place / "a.zip", file], tmp_path / "m")
    assert "have another class" in report.refused[0][1]


def test_one_cell_with_two_results_is_told(place: Path, tmp_path: Path) -> None:
    file = rewrite(place / "a.zip", tmp_path / "f.zip", on_array("scores", lambda a: a[::-1]))
    report = merge_files([place / "a.zip", file], tmp_path / "m")
    assert report.ok
    (caution,) = report.cautions
    assert "with other scores" in caution
    assert scores(tmp_path / "m")[0]["balanced_accuracy"] == pytest.approx(
        scores(place / "a")[0]["balanced_accuracy"]
    )
