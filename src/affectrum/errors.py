"""Every error the package raises on purpose, under one root.

A message says what is wrong, where (file or parameter), what is allowed, what was received and
what to do. Faults of one folder or one configuration are collected and raised together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "AccessError",
    "AffectrumError",
    "BundleError",
    "ConfigError",
    "DownloadError",
    "ElectrodeError",
    "FileFormatError",
    "FolderError",
    "LabelError",
    "LeakError",
    "ProtocolError",
    "RecordingError",
    "StoreError",
    "UnsafeFileError",
    "check_option",
    "did_you_mean",
]


class AffectrumError(Exception):
    """Root of all errors of the package; catch this to catch every one of them."""


class FolderError(AffectrumError):
    """A corpus folder can't be used.

    Parameters
    ----------
    message : str
        What is wrong in one sentence.
    problems : sequence of str
        Every fault that was found, one sentence each.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        lines = [message, *(f"  - {problem}" for problem in self.problems)]
        super().__init__("\n".join(lines))


class FileFormatError(AffectrumError):
    """A file can't be decoded, or does not hold what its format promises."""


class UnsafeFileError(FileFormatError):
    """A file asks to run code, or is built to exhaust memory; it was not loaded."""


class ConfigError(AffectrumError, ValueError):
    """A parameter or a configuration file has a value that is not allowed."""


class ElectrodeError(AffectrumError, ValueError):
    """Electrode names are unknown, missing or too few for what was asked."""


class LabelError(AffectrumError, ValueError):
    """Labels can't be mapped to the classes or to the plane that was asked for."""


class AccessError(AffectrumError):
    """A method needs data that the protocol does not grant."""


class ProtocolError(AffectrumError, ValueError):
    """A protocol can't be built from these windows; the message says why."""


class LeakError(AffectrumError):
    """The leak audit found training data that also stands in the test."""


class StoreError(AffectrumError):
    """The store can't be read or written."""


class BundleError(AffectrumError):
    """A model bundle is incomplete or does not fit its use."""


class DownloadError(AffectrumError):
    """Files can't be fetched, or a corpus is not given out to everybody."""


class RecordingError(AffectrumError):
    """A recording can't be read or used for prediction."""


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest allowed value, or an empty string."""
    by_folded = {name.casefold(): name for name in allowed}
    close = difflib.get_close_matches(str(value).casefold(), list(by_folded), n=1, cutoff=0.6)
    return f" Did you mean {by_folded[close[0]]!r}?" if close else ""


def check_option(
    name: str,
    value: str,
    allowed: Sequence[str],
    error: type[AffectrumError] = ConfigError,
) -> str:
    """Return `value` if it is one of `allowed`, else raise `error` naming all three.

    Parameters
    ----------
    name : str
        The parameter's name, for the message.
    value : str
        What was received.
    allowed : sequence of str
        The allowed values.
    error : type
        The error class to raise.

    Returns
    -------
    str
        `value`, unchanged.
    """
    if value in allowed:
        return value
    options = ", ".join(repr(option) for option in allowed)
    raise error(
        f"Invalid value for {name!r}: {value!r}. Allowed values are {options}."
        + did_you_mean(value, allowed)
    )
