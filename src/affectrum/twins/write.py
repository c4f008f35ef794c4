"""Write a twin: the vendor's tree, a mark that it is simulated, and the truth behind it."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from affectrum import catalog
from affectrum.errors import ConfigError, FolderError, check_option
from affectrum.twins.files import write_text
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.settings import TwinSettings

__all__ = ["MARK", "TRUTH", "names", "twin_truth", "write_twin"]

MARK = "SIMULATED.txt"
TRUTH = "simulated_truth.json"

_MARK_TEXT = """\
SIMULATED DATA

This folder has the layout of {title} ({name}), but it holds no person's data.
Every signal and every rating in it was computed by Affectrum from a random seed.
It shows whether software works. It shows nothing about people, brains or emotions, and nothing
about which method is better on real recordings.
"""

Progress = Callable[[int, int, str], object]


def module_name(corpus: str) -> str:
    """Return the module of a corpus's twin, e.g. "seed_iv" for "SEED-IV"."""
    return corpus.casefold().replace("-", "_")


def names() -> tuple[str, ...]:
    """Return the corpora that twins can be written of: those with a module named after them."""
    package = importlib.import_module("affectrum.twins")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return tuple(name for name in catalog.names() if module_name(name) in modules)


def write_twin(
    corpus: str,
    folder: str | os.PathLike[str],
    *,
    subjects: int | Sequence[int] | None = None,
    sessions: int | Sequence[int] | None = None,
    trial_seconds: float | None = None,
    seed: int = 0,
    settings: TwinSettings | None = None,
    forms: Sequence[str] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    tree: str = "new",
    compress: bool = True,
) -> Path:
    """Write a simulated corpus in the vendor's own layout.

    All trials are written, each with the vendor's number of channels, rate, unit, names and
    quirks. The folder is marked by ``SIMULATED.txt`` (there and in each folder of data), and
    ``simulated_truth.json`` holds the settings and what no real corpus tells: every subject's
    response, every clip's point, and what was felt in every trial. Files appear only when they
    are complete; the same call continues what was interrupted, and one with more subjects,
    sessions or forms adds them.

    Parameters
    ----------
    corpus : str
        Whose layout; `names` lists them.
    folder : path
        An empty or new folder, or one with an earlier twin of the same seed and settings.
    subjects, sessions : int or sequence of int, optional
        How many (the first ones), or which; all when missing.
    trial_seconds : float, optional
        Seconds of a trial's stimulus, at least 2; the vendor's own lengths when missing.
    seed : int
        The same seed gives the same bytes, whatever `workers` is.
    settings : TwinSettings, optional
        The dials of the generative model; the defaults when missing.
    forms : sequence of str, optional
        The vendor's forms to write, e.g. preprocessed, features and features-4s of SEED; the
        first when missing. A name that is not there is answered with those that are.
    workers : int
        Files written at a time (threads; the work is in compiled code that runs in parallel).
    progress : callable, optional
        Called with (files done, files in all, what was written last).
    tree : {"new", "old"}
        Which distribution, for SEED only.
    compress : bool
        Whether MATLAB files are compressed.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If a parameter is not allowed; all of them are named.
    FolderError
        If the folder holds anything but a twin of the same seed and settings.

    Examples
    --------
    >>> from affectrum.twins import write_twin
    >>> write_twin("SEED", "seed_twin", subjects=2, sessions=1, trial_seconds=5)  # doctest: +SKIP
    """
    settings = settings if settings is not None else TwinSettings()
    facts = catalog.get(corpus)
    check_option("corpus", facts.name, names())
    writer = importlib.import_module(f"affectrum.twins.{module_name(facts.name)}")
    generator = TwinGenerator(facts.name, settings, seed, trial_seconds)
    layout = Layout(
        generator=generator,
        subjects=_numbers("subjects", subjects, facts.n_subjects),
        sessions=_numbers("sessions", sessions, facts.n_sessions),
        forms=tuple(dict.fromkeys(forms)) if forms else writer.DEFAULT_FORMS,
        tree=tree,
        compress=compress,
    )
    _check_options(layout, writer.FORMS, getattr(writer, "MIN_SECONDS", {}), workers)
    target = Path(folder)
    layout = _claim_folder(target, layout)
    jobs = list(writer.jobs(layout))
    for place in sorted({job.path.parent for job in jobs}):
        write_text(target / place / MARK, _MARK_TEXT.format(title=facts.title, name=facts.name))
    _run(jobs, target, workers, progress)
    return target


def _numbers(name: str, value: int | Sequence[int] | None, available: int) -> tuple[int, ...]:
    if value is None:
        return tuple(range(1, available + 1))
    numbers = tuple(range(1, value + 1)) if isinstance(value, int) else tuple(value)
    if not numbers or min(numbers) < 1 or max(numbers) > available:
        raise ConfigError(
            f"Invalid value for {name!r}: {value!r}. Allowed are 1 to {available}, "
            "or a list of such numbers."
        )
    return tuple(sorted(dict.fromkeys(numbers)))


def _check_options(
    layout: Layout, forms: tuple[str, ...], shortest: dict[str, float], workers: int
) -> None:
    for form in layout.forms:
        check_option("forms", form, forms)
    check_option("tree", layout.tree, ("new", "old"))
    if workers < 1:
        raise ConfigError(f"'workers' must be at least 1, received {workers}.")
    seconds = layout.generator.trial_seconds
    for form in layout.forms:
        if seconds is not None and seconds < shortest.get(form, 0.0):
            raise ConfigError(
                f"'trial_seconds' must be at least {shortest[form]:g} for the form {form!r} (a "
                f"window of its features, 4 s long, must fit), received {seconds}."
            )


