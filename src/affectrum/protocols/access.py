"""What a method may see. What is not granted is absent, not merely unread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import AccessError, ConfigError
from affectrum.protocols.catalogue import GRANTS, PROTOCOLS, is_granted
from affectrum.protocols.identity import neutral_rows, row_ids

if TYPE_CHECKING:
    from affectrum.protocols.plane import TableLike
    from affectrum.windows import Windows

__all__ = ["LABEL_COLUMNS", "STIMULUS_COLUMNS", "Access", "Grant", "hide"]

#: Columns that tell what a subject felt or should have felt.
LABEL_COLUMNS: tuple[str, ...] = (
    "emotion",
    "rating_valence",
    "rating_arousal",
    "rating_dominance",
    "valence",
    "arousal",
)
#: Columns that tell which stimulus was shown, from which a label could be looked up.
STIMULUS_COLUMNS: tuple[str, ...] = ("clip", "film", "series")

_ROLES = ("source", "calibration", "unlabelled", "validation")


def hide(windows: Windows) -> Windows:
    """Remove every column that holds or identifies a label.

    Besides `LABEL_COLUMNS` and `STIMULUS_COLUMNS` these are further ratings (``rating_*``), the
    file and the key inside it, an imported `split`, and columns of the user's own: nobody but
    the user knows what those tell. `row`, which names the stimulus where files are not in the
    order of presentation, is replaced (see `identity.neutral_rows`).

    Parameters
    ----------
    windows : Windows
        Any windows.

    Returns
    -------
    Windows
        The same values with the remaining columns.
    """
    from affectrum.windows.lazy import detached

    table = windows.table
    shown = table[[name for name in table.columns if name in _open_columns()]]
    shown = shown.reset_index(drop=True)
    if "row" in shown and len(shown):
        shown = shown.assign(row=neutral_rows(table))
    return detached(windows.with_table(shown))


def _open_columns() -> frozenset[str]:
    """Columns that tell neither a label nor a stimulus."""
    from affectrum.windows import TRIAL_COLUMNS, WINDOW_COLUMNS

    secret = {*LABEL_COLUMNS, *STIMULUS_COLUMNS, "file", "key"}
    return frozenset({*TRIAL_COLUMNS, *WINDOW_COLUMNS, "artefact"} - secret)


@dataclass(frozen=True)
class Grant:
    """Windows that a method may see, with labels if those are granted too.

    Attributes
    ----------
    windows : Windows
        n windows; their table has label and stimulus columns only if `y` is given.
    y : ndarray of int64, shape (n,), or None
        Class index per window, or None where labels are not granted.
    va : ndarray of float64, shape (n, 2), or None
        Valence and arousal per window on the plane (-1..1), NaN where not known; None where they
        are not granted. They may be granted without `y`.
    """

    windows: Windows
    y: NDArray[np.int64] | None = None
    va: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.va is not None and np.shape(self.va) != (len(self.windows), 2):
            raise ConfigError(
                f"A grant has {len(self.windows)} windows but valence and arousal of shape "
                f"{np.shape(self.va)}; expected ({len(self.windows)}, 2)."
            )
        if self.y is None:
            if not set(self.windows.table.columns) <= _open_columns():
                object.__setattr__(self, "windows", hide(self.windows))
        elif len(self.y) != len(self.windows):
            raise ConfigError(
                f"A grant has {len(self.windows)} windows but {len(self.y)} labels; expected one "
                "label per window."
            )

    def __len__(self) -> int:
        return len(self.windows)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the values, their identity and the labels; the same in every process."""
        from affectrum.protocols.contents import contents_of

        windows = self.windows
        digest = hashlib.sha256()
        header = (
            windows.kind,
            windows.channels,
            None if windows.bands is None else [str(band) for band in windows.bands],
            windows.sfreq,
            windows.shape,
        )
        digest.update(repr(header).encode())
        digest.update(contents_of(windows).tobytes())
        digest.update(row_ids(windows.table).tobytes())
        digest.update(b"no labels" if self.y is None else np.asarray(self.y, "<i8").tobytes())
        if self.va is not None:
            digest.update(b"plane" + np.asarray(self.va, "<f8").tobytes())
        return digest.hexdigest()[:32]

    @property
    def has_plane(self) -> bool:
        """Whether valence and arousal of at least one window are granted."""
        return self.va is not None and bool(np.isfinite(self.va).all(axis=1).any())

    @cached_property
    def parts(self) -> tuple[Grant, ...]:
        """The same corpus by corpus, in order of first appearance; signals on disk stay there."""
        from affectrum.windows.lazy import detached, on_disk

        table = self.windows.table
        corpus = table["corpus"].to_numpy() if "corpus" in table else np.zeros(0)
        names = list(dict.fromkeys(corpus))
        if len(names) < 2:
            return (self,)
        found = []
        for name in names:
            mine = np.flatnonzero(corpus == name)
            windows = self.windows.select(mine)
            if on_disk(windows):
                windows = detached(windows)
            windows.corpus = str(name)
            y, va = self.y, self.va
            found.append(
                Grant(windows, None if y is None else y[mine], None if va is None else va[mine])
            )
        return tuple(found)


