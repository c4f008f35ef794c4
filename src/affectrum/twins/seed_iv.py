"""The layout of SEED-IV: eeg_raw_data and eeg_feature_smooth, one folder per session."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from affectrum.catalog import seed_iv as facts
from affectrum.twins import seed
from affectrum.twins.files import write_mat, write_text
from affectrum.twins.jobs import Job, Layout

__all__ = ["DEFAULT_FORMS", "FORMS", "MIN_SECONDS", "jobs"]

FORMS = ("raw", "features")
DEFAULT_FORMS = ("raw",)
WINDOW_S = 4.0
MIN_SECONDS = {"features": 5.0}


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    yield Job(Path("ReadMe.txt"), _write_readme, small=True)
    for form in layout.forms:
        top = Path("eeg_raw_data" if form == "raw" else "eeg_feature_smooth")
        for subject in layout.subjects:
            for session in layout.sessions:
                path = top / str(session) / f"{facts.FILES[session - 1][subject - 1]}.mat"
                writer = _write_signals if form == "raw" else _write_features
                yield Job(path, partial(writer, layout, subject, session))


def _write_readme(path: Path) -> None:
    lines = ["The labels of the trials of each session:", ""]
    for session, labels in enumerate(facts.LABELS, start=1):
        codes = ",".join(str(code) for code in labels)
        lines.append(f"session{session}_label = [{codes}];")
    names = ", ".join(f"{code} {word}" for code, word in facts.FACTS.label_codes.items())
    lines += ["", f"The labels mean: {names}.", ""]
    write_text(path, "\n".join(lines))


def _write_signals(layout: Layout, subject: int, session: int, path: Path) -> None:
    variables = seed.signals(layout.generator, subject, session)
    write_mat(path, variables, compress=layout.compress)


def _write_features(layout: Layout, subject: int, session: int, path: Path) -> None:
    variables = seed.features(layout.generator, subject, session, WINDOW_S, facts.FEATURES)
    write_mat(path, variables, compress=layout.compress)
