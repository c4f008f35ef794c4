"""``affectrum twin``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from affectrum.cli.console import make_console, progress

__all__ = ["twin"]


def twin(
    corpus: str,
    folder: Path,
    /,
    *,
    size: Literal["tiny", "small", "full"] = "small",
    subjects: int | None = None,
    sessions: int | None = None,
    trial_seconds: float | None = None,
    seed: int = 0,
    setting: Literal["default", "easy", "null", "stress"] = "default",
    form: list[str] | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> None:
    """Write a layout twin: a simulated corpus in the vendor's own layout.

    Simulated EEG proves software, not science: see docs/twins.md.

    Parameters
    ----------
    corpus
        The corpus whose layout is written.
    folder
        Where to write it; a folder that does not exist yet or is empty.
    size
        How many subjects, sessions and seconds; the next three options override it.
    subjects
        Number of subjects.
    sessions
        Number of sessions per subject.
    trial_seconds
        Seconds of signal per trial.
    seed
        The same seed gives the same bytes.
    setting
        default; easy: a strong planted effect; null: no emotion in the signal; stress: the clip's
        own signature is stronger than the emotion.
    form
        Which of the vendor's forms to write (may be given several times).
    workers
        Processes.
    quiet
        No progress display.
    """
    from affectrum.twins import SIZES, TwinSettings, write_twin

    n_subjects, n_sessions, seconds = SIZES[size]
    settings = TwinSettings() if setting == "default" else getattr(TwinSettings, setting)()
    with progress(f"twin of {corpus}", quiet=quiet) as advance:
        written = write_twin(
            corpus,
            folder,
            subjects=subjects if subjects is not None else n_subjects,
            sessions=sessions if sessions is not None else n_sessions,
            trial_seconds=trial_seconds if trial_seconds is not None else seconds,
            seed=seed,
            settings=settings,
            forms=form,
            workers=workers,
            progress=advance,
        )
    make_console().print(
        f"Wrote a simulated {corpus} to {written}. It holds no person's data.",
        markup=False,
        soft_wrap=True,
    )
