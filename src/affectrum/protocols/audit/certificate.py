"""What the audit answers: checks, and the certificate that stands beside each score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from affectrum.errors import LeakError

__all__ = ["CHECKS", "Certificate", "Check"]

#: Every check, in order.
CHECKS: tuple[str, ...] = (
    "corpora",
    "subjects",
    "sessions",
    "trials",
    "windows",
    "clip",
    "film",
    "series",
    "unlabelled",
    "scalers",
    "selection",
    "content",
    "hidden columns",
    "granted",
    "reach",
    "labels",
)


@dataclass(frozen=True)
class Check:
    """One question of the audit and its answer.

    Attributes
    ----------
    name : str
        One of `CHECKS`.
    passed : bool
        False only if something was found that the protocol forbids.
    measured : int
        How many subjects, sessions, trials, windows or stimuli are on both sides.
    required : bool
        Whether the protocol promises that there is none; else it is measured for the reader.
    detail : str
        In words, with examples.
    """

    name: str
    passed: bool
    measured: int
    required: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Certificate:
    """The audit's result for one fold.

    Attributes
    ----------
    fold : str
        The fold's name.
    protocol : str
        Its protocol, with modifiers.
    checks : tuple of Check
        In the order of `CHECKS`.
    declared : tuple of str
        Failed checks that the user declared as exceptions; printed beside the score.
    rows : dict of str to dict
        For each role how many windows it has (``n``) and a digest of their sorted identifiers
        (``digest``), so that a certificate can be held against the predictions beside it, and a
        scaler's record against the rows of a role.
    """

    fold: str
    protocol: str
    checks: tuple[Check, ...]
    declared: tuple[str, ...] = ()
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Check, ...]:
        """Failed checks that were not declared."""
        return tuple(
            check for check in self.checks if not check.passed and check.name not in self.declared
        )

    @property
    def passed(self) -> bool:
        """Whether nothing failed that was not declared."""
        return not self.failed

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def raise_if_failed(self, declared: Iterable[str] = ()) -> Certificate:
        """Return the certificate with declared exceptions, or raise.

        Parameters
        ----------
        declared : iterable of str
            Names of checks that may fail; the certificate keeps them.

        Raises
        ------
        LeakError
            If another check failed; lists all failed checks.
        """
        wanted = tuple(declared)
        used = tuple(
            check.name for check in self.checks if not check.passed and check.name in wanted
        )
        certificate = replace(self, declared=used)
        if certificate.failed:
            lines = [f"  - {check.name}: {check.detail}" for check in certificate.failed]
            raise LeakError(
                f"The leak audit of fold {self.fold} ({self.protocol}) failed:\n"
                + "\n".join(lines)
                + "\nRemove the overlap. If it is meant to be there, declare the check by name "
                "(declared_leaks in a plan); the exception is then printed beside the score."
            )
        return certificate

    def with_checks(self, *checks: Check) -> Certificate:
        """Return a copy with further checks, for what is known only after a method was fitted."""
        return replace(self, checks=(*self.checks, *checks))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "fold": self.fold,
            "protocol": self.protocol,
            "passed": self.passed,
            "declared": list(self.declared),
            "checks": [check.to_dict() for check in self.checks],
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Certificate:
        """Restore what `to_dict` returned."""
        return cls(
            fold=str(data["fold"]),
            protocol=str(data["protocol"]),
            checks=tuple(Check(**check) for check in data["checks"]),
            declared=tuple(data["declared"]),
            rows={str(role): dict(facts) for role, facts in data.get("rows", {}).items()},
        )
