"""Which corpora train and which is tested, from the windows that were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affectrum.catalog import fold_name, get, is_known
from affectrum.errors import ProtocolError, did_you_mean
from affectrum.protocols.catalogue import CROSS_CORPUS, PROTOCOLS
from affectrum.windows import Windows

__all__ = ["choose_corpora", "lab_of", "targets_of"]


def _find(parts: Sequence[Windows], name: str, role: str) -> Windows:
    found = [part for part in parts if fold_name(part.corpus) == fold_name(name)]
    if len(found) != 1:
        given = [part.corpus for part in parts]
        raise ProtocolError(
            f"{role}={name!r} is not among the windows given, which are of {', '.join(given)}."
            + did_you_mean(name, given)
        )
    return found[0]


def lab_of(corpus: str, labs: Mapping[str, str] | None = None) -> str | None:
    """Tell who recorded a corpus.

    Parameters
    ----------
    corpus : str
        Its name.
    labs : mapping of str to str, optional
        What the user says, which wins over the catalog.

    Returns
    -------
    str or None
        None if neither knows.
    """
    for name, lab in (labs or {}).items():
        if fold_name(name) == fold_name(corpus):
            return lab
    return get(corpus).lab if is_known(corpus) else None


def _labs(parts: Sequence[Windows], labs: Mapping[str, str] | None) -> dict[str, str]:
    """Lab of every corpus given.

    Raises
    ------
    ProtocolError
        If one is not known, or `labs` names a corpus that is not there.
    """
    found = {part.corpus: lab_of(part.corpus, labs) for part in parts}
    unknown = [corpus for corpus, lab in found.items() if lab is None]
    if unknown:
        example = ", ".join(f"{corpus!r}: 'its lab'" for corpus in unknown)
        raise ProtocolError(
            f"Leaving a lab out needs the lab of every corpus; it is not known for "
            f"{', '.join(unknown)}. Say it by labs={{{example}}}."
        )
    strange = [name for name in labs or {} if all(fold_name(name) != fold_name(c) for c in found)]
    if strange:
        raise ProtocolError(
            f"labs names {', '.join(strange)}, which is not among the corpora given: "
            f"{', '.join(found)}."
        )
    return {corpus: str(lab) for corpus, lab in found.items()}


def _refuse_doubles(parts: Sequence[Windows]) -> None:
    if not parts:
        raise ProtocolError("No windows were given.")
    given = [part.corpus for part in parts]
    if len({fold_name(name) for name in given}) < len(given):
        raise ProtocolError(
            f"Each corpus may be given once; received {', '.join(given)}. Two sets of one "
            "corpus's windows have to be joined (or their column 'corpus' renamed) first."
        )


def targets_of(
    parts: Sequence[Windows], base: str, source: Sequence[str] | None, target: str | None
) -> list[str | None]:
    """List the corpora to test, one after the other.

    Parameters
    ----------
    parts : sequence of Windows
        One per corpus.
    base : str
        The protocol's id.
    source : sequence of str or None
        The training corpora, where they are named.
    target : str or None
        The tested corpus, where it is named.

    Returns
    -------
    list of str or None
        One entry, unless every corpus is left out in turn. None: to be found by
        `choose_corpora`.
    """
    if target is not None or not PROTOCOLS[base].family.startswith("leave-one-"):
        return [target]
    if base not in CROSS_CORPUS:
        return [None]
    _refuse_doubles(parts)
    named = {fold_name(name) for name in source or ()}
    return [part.corpus for part in parts if fold_name(part.corpus) not in named]


def choose_corpora(
    parts: Sequence[Windows],
    base: str,
    source: str | Sequence[str] | None,
    target: str | None,
    labs: Mapping[str, str] | None = None,
) -> tuple[Windows, list[Windows]]:
    """Find the target's windows, and the source's for protocols across corpora.

    Parameters
    ----------
    parts : sequence of Windows
        One per corpus.
    base : str
        The protocol's id.
    source : str, sequence of str, or None
        The training corpora.
    target : str or None
        The tested corpus.
    labs : mapping of str to str, optional
        Labs of corpora that the catalog does not know.

    Returns
    -------
    target : Windows
        The tested corpus.
    sources : list of Windows
        The training corpora; empty inside one corpus.

    Raises
    ------
    ProtocolError
        If a corpus is not there, named twice, or may not train here; or if nothing tells which
        is meant.
    """
    _refuse_doubles(parts)
    given = [part.corpus for part in parts]
    wanted = None if source is None else [source] if isinstance(source, str) else list(source)
    info = PROTOCOLS[base]
    if "source" not in info.options:
        if wanted is not None:
            raise ProtocolError(
                f"source={source!r} belongs to protocols across corpora; {base!r} stays inside "
                "the target corpus. Use target=..., or a 'cross-corpus' protocol."
            )
        if target is None and len(parts) > 1:
            raise ProtocolError(
                f"{base!r} works on one corpus; choose it by target=... among {', '.join(given)}."
            )
        return (parts[0] if target is None else _find(parts, target, "target")), []
    chosen = None if target is None else _find(parts, target, "target")
    sources = None if wanted is None else [_find(parts, name, "source") for name in wanted]
    if sources is not None and len({part.corpus for part in sources}) < len(sources):
        raise ProtocolError(f"source names a corpus twice: {', '.join(wanted or ())}.")
    if chosen is None:
        rest = [part for part in parts if part not in (sources or [])]
        alone = not info.needs_source and len(parts) == 1
        if (sources is None and not alone) or len(rest) != 1:
            raise ProtocolError(
                f"{base!r} needs source=... and target=... among {', '.join(given)}"
                + (", which is only one corpus." if len(parts) == 1 else ".")
            )
        chosen = rest[0]
    if info.family in ("leave-one-corpus-out", "leave-one-lab-out"):
        return chosen, _all_but(parts, chosen, sources, base, labs)
    if sources is None:
        others = [part for part in parts if part is not chosen]
        sources = others if info.needs_source or base == "pretrain-finetune" else []
        if info.needs_source and len(sources) != 1:
            raise ProtocolError(
                f"{base!r} to {chosen.corpus} needs source=... among "
                f"{', '.join(name for name in given if name != chosen.corpus) or 'nothing'}."
            )
    if any(part is chosen for part in sources):
        raise ProtocolError(
            f"{chosen.corpus} can't be source and target of {base!r} at once; use "
            "'leave-one-subject-out' inside one corpus."
        )
    return chosen, sources


def _all_but(
    parts: Sequence[Windows],
    target: Windows,
    sources: list[Windows] | None,
    base: str,
    labs: Mapping[str, str] | None,
) -> list[Windows]:
    """Source corpora of the protocols that leave one corpus or one lab out."""
    by_lab = PROTOCOLS[base].family == "leave-one-lab-out"
    lab = _labs(parts, labs) if by_lab else {part.corpus: part.corpus for part in parts}
    allowed = [part for part in parts if lab[part.corpus] != lab[target.corpus]]
    wrong = [part for part in sources or () if part not in allowed]
    if wrong:
        why = f" comes from the same lab ({lab[target.corpus]})" if by_lab else " is the tested one"
        raise ProtocolError(
            f"{' and '.join(part.corpus for part in wrong)} can't train under {base!r} to "
            f"{target.corpus}: it{why}."
        )
    chosen = allowed if sources is None else sources
    if not chosen:
        raise ProtocolError(
            f"{base!r} to {target.corpus} finds no corpus to train on: "
            + (
                f"all corpora given ({', '.join(lab)}) come from one lab, {lab[target.corpus]}."
                if by_lab
                else f"only {target.corpus} is given."
            )
        )
    if not by_lab and len(chosen) < 2:
        raise ProtocolError(
            f"{base!r} trains on all corpora but one, so it needs at least three; here "
            f"{chosen[0].corpus} alone would train. That is "
            f"'cross-corpus/{PROTOCOLS[base].mode}'."
        )
    return chosen