@dataclass(frozen=True)
class Access:
    """Everything that one protocol lets a method see in one fold.

    Attributes
    ----------
    protocol : str
        The protocol, with modifiers: ``"cross-corpus/calibrated (transductive)"``.
    classes : tuple of str
        Classes of the target's task; `calibration.y` and `validation.y` index these.
    source : Grant or None
        The training corpora, or the training subjects and trials of the same corpus. Folds whose
        source is the same share one object. None too where the corpora of the task differ in
        electrodes, rate or length: see `source_parts`.
    source_classes : tuple of str or None
        Classes that `source.y` indexes; None: the same as `classes`.
    calibration : Grant or None
        The target subject's own first trials.
    unlabelled : Grant or None
        Unlabelled target signals.
    validation : Grant or None
        Held-out trials or subjects of the training side, only if selection is "validation".
    seed : int
        Seed of the run.
    source_parts : tuple of Grant
        The source, one grant per corpus, each with its own electrodes, rate and length; where
        `source` is given, it is what these are made of.
    va_table : str, VATable, mapping or None
        What placed emotion words on the plane, as `make_folds` was told.
    """

    protocol: str
    classes: tuple[str, ...]
    source: Grant | None = None
    source_classes: tuple[str, ...] | None = None
    calibration: Grant | None = None
    unlabelled: Grant | None = None
    validation: Grant | None = None
    seed: int = 0
    source_parts: tuple[Grant, ...] = ()
    va_table: TableLike | None = None

    def __post_init__(self) -> None:
        # A changed source never keeps the parts of another one.
        if self.source is not None:
            object.__setattr__(self, "source_parts", self.source.parts)

    def with_grants(self, change: Callable[[str, tuple[Grant, ...]], Sequence[Grant]]) -> Access:
        """Return an access whose grants are changed, for controls.

        Parameters
        ----------
        change : callable
            Takes a role ("source", "calibration", "unlabelled", "validation") and its grants (one,
            or one per corpus where the source has several shapes) and returns as many.

        Returns
        -------
        Access
        """
        changes: dict[str, Any] = {}
        for role in _ROLES:
            grant: Grant | None = getattr(self, role)
            if grant is not None:
                changes[role] = change(role, (grant,))[0]
        if self.source is None and self.source_parts:
            changes["source_parts"] = tuple(change("source", self.source_parts))
        return replace(self, **changes)

    @property
    def grants(self) -> tuple[str, ...]:
        """What is granted, of `affectrum.protocols.GRANTS`."""
        parts = self.source_parts
        labelled = bool(parts) and all(part.y is not None for part in parts)
        held = {
            "source_signals": bool(parts),
            "source_labels": labelled,
            # labels say more than that
            "source_plane": not labelled and any(part.has_plane for part in parts),
            "calibration_signals": self.calibration is not None,
            "calibration_labels": self.calibration is not None and self.calibration.y is not None,
            "target_unlabelled": self.unlabelled is not None,
            "validation": self.validation is not None,
        }
        return tuple(name for name in GRANTS if held[name])

    @property
    def same_task(self) -> bool:
        """Whether the source's labels are classes of the target's task."""
        return self.source_classes is None or tuple(self.source_classes) == tuple(self.classes)

    def require(
        self, needs: Iterable[str], method: str, *, takes_several_shapes: bool = False
    ) -> None:
        """Refuse, before any training, a method that needs more than is granted.

        Parameters
        ----------
        needs : iterable of str
            Names of grants.
        method : str
            The method's name, for the message.
        takes_several_shapes : bool
            Whether it reads `source_parts`; else a source must be of one shape.

        Raises
        ------
        ConfigError
            If a need is not the name of a grant.
        AccessError
            If something is not granted; names what is missing and which protocol would do.
        """
        wanted = tuple(needs)
        unknown = [need for need in wanted if need not in GRANTS]
        if unknown:
            raise ConfigError(
                f"Method {method!r} asks for unknown grants {unknown}; grants are "
                f"{', '.join(GRANTS)}."
            )
        if not takes_several_shapes and any(need.startswith("source_") for need in wanted):
            self.require_one_shape(method)
        missing = [need for need in wanted if not is_granted(need, self.grants)]
        if "source_plane" in wanted and not any(part.has_plane for part in self.source_parts):
            missing = list(dict.fromkeys([*missing, "source_plane"]))
        if not missing:
            return
        core = [need for need in wanted if need != "validation"]
        would_do = [
            info.id
            for info in PROTOCOLS.values()
            if all(is_granted(need, info.grants) for need in core)
        ]
        hints = []
        if "source_plane" in missing:
            hints.append(
                "give the source's trials valence and arousal (columns of the trial table, or "
                "va_table=...)"
            )
        if "validation" in missing:
            hints.append("pass selection='validation' to make_folds")
        if any(need != "validation" for need in missing):
            hints.append(
                "use a protocol that grants it: " + ", ".join(would_do)
                if would_do
                else "no protocol grants all of this"
            )
        raise AccessError(
            f"Method {method!r} needs {', '.join(missing)}, which protocol {self.protocol!r} does "
            f"not grant (it grants {', '.join(self.grants) or 'nothing'}). "
            f"To run it, {' and '.join(hints)}."
        )

    def require_one_shape(self, method: str) -> None:
        """Refuse a method that reads windows of one shape where the corpora's differ.

        Parameters
        ----------
        method : str
            The method's name, for the message.

        Raises
        ------
        AccessError
            If the source is granted in parts only.
        """
        if self.source is None and self.source_parts:
            shapes = "; ".join(
                f"{part.windows.corpus} {part.windows.shape[1]} electrodes x "
                f"{part.windows.shape[2]} samples"
                for part in self.source_parts
            )
            raise AccessError(
                f"Method {method!r} reads windows of one shape, and the corpora of this task "
                f"differ ({shapes}; the target may differ too). Prepare them with a recipe of one "
                "electrode set, rate and length (such as 'raw32'), or use a method that takes "
                "several, such as 'emod'."
            )

    def fingerprint(self, role: str) -> str:
        """Digest of one grant, equal for equal grants in every fold, process and session.

        Methods put it into the digest of their pre-training, so that folds can share it.

        Parameters
        ----------
        role : {"source", "calibration", "unlabelled", "validation"}
            Which grant.

        Raises
        ------
        ConfigError
            If there is no such role.
        AccessError
            If it is not granted.
        """
        if role not in _ROLES:
            raise ConfigError(f"Unknown role {role!r}; roles are {', '.join(_ROLES)}.")
        grant: Grant | None = getattr(self, role)
        if grant is None and role == "source" and self.source_parts:
            prints = [part.fingerprint for part in self.source_parts]
            labelled = any(part.y is not None for part in self.source_parts)
            text = repr((role, (self.source_classes or self.classes) if labelled else None, prints))
            return hashlib.sha256(text.encode()).hexdigest()[:32]
        if grant is None:
            raise AccessError(f"Protocol {self.protocol!r} grants no {role} windows.")
        classes = (self.source_classes or self.classes) if role == "source" else self.classes
        text = repr((role, tuple(classes) if grant.y is not None else None, grant.fingerprint))
        return hashlib.sha256(text.encode()).hexdigest()[:32]
