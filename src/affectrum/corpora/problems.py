"""What is wrong with a folder, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

__all__ = ["CheckReport", "Level", "Problem", "ProblemLog"]

Level = Literal["error", "warning", "note"]
_ORDER: Final[tuple[Level, ...]] = ("error", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """One fault of a folder.

    Parameters
    ----------
    level : {"error", "warning", "note"}
        An error makes the folder unusable; with a warning something is missing or suspicious; a
        note is good to know.
    where : str
        File or folder, relative to the corpus folder.
    what : str
        What is wrong.
    fix : str
        What to do.
    """

    level: Level
    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        fix = f" {self.fix}" if self.fix else ""
        return f"{self.where}: {self.what}{fix}"


@dataclass
class ProblemLog:
    """Collects faults instead of stopping at the first."""

    problems: list[Problem] = field(default_factory=list)

    def error(self, where: str, what: str, fix: str = "") -> None:
        """Add a fault that makes the folder unusable."""
        self._add("error", where, what, fix)

    def warning(self, where: str, what: str, fix: str = "") -> None:
        """Add something missing or suspicious."""
        self._add("warning", where, what, fix)

    def note(self, where: str, what: str, fix: str = "") -> None:
        """Add something good to know."""
        self._add("note", where, what, fix)

    def _add(self, level: Level, where: str, what: str, fix: str) -> None:
        problem = Problem(level, where, what, fix)
        if problem not in self.problems:
            self.problems.append(problem)

    @property
    def errors(self) -> list[Problem]:
        """The errors alone."""
        return [problem for problem in self.problems if problem.level == "error"]


@dataclass(frozen=True)
class CheckReport:
    """What a check of a folder found.

    Parameters
    ----------
    corpus : str
        The corpus that was looked for.
    folder : str
        The folder.
    usable : bool
        Whether `affectrum.open_corpus` accepts it.
    found : dict
        What is there: form, subjects, sessions, trials, hours, simulated, shipped features.
    problems : list of Problem
        Errors first, then warnings, then notes.
    """

    corpus: str
    folder: str
    usable: bool
    found: dict[str, Any]
    problems: list[Problem]

    def __post_init__(self) -> None:
        self.problems.sort(key=lambda problem: _ORDER.index(problem.level))

    def of_level(self, level: Level) -> list[Problem]:
        """Return the problems of one level."""
        return [problem for problem in self.problems if problem.level == level]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts and lists, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        verdict = "usable" if self.usable else "NOT usable"
        lines = [f"{self.corpus} in {self.folder}: {verdict}"]
        lines += [f"  {name}: {_show(value)}" for name, value in self.found.items()]
        for level in _ORDER:
            problems = self.of_level(level)
            if problems:
                lines.append(f"{len(problems)} {level}{'s' if len(problems) > 1 else ''}:")
                for position, problem in enumerate(problems):
                    lines.append(f"  - {problem.where}: {problem.what}")
                    following = problems[position + 1 : position + 2]
                    # the same advice for a run of faults is given once, behind the last
                    if problem.fix and not (following and following[0].fix == problem.fix):
                        lines.append(f"      -> {problem.fix}")
        if not self.problems:
            lines.append("nothing to complain about")
        return "\n".join(lines)


def _show(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value) or "none"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
