"""What a reader has to be told because no file says it.

Where the sources of a corpus leave something open (the order of electrodes, the times of trials),
its reader asks for it by an option instead of guessing. Options come from Python, from
``affectrum ... --options FILE.yaml`` or from the corpus's entry in ``corpora.yaml``.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from affectrum.errors import ConfigError, did_you_mean

__all__ = ["ReaderOptions", "describe_options", "make_options", "resolve_paths"]


class ReaderOptions(BaseModel):
    """Options of a reader; a reader that asks for something derives its own class.

    Every field has a default: what is not given is asked for in the folder's check, with the
    reason, and only if it is needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def identity(self) -> dict[str, Any]:
        """Return the same for keys of caches and stores: of a file its name and its content count.

        Where the file lies does not: a moved mapping is the same, a changed one is another.
        """
        return {name: _content_of(value) for name, value in self.given().items()}


def _content_of(value: Any) -> Any:
    if not isinstance(value, str) or not Path(value).is_file():
        return value
    with Path(value).open("rb") as file:
        return {"file": Path(value).name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


Chosen = TypeVar("Chosen", bound=ReaderOptions)


def make_options(
    kind: type[Chosen],
    given: ReaderOptions | Mapping[str, Any] | str | os.PathLike[str] | None,
    corpus: str,
) -> Chosen:
    """Return the options of a reader.

    Parameters
    ----------
    kind : type
        The reader's class of options.
    given : ReaderOptions, mapping, path or None
        Values, or a YAML file with them; None for none.
    corpus : str
        The corpus, for messages.

    Returns
    -------
    ReaderOptions
        An instance of `kind`.

    Raises
    ------
    ConfigError
        An option is unknown or has a value that is not allowed; all of them are named.
    """
    if isinstance(given, kind):
        return given
    if isinstance(given, ReaderOptions):
        given = given.given()
    where = "'options'"
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        where = str(path)
        try:
            given = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: the options can't be read ({error}).") from None
        if isinstance(given, Mapping):
            given = resolve_paths(given, path.parent)
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"{where}: expected names and values, received {given!r:.200}.")
    values = dict(given or {})
    known = list(kind.model_fields)
    unknown = [name for name in values if name not in known]
    if unknown:
        allowed = f"Its options are {', '.join(known)}." if known else "It has none."
        raise ConfigError(
            f"{where}: {corpus} has no option {', '.join(map(repr, unknown))}. {allowed}"
            + did_you_mean(str(unknown[0]), known)
        )
    try:
        return kind(**values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise ConfigError(f"{where} for {corpus}: {faults}.") from None


def resolve_paths(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Let options that name a file start from a folder, as everything in a YAML file does.

    Parameters
    ----------
    values : mapping
        Options by name.
    base : Path
        The folder of the file in which they stand.

    Returns
    -------
    dict
        The same; a text that is the relative path of an existing file is joined with `base`.
    """
    return {
        name: str(base / value)
        if isinstance(value, str) and Path(value).suffix and (base / value).is_file()
        else value
        for name, value in values.items()
    }


def describe_options(kind: type[ReaderOptions]) -> dict[str, str]:
    """Return each option of a reader with its meaning, from its field or its class's docstring.

    Parameters
    ----------
    kind : type
        The reader's class of options.

    Returns
    -------
    dict of str to str
        In the order of the fields; empty text where neither has one.
    """
    found = dict.fromkeys(kind.model_fields, "")
    told = {name: field.description or "" for name, field in kind.model_fields.items()}
    names: list[str] = []
    for line in inspect.cleandoc(kind.__doc__ or "").splitlines():
        if line.strip() and not line[0].isspace():
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        else:
            for name in names:
                if name in found and line.strip():
                    found[name] = f"{found[name]} {line.strip()}".strip()
    return {name: told[name] or text for name, text in found.items()}
