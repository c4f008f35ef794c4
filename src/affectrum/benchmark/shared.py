"""Pre-training that folds and cells share: in memory, and on disk under ``<run>/shared``."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum import __version__
from affectrum.benchmark.files import digest_of, no_room, publish_folder, sha256
from affectrum.errors import FileFormatError, StoreError
from affectrum.store.locks import lock_path, locked

if TYPE_CHECKING:
    from affectrum.methods.base import Method, Pretrained, Progress
    from affectrum.protocols import Access

__all__ = ["SharedPretraining"]

# Pre-trained models kept in memory: cells come in order, so that few are in use at a time.
_KEPT = 4


class SharedPretraining:
    """Give each pre-trained model to all who have the same fingerprint.

    Parameters
    ----------
    folder : Path
        ``<run>/shared``.
    device : str
        Name of the graphics processor in use, if any: processes on one device pre-train one after
        the other.

    Attributes
    ----------
    seconds : float
        Time spent on pre-training since the object was made.
    computed, reused : int
        How often a model was trained, and handed out again.
    """

    def __init__(self, folder: Path, *, device: str = "") -> None:
        self.folder = folder
        self.device = device
        self.seconds = 0.0
        self.computed = 0
        self.reused = 0
        self._kept: OrderedDict[str, Pretrained] = OrderedDict()

    def get(
        self, method: Method, access: Access, progress: Progress | None = None
    ) -> Pretrained | None:
        """Return the pre-trained model for a method and an access, or None if it has none."""
        fingerprint = method.pretrain_fingerprint(access)
        if fingerprint is None:
            return None
        found = self._known(fingerprint)
        if found is not None:
            return found
        # Processes that need the same model wait for the one that makes it.
        with self._alone(fingerprint, progress):
            found = self._known(fingerprint)
            if found is not None:
                return found
            device = f"device {socket.gethostname()} {self.device}" if self.device else None
            with self._alone(device, progress):
                began = time.perf_counter()
                made = self._train(method, access, fingerprint, progress)
                self.seconds += time.perf_counter() - began
            if made is None:
                return None
            self.computed += 1
            self._save(fingerprint, made)
        self._keep(fingerprint, made)
        return made

    def _train(
        self, method: Method, access: Access, fingerprint: str, progress: Progress | None
    ) -> Pretrained | None:
        """Pre-train; what takes long goes on where an earlier runner was stopped."""
        if not method.long_pretraining:
            return method.pretrain(access, progress=progress)
        pretrain: Any = method.pretrain
        place = self._place(fingerprint)
        checkpoint = place.with_name(f"{place.name}-{__version__}.checkpoint")
        try:
            made: Pretrained | None = pretrain(access, progress=progress, checkpoint=checkpoint)
        except FileFormatError:  # damaged: anew
            checkpoint.unlink(missing_ok=True)
            made = pretrain(access, progress=progress, checkpoint=checkpoint)
        checkpoint.unlink(missing_ok=True)
        return made

    def put(self, model: Pretrained) -> None:
        """Keep a model that was trained elsewhere, for all who ask for its fingerprint."""
        self._save(model.fingerprint, model)

    def _known(self, fingerprint: str) -> Pretrained | None:
        found = self._kept.get(fingerprint)
        if found is None:
            found = self._load(fingerprint)
        if found is not None:
            self.reused += 1
            self._keep(fingerprint, found)
        return found

    @contextlib.contextmanager
    def _alone(self, what: str | None, progress: Progress | None) -> Iterator[None]:
        """Hold a lock on something, if the file system has locks: they only save work."""
        if what is None:
            yield
            return

        def waiting(who: str) -> None:
            if progress is not None:
                progress(f"waiting for {who}", 0, 0)

        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(lock_path(self.folder, digest_of(what)), waiting))
            except StoreError:  # a file system without locks
                pass
            except OSError as error:
                raise no_room(self.folder, error) from error
            yield

    def _keep(self, fingerprint: str, model: Pretrained) -> None:
        self._kept[fingerprint] = model
        self._kept.move_to_end(fingerprint)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _place(self, fingerprint: str) -> Path:
        if not re.fullmatch(r"[\w.-]{1,128}", fingerprint):
            raise StoreError(
                f"The pre-training fingerprint {fingerprint!r} can't be a folder's name: it must "
                "be letters, digits, '.', '_' or '-'."
            )
        return self.folder / fingerprint

    def _save(self, fingerprint: str, model: Pretrained) -> None:
        import numpy as np
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(array) for name, array in model.arrays.items()}
        data = save(arrays)
        meta = {
            "fingerprint": fingerprint,
            "version": __version__,
            "sha256": sha256(data),
            "meta": model.meta,
        }
        publish_folder(
            self._place(fingerprint),
            {"arrays.safetensors": data, "meta.json": json.dumps(meta, indent=1).encode()},
            "meta.json",
        )

    def _load(self, fingerprint: str) -> Pretrained | None:
        from affectrum.methods.base import Pretrained

        folder = self._place(fingerprint)
        try:
            stored: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            data = (folder / "arrays.safetensors").read_bytes()
        except (OSError, ValueError):
            return None
        # A damaged model, or one of another version's code, is trained again, not trusted.
        expected = {"fingerprint": fingerprint, "version": __version__, "sha256": sha256(data)}
        if any(stored.get(name) != value for name, value in expected.items()):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        from safetensors.numpy import load

        return Pretrained(fingerprint, dict(load(data)), dict(stored["meta"]))
