"""Damage of every kind to every corpus: each ends in a report that names the file and the mending.

Or in an error of the package's own; never in a foreign one, a crash, a hang, code that was run, or
memory that grows with what a file promises. The long run over all files is in `test_fuzz.py`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from corpora_damage import KINDS, SIGNALS_ONLY, examine, marker

import affectrum as af

MOST_BYTES = 500_000_000
MOST_SECONDS = 20.0


class Patient:
    """One corpus folder that is damaged and healed again and again."""

    def __init__(self, case, sound: Path, top: Path, options) -> None:
        self.name, self.form = case
        self.options = options
        self.sound = sound
        self.folder = Path(shutil.copytree(sound, top / self.name))
        report = af.corpora.check_folder(
            self.name, self.folder, form=self.form, deep=True, options=options
        )
        assert report.usable, str(report)
        self.before = report.problems
        corpus = af.open_corpus(self.name, self.folder, form=self.form, options=options)
        self.has_signals = self.form in corpus.signal_forms
        self.trials_vary = corpus.facts.trials_vary
        self.file = corpus.trials["file"].iloc[0]
        data = set(corpus.trials["file"])
        every = (p.relative_to(sound).as_posix() for p in sorted(sound.rglob("*")) if p.is_file())
        self.companions = [name for name in every if name not in data and "SIMULATED" not in name]

    def heal(self, file: str) -> None:
        """Bring the folder back as it was, times of files included."""
        place = (self.folder / file).parent
        for path in place.iterdir():
            twin = self.sound / path.relative_to(self.folder)
            if path.is_symlink() or not twin.exists() or (path.is_dir() and twin.is_file()):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        target, source = self.folder / file, self.sound / file
        if not target.exists() or target.stat().st_mtime_ns != source.stat().st_mtime_ns:
            target.unlink(missing_ok=True)
            shutil.copy2(source, target)


@pytest.fixture(scope="module")
def patients(tmp_path_factory, sound_one, layouts):
    found = {}
    top = tmp_path_factory.mktemp("patients")

    def patient(case):
        if case not in found:
            options = layouts.layout_of(*case).options
            place = top / "-".join(case)
            found[case] = Patient(case, sound_one(*case), place, options)
        return found[case]

    return patient


@pytest.fixture
def patient(any_case, patients, monkeypatch, tmp_path_factory):
    # one cache for all kinds of damage: only the damaged file has to be read again
    monkeypatch.setenv("AFFECTRUM_CACHE", str(tmp_path_factory.getbasetemp() / "cache-of-patients"))
    return patients(any_case)


@pytest.fixture(scope="module")
def stranger(sound_one):
    """Return a file that belongs to another corpus than the case's."""

    def file(name):
        other = ("DEAP", "python") if name != "DEAP" else ("SEED", "preprocessed")
        folder = sound_one(*other)
        return next(p for p in sorted(folder.rglob("*")) if p.suffix in (".dat", ".mat"))

    return file


def peak_bytes() -> int:
    """Return the most memory this process had since `forget_peak` (Linux only, else 0)."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(text.split("VmHWM:")[1].split()[0])


def forget_peak() -> None:
    if sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            pytest.skip("this system does not let a process forget its peak of memory")


def harmed(patient, file, kind, stranger, *, deep=True):
    """Damage a file, examine the folder, heal it; return what is new in the report, or None."""
    path = patient.folder / file
    try:
        if kind.harm(path, stranger(patient.name)) is False:
            return None
        forget_peak()
        before, start = peak_bytes(), time.perf_counter()
        report = examine(patient.name, patient.folder, patient.form, patient.options, deep=deep)
        assert time.perf_counter() - start < MOST_SECONDS
        assert peak_bytes() - before < MOST_BYTES
        assert not marker(path).exists(), "code of the file was run"
    finally:
        marker(path).unlink(missing_ok=True)
        patient.heal(file)
    for problem in report.problems:
        assert problem.what
        assert problem.fix or problem.level == "note", problem
    return [problem for problem in report.problems if problem not in patient.before]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_ends_in_a_report(any_case, kind, request, stranger):
    # A quarter of the kinds for each corpus, another quarter for the next one: kinds differ by
    # container, and several corpora share each.
    turn = list(KINDS).index(kind) + sum(map(ord, "".join(any_case)))
    if turn % 4 and not os.environ.get("AFFECTRUM_DAMAGE"):
        pytest.skip("AFFECTRUM_DAMAGE=all does every kind of damage to every corpus")
    patient = request.getfixturevalue("patient")
    new = harmed(patient, patient.file, KINDS[kind], stranger)
    if new is None or not KINDS[kind].noticed:
        return
    if kind in SIGNALS_ONLY and not patient.has_signals:
        return
    if kind in ("missing", "another extension") and patient.trials_vary:
        return  # nobody can tell that a subject was there
    if patient.file.endswith((".csv", ".tsv", ".txt")) and kind.startswith("cut"):
        return  # text that ends early is a shorter recording
    path = Path(patient.file)
    signs = (path.name, path.stem, "subject")
    if kind in ("missing", "another extension", "a folder instead") or "a link to" in kind:
        signs += ("no trial", f"no {patient.name} data")  # it was the only one
    found = [p for p in new if any(sign in f"{p.where} {p.what}" for sign in signs)]
    assert found, f"{kind} of {patient.file} was not noticed: {[str(p) for p in new]}"
    assert all(p.fix for p in found if p.level != "note")


COMPANION_KINDS = (
    "cut in the middle",
    "empty",
    "bits flipped",
    "a page instead",
    "a pickle that runs code",
    "missing",
    "a link to itself",
    "a folder instead",
    "nines in the header",
    "NaN",
)


@pytest.mark.timeout(300)
def test_damage_to_what_lies_beside_the_signals(any_case, patient, stranger):
    """Label tables, sidecars and events: one of each kind of file, by its extension."""
    chosen = {}
    for file in patient.companions:
        chosen.setdefault(_family(file), file)
    for file in list(chosen.values())[:8]:
        for kind in COMPANION_KINDS:
            harmed(patient, file, KINDS[kind], stranger, deep=False)


def _family(file: str) -> str:
    letters = "".join(c for c in Path(file).name if not c.isdigit())
    return letters


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_a_fault_of_that_file(any_case, patient):
    path = patient.folder / patient.file
    path.chmod(0)
    try:
        report = examine(patient.name, patient.folder, patient.form, patient.options)
    finally:
        path.chmod(0o644)
    found = [p for p in report.of_level("error") if path.name in f"{p.where} {p.what}"]
    assert found
    assert "permission" in f"{found[0].what} {found[0].fix}".lower()
