"""The layout of SEED-GER; its trials last a minute where no length is given: none is known."""

from __future__ import annotations

from collections.abc import Iterator

from affectrum.twins.jobs import Job, Layout
from affectrum.twins.seed_language import DEFAULT_FORMS, FORMS, MIN_SECONDS, language_jobs

__all__ = ["DEFAULT_FORMS", "FORMS", "MIN_SECONDS", "jobs"]


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    yield from language_jobs(layout, "German", None)
