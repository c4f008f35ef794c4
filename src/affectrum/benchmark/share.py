"""Write a run's scores as one file that licensed labs can exchange: no signals, no subject numbers.

Subjects, sessions, trials and stimuli are replaced by keyed hashes. Labs that use one key file give
one name to one person of one corpus, so that their methods can be compared in pairs; without the
key nobody finds the numbers by trying them. Everything that a cell says of itself in free words
(notes, examples of the audit) stays at home; what is shared is a list of fields, not the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.controls import CONTROLS
from affectrum.benchmark.files import canonical_json, digest_of, sha256, write_file
from affectrum.benchmark.record import CellResult, load_record
from affectrum.benchmark.share_format import SharedCell, marked, pack_file
from affectrum.errors import ConfigError, LeakError, StoreError

__all__ = ["KeyedNames", "ShareReport", "read_key", "share_run"]

_MIN_KEY = 16
_TRIAL = ("corpus", "subject", "session", "row")
_STIMULI = ("clip", "film", "series")


@dataclass(frozen=True)
class ShareReport:
    """What was written.

    Attributes
    ----------
    file : Path
        The file.
    key : str
        Names the key, without telling it.
    cells : int
        Scores in the file.
    controls : int
        Controls in it.
    left_out : int
        Controls that are not.
    matched : bool
        Whether a key was given, so that other labs' results can be compared in pairs.
    """

    file: Path
    key: str
    cells: int
    controls: int
    left_out: int
    matched: bool


@dataclass(frozen=True)
class KeyedNames:
    """Names made of identifiers with a secret.

    Attributes
    ----------
    secret : bytes
        The key.
    """

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Name of the key: equal for equal keys, and of no use for finding it."""
        return self._digest("affectrum key").hex()[:16]

    def _digest(self, *parts: object) -> bytes:
        # JSON of a list keeps ("a", "bc") and ("ab", "c") apart.
        text = json.dumps([str(part) for part in parts]).encode()
        return hashlib.blake2b(text, key=self.secret, digest_size=16).digest()

    def number(self, *parts: object) -> int:
        """Return a positive whole number below 2**62."""
        return int.from_bytes(self._digest(*parts)[:8], "big") >> 2

    def subject(self, corpus: str, number: object, simulated: Collection[str]) -> int:
        """Return a subject's name, marked if its corpus is one of the simulated ones."""
        return marked(self.number("subject", corpus, number), simulated=corpus in simulated)

    def text(self, *parts: object) -> str:
        """Return 16 letters and digits."""
        return self._digest(*parts).hex()[:16]


def read_key(path: Path) -> bytes:
    """Read the key that labs agreed on.

    Parameters
    ----------
    path : Path
        Any file; blanks at its ends do not count.

    Returns
    -------
    bytes

    Raises
    ------
    ConfigError
        If it can't be read or is too short to be a secret.
    """
    try:
        with path.open("rb") as file:
            data = file.read(1 << 20).strip()
    except OSError as error:
        raise ConfigError(f"The key file {path} can't be read: {error.strerror}.") from error
    if len(data) < _MIN_KEY:
        raise ConfigError(
            f"The key file {path} holds {len(data)} characters; a secret has at least {_MIN_KEY}. "
            'Make one with: python -c "import secrets; print(secrets.token_hex(32))"'
        )
    return hashlib.blake2b(data, digest_size=32).digest()


