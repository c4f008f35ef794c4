"""The layout of SEED-FRA."""

from __future__ import annotations

from collections.abc import Iterator

from affectrum.catalog import seed_fra as facts
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.seed_language import DEFAULT_FORMS, FORMS, MIN_SECONDS, language_jobs

__all__ = ["DEFAULT_FORMS", "FORMS", "MIN_SECONDS", "jobs"]


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    published = list(zip(facts.PUBLIC_START_S, facts.PUBLIC_END_S, strict=True))
    yield from language_jobs(layout, "French", published)
