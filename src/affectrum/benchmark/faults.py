"""Faults of a plan's YAML in words: where, what is allowed, what was received."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from affectrum.benchmark.places import CorpusPlace
from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.errors import AffectrumError, did_you_mean

__all__ = ["method_faults", "plan_faults"]

_MODELS: dict[str, type[BaseModel]] = {
    "tasks": TaskPlan,
    "methods": MethodPlan,
    "corpora": CorpusPlace,
}
# Names of a union's members, which are no key of the file.
_TAGS = ("str", "path", "int", "bool", "constrained-int")


def plan_faults(error: ValidationError, plan: type[BaseModel]) -> list[str]:
    """Return one line per fault, unknown keys with the nearest known one.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    plan : type
        The plan's class.
    """
    lines: list[str] = []
    faults = error.errors()
    roots = [fault["loc"][:1] for fault in faults if fault["type"] != "too_short"]
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"][:1] in roots:
            continue  # the list is short only because its faulty entries were left out
        place = [part for part in fault["loc"] if not _is_union_tag(part)]
        where = ".".join(str(part) for part in place)
        if fault["type"] == "extra_forbidden":
            model = _MODELS.get(str(place[0]), plan) if len(place) > 1 else plan
            known: Sequence[str] = tuple(model.model_fields)
            lines.append(
                f"  - {where}: unknown key {place[-1]!r}.{did_you_mean(str(place[-1]), known)} "
                f"Known keys: {', '.join(known)}."
            )
            continue
        message = str(fault["msg"]).removeprefix("Value error, ")
        received = (
            ""
            if fault["type"] in ("value_error", "missing")
            else (f"; received {fault['input']!r}")
        )
        for line in message.splitlines():
            line = line.strip().removeprefix("- ")
            lines.append(f"  - {where + ': ' if where else ''}{line}{received}")
    return list(dict.fromkeys(lines))


def method_faults(entries: Any) -> list[str]:
    """Return faults of methods that are written well, but can't be made.

    Parameters
    ----------
    entries : object
        What the plan has under "methods".
    """
    lines = []
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        try:
            MethodPlan.model_validate(entry).make()
        except ValidationError:
            continue  # listed already
        except AffectrumError as error:
            text = f"methods.{number}: {error}"
            lines += [f"  - {line.strip().removeprefix('- ')}" for line in text.splitlines()]
    return lines


def _is_union_tag(part: int | str) -> bool:
    return isinstance(part, str) and (part in _TAGS or "[" in part)