def share_run(
    run: str | Path,
    file: str | Path,
    *,
    key: str | Path | None = None,
    epochs: bool = False,
    controls: bool = True,
) -> ShareReport:
    """Write the scores of a run, and their controls, as a shareable file.

    Parameters
    ----------
    run : path
        The run's folder.
    file : path
        The file to write; replaced whole.
    key : path, optional
        A file with the secret that labs agreed on. Without one a new secret is drawn and thrown
        away: the results can stand in a table with those of others, but no test can be paired.
    epochs : bool
        Also the scores after each epoch; those of cells whose epoch was chosen on the test are
        always kept, because the score is made of them.
    controls : bool
        Also the null controls and companions, from which a reader sees what a score is made of.

    Returns
    -------
    ShareReport

    Raises
    ------
    ConfigError
        If the key can't be used, or the run was itself joined from shared files.
    LeakError
        If a cell's audit failed without being declared: nobody would accept it.
    StoreError
        If there is no score, or the file can't be written.
    """
    from affectrum import __version__

    file = Path(file)
    secret = secrets.token_bytes(32) if key is None else read_key(Path(key))
    names = KeyedNames(secret)
    cells = load_record(run, controls=True)
    scores = [cell for cell in cells if not cell.meta.get("control")]
    if not scores:
        raise StoreError(f"{run} holds no finished score, so there is nothing to share.")
    if any("shared" in cell.meta for cell in scores):
        raise ConfigError(
            f"{run} was joined from shared files. Give those files on; hashing names twice would "
            "take them apart."
        )
    members = {}
    shared = cells if controls else scores
    for cell in shared:
        failed = [f.fold for f in cell.certificates() if not f.passed]
        if failed:
            raise LeakError(
                f"The leak audit of {cell.meta['task_title']} · {cell.meta['method']['label']} "
                f"failed in {len(failed)} folds ({', '.join(failed[:3])}); it is not shared."
            )
        name = digest_of([cell.digest, names.id])
        members[name] = _members(cell, names, epochs=epochs)
    data = pack_file(members, package=__version__, title=_title(Path(run)), key=names.id)
    write_file(file, data)
    return ShareReport(
        file=file,
        key=names.id,
        cells=len(scores),
        controls=len(shared) - len(scores),
        left_out=len(cells) - len(shared),
        matched=key is not None,
    )