def _claim_folder(target: Path, layout: Layout) -> Layout:
    """Mark the folder before anything else, and refuse one that holds something else.

    Returns the layout with the subjects and sessions that the folder already holds.
    """
    generator = layout.generator
    mark, truth_path = target / MARK, target / TRUTH
    title, name = generator.facts.title, generator.facts.name
    identity = _identity(layout)
    if target.exists() and not target.is_dir():
        raise FolderError(f"{target} is a file; a twin needs a folder.")
    occupied = target.is_dir() and any(not p.name.startswith(".") for p in target.iterdir())
    if occupied and not mark.exists():
        raise FolderError(
            f"{target} is not empty and not a twin. Choose a new or an empty folder: "
            "a twin is never mixed with other files."
        )
    if truth_path.exists():
        try:
            found = json.loads(truth_path.read_text(encoding="utf-8"))
            before = found["twin"]
            subjects, sessions = found["subjects_written"], found["sessions_written"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise FolderError(
                f"{truth_path} can't be read ({error}). Delete the folder and write it anew."
            ) from error
        if before != identity:
            differing = [key for key in identity if before.get(key) != identity[key]]
            raise FolderError(
                f"{target} holds a twin with other {', '.join(differing)}. "
                "Choose another folder, or delete this one.",
                _differences(before, identity),
            )
        layout = Layout(
            generator=generator,
            subjects=tuple(sorted({*layout.subjects, *subjects})),
            sessions=tuple(sorted({*layout.sessions, *sessions})),
            forms=layout.forms,
            tree=layout.tree,
            compress=layout.compress,
        )
    write_text(mark, _MARK_TEXT.format(title=title, name=name))
    write_text(truth_path, json.dumps(_truth(layout), indent=1) + "\n")
    return layout


def _differences(before: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Say what differs, of the settings only the dials that do."""
    lines = []
    for key, wanted in asked.items():
        found = before.get(key)
        if found == wanted:
            continue
        if isinstance(found, dict) and isinstance(wanted, dict):
            lines += _differences(found, wanted)
        else:
            lines.append(f"{key}: found {found!r}, asked {wanted!r}")
    return lines


def _identity(layout: Layout) -> dict[str, Any]:
    generator = layout.generator
    return {
        "corpus": generator.facts.name,
        "seed": generator.seed,
        "trial_seconds": generator.trial_seconds,
        "tree": layout.tree,
        "compress": layout.compress,
        "settings": generator.settings.model_dump(),
    }


def _truth(layout: Layout) -> dict[str, Any]:
    generator = layout.generator
    return {
        "simulated": True,
        "twin": _identity(layout),
        "subjects_written": list(layout.subjects),
        "sessions_written": list(layout.sessions),
        **twin_truth(generator, layout.subjects, layout.sessions),
    }


def twin_truth(
    generator: TwinGenerator, subjects: Sequence[int], sessions: Sequence[int]
) -> dict[str, Any]:
    """Return what no real corpus tells, as plain lists and numbers.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    subjects, sessions : sequence of int
        From 1.

    Returns
    -------
    dict
        ``subjects``: how each responds and the alpha frequency; ``clips``: each clip's point in
        the plane (-1 ... 1); ``trials``: position as presented, felt and reported state.
    """
    people, clips, trials = [], [], []
    for number in subjects:
        person = generator.subject(number)
        people.append(
            {
                "subject": number,
                "kind": person.kind,
                "alpha_hz": round(person.alpha_hz, 4),
                "skull": round(person.anatomy.skull, 4),
            }
        )
    for session in sessions:
        for row, clip in enumerate(generator.facts.clips[session - 1], start=1):
            point = generator.point(session, row)
            clips.append(
                {
                    "session": session,
                    "row": row,
                    "clip": clip.clip,
                    "valence": round(point.valence, 4),
                    "arousal": round(point.arousal, 4),
                }
            )
    for number in subjects:
        for session in sessions:
            order = generator.presentation(number, session)
            for row in range(1, len(order) + 1):
                rating = generator.rating(number, session, row)
                trials.append(
                    {
                        "subject": number,
                        "session": session,
                        "row": row,
                        "trial": order.index(row) + 1,
                        "felt": [round(value, 4) for value in rating.felt],
                        "reported": [round(value, 4) for value in rating.reported],
                    }
                )
    return {"subjects": people, "clips": clips, "trials": trials}


def _run(jobs: list[Job], target: Path, workers: int, progress: Progress | None) -> None:
    from threadpoolctl import threadpool_limits

    # label and rating files are small and may have grown: always written; a large file that is
    # there is complete, since it was renamed into place
    waiting = [job for job in jobs if job.small or not (target / job.path).exists()]
    done = len(jobs) - len(waiting)

    def write(job: Job) -> str:
        job.write(target / job.path)
        return job.path.as_posix()

    # one thread in linear algebra: the order of its sums must not depend on the machine's load
    with threadpool_limits(limits=1):
        if workers == 1:
            for job in waiting:
                what = write(job)
                done += 1
                if progress is not None:
                    progress(done, len(jobs), what)
            return
        with ThreadPoolExecutor(max_workers=workers) as pool:
            futures = [pool.submit(write, job) for job in waiting]
            try:
                for future in as_completed(futures):
                    what = future.result()
                    done += 1
                    if progress is not None:
                        progress(done, len(jobs), what)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