def _title(run: Path) -> str:
    try:
        name = json.loads((run / "plan.json").read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return _clean(str(name))


def _clean(text: str) -> str:
    """Leave out what a shareable file may not hold."""
    kept = "".join(c for c in text if c.isprintable())
    return re.sub(r"[\u202a-\u202e\u2066-\u2069]", "", kept)[:200]


# ---------------------------------------------------------------------------- one cell


def _members(cell: CellResult, names: KeyedNames, *, epochs: bool) -> dict[str, bytes]:
    order, arrays = _arrays(cell, names, epochs=epochs)
    meta = SharedCell.model_validate(_meta(cell, names, order))
    content = meta.model_dump(mode="json")
    # The original's name and what a reader joins by; also a check that nothing else slipped in.
    out = {"cell.json": canonical_json(content).encode()}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(
            buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
        )
        out[f"{name}.npy"] = buffer.getvalue()
    return out


def _simulated(cell: CellResult) -> list[str]:
    """The cell's simulated corpora; where it does not say which, all of them."""
    known = cell.meta.get("simulated_corpora")
    every = [str(name) for name in np.unique(cell.identifiers["trials_corpus"])]
    return [name for name in every if cell.simulated and (known is None or name in known)]


def _hide(table: pd.DataFrame, names: KeyedNames, simulated: Collection[str]) -> pd.DataFrame:
    """Replace identifiers; the position in the session (`trial`) is left out."""
    raw = table[[*_TRIAL, *_STIMULI]]
    distinct = raw.drop_duplicates()
    out = distinct.copy()
    keys = list(distinct.itertuples(index=False))
    out["subject"] = [names.subject(str(k.corpus), k.subject, simulated) for k in keys]
    # Alike for all subjects of a corpus: where clips are not known, places stand for them.
    out["session"] = [names.number("session", k.corpus, k.session) for k in keys]
    out["row"] = [names.number("row", k.corpus, k.session, k.row) for k in keys]
    for level in _STIMULI:
        out[level] = [
            names.text(level, value) if value else "" for value in distinct[level].astype(str)
        ]
    columns = [*_TRIAL, *_STIMULI]
    joined = raw.merge(
        out.set_axis([f"new_{c}" for c in columns], axis=1).assign(
            **{c: distinct[c].to_numpy() for c in columns}
        ),
        on=columns,
        how="left",
    )
    return joined[[f"new_{c}" for c in columns]].set_axis(columns, axis=1)


def _arrays(
    cell: CellResult, names: KeyedNames, *, epochs: bool
) -> tuple[list[int], dict[str, NDArray[Any]]]:
    """Return the new order of the folds, and the arrays in an order that tells nothing."""
    stored, ids = cell.arrays, cell.identifiers
    simulated = _simulated(cell)
    tested = _hide(pd.DataFrame({c: stored[c] for c in (*_TRIAL, *_STIMULI)}), names, simulated)
    # Folds come in the order of their hashed names: the old order is that of subject numbers.
    hashed = [names.text("fold", fold["id"]) for fold in cell.meta["folds"]]
    order = sorted(range(len(hashed)), key=lambda number: hashed[number])
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    fold = place[stored["fold"]]
    rows = np.lexsort(
        [stored["window"], *(tested[c].to_numpy() for c in ("row", "session", "subject")), fold]
    )
    columns, _ = _class_order(cell, names)
    out: dict[str, NDArray[Any]] = {
        "scores": stored["scores"][rows][:, columns].astype(np.float32),
        "y_true": np.argsort(columns)[stored["y_true"][rows]].astype(np.int64),
        "fold": fold[rows],
        "start_s": stored["start_s"][rows].astype(np.float32),
        "window": stored["window"][rows].astype(np.int64),
        "trial": np.full(len(rows), -1, dtype=np.int64),
    }
    for name in ("subject", "session", "row"):
        out[name] = tested[name].to_numpy(dtype=np.int64)[rows]
    for name in ("corpus", *_STIMULI):
        out[name] = tested[name].to_numpy(dtype=np.str_)[rows]
    keep = epochs or cell.meta["selection"] == "oracle"
    if "epoch_scores" in stored and keep:
        out["epoch_scores"] = stored["epoch_scores"][:, rows][..., columns]
    if "valence_arousal" in stored and np.isfinite(stored["valence_arousal"]).all():
        out["valence_arousal"] = stored["valence_arousal"][rows].astype(np.float32)
    out.update(_identifiers(ids, place, names, simulated))
    return order, out


def _class_order(cell: CellResult, names: KeyedNames) -> tuple[NDArray[np.int64], list[str]]:
    """Return the order of the classes and their names: those of stimuli are hashed, and sorted."""
    classes = [str(name) for name in cell.meta["classes"]]
    info = CONTROLS.get(str(cell.meta.get("control") or ""))
    if info is None or not info.probe:
        return np.arange(len(classes)), classes
    level = info.name.removesuffix("-probe")
    hashed = [names.text(level, name) for name in classes]
    order = np.argsort(hashed)
    return order.astype(np.int64), [hashed[number] for number in order]


def _identifiers(
    ids: Mapping[str, NDArray[Any]],
    place: NDArray[np.int64],
    names: KeyedNames,
    simulated: Collection[str],
) -> dict[str, NDArray[Any]]:
    raw = pd.DataFrame({c: ids[f"trials_{c}"] for c in (*_TRIAL, *_STIMULI)})
    trials = _hide(raw, names, simulated)
    # Sorted by their new names, and members with them.
    order = np.lexsort([trials[c].to_numpy() for c in ("row", "session", "subject")])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    fold = place[ids["member_fold"]]
    trial = rank[ids["member_trial"]]
    members = np.lexsort([trial, ids["member_role"], fold])
    out: dict[str, NDArray[Any]] = {
        "roles": np.asarray(ids["roles"], dtype=np.str_),
        "member_fold": fold[members].astype(np.int32),
        "member_role": ids["member_role"][members].astype(np.int8),
        "member_trial": trial[members].astype(np.int32),
        "member_windows": ids["member_windows"][members].astype(np.int32),
        "trials_trial": np.full(len(order), -1, dtype=np.int64),
    }
    for name in ("subject", "session", "row"):
        out[f"trials_{name}"] = trials[name].to_numpy(dtype=np.int64)[order]
    for name in ("corpus", *_STIMULI):
        out[f"trials_{name}"] = trials[name].to_numpy(dtype=np.str_)[order]
    for name in ("trials_trial_content", "trials_trial_likeness"):
        if name in ids:  # 0: nothing that could be recognised
            values = [names.number("content", v) if v else 0 for v in ids[name].tolist()]
            out[name] = np.array(values, dtype=np.int64)[order]
    return out


def _meta(cell: CellResult, names: KeyedNames, order: list[int]) -> dict[str, Any]:
    meta = cell.meta
    known = set(SharedCell.model_fields)
    out: dict[str, Any] = {name: value for name, value in meta.items() if name in known}
    out["simulated_corpora"] = _simulated(cell)
    out["classes"] = _class_order(cell, names)[1]
    out["control"] = str(meta.get("control") or "")
    out["task"] = _task(dict(meta["task"]), names, out["simulated_corpora"])
    out["task_title"] = _clean(str(meta["task_title"]))
    out["recipe"] = {
        "name": _recipe(str(meta["recipe"]["name"])),
        "digest": str(meta["recipe"]["digest"]),
    }
    method = meta["method"]
    out["method"] = {
        "name": method["name"],
        "preset": method["preset"],
        "transfer": method.get("transfer"),
        "label": _clean(str(method["label"])),
        "config": _without_paths(method["config"]),
    }
    out["used"] = list(meta.get("used") or meta["grants"])
    out["arm"] = meta.get("arm")
    # A digest of values and identifiers of windows can't be turned back, but it could be tried
    # out: it is given under the key.
    out["fingerprints"] = {
        name: names.text("fingerprint", value) for name, value in meta["fingerprints"].items()
    }
    out["versions"] = {name: _clean(str(value)) for name, value in meta["versions"].items()}
    out["timing"] = {"total_s": float(meta.get("timing", {}).get("total_s", 0.0))}
    out["folds"] = [_fold(meta["folds"][number], names) for number in order]
    return out


def _fold(fold: Mapping[str, Any], names: KeyedNames) -> dict[str, Any]:
    certificate = fold["certificate"]
    fields = ("protocol", "base", "target", "scaling", "stimulus_disjoint", "stimulus_control")
    return {
        **{name: fold[name] for name in fields},
        "id": names.text("fold", fold["id"]),
        "subject": names.text("subject", fold["subject"]),
        "promises": list(fold.get("promises", ())),
        "lacks": list(fold["lacks"]),
        "n_windows": {role: int(n) for role, n in fold["n_windows"].items()},
        "n_trials": {role: int(n) for role, n in fold["n_trials"].items()},
        "n_epochs": int(fold.get("n_epochs") or 0),
        "certificate": {
            "protocol": certificate["protocol"],
            "declared": list(certificate["declared"]),
            "checks": [
                {name: check[name] for name in ("name", "passed", "measured", "required")}
                for check in certificate["checks"]
            ],
        },
    }


def _task(task: dict[str, Any], names: KeyedNames, simulated: Collection[str]) -> dict[str, Any]:
    target = task["target"]
    if task.get("subjects"):
        task["subjects"] = sorted(names.subject(target, s, simulated) for s in task["subjects"])
    task["recipe"] = _recipe(str(task["recipe"]))
    if task.get("source_recipe"):
        task["source_recipe"] = _recipe(str(task["source_recipe"]))
    task["name"] = _clean(str(task.get("name") or ""))
    return task


def _recipe(name: str) -> str:
    """A recipe's name; of a file only that it was one."""
    if "/" in name or "\\" in name or name.endswith((".yaml", ".yml")):
        return f"own-{sha256(Path(name).name.encode())[:8]}"
    return name


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    if isinstance(value, str) and re.search(r"^([A-Za-z]:)?[\\/]|^~|[\\/].*[\\/]", value):
        return "(a path)"
    return value
