"""EMOD as a method: pre-train on many corpora, fine-tune or read out, score windows.

torch is imported inside the functions that compute, so that listing methods stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import AccessError, ConfigError, check_option
from affectrum.methods.base import (
    Method,
    MethodConfig,
    Observer,
    Pretrained,
    Progress,
    derive_seed,
)
from affectrum.methods.emod.config import PRESETS, EMODConfig
from affectrum.methods.emod.labelled import (
    NEEDS_PLANE,
    check_head,
    check_plane,
    check_volts,
    check_windows,
    head_kind,
    labelled_grants,
    now_and_then,
    placed_grants,
    source_grants,
)
from affectrum.methods.registry import register

if TYPE_CHECKING:
    from affectrum.methods.emod.models import FineTuned, ReadOut
    from affectrum.methods.emod.representation import Representation, Space
    from affectrum.protocols import Access, Grant
    from affectrum.training.loop import EpochRecord
    from affectrum.training.tracking import Log
    from affectrum.windows import Windows

__all__ = ["EMOD"]


@register
class EMOD(Method):
    """One backbone for every electrode set, rate and length, guided by valence and arousal.

    Pre-training draws windows of many corpora together by how near they lie on the
    valence-arousal plane. Fine-tuning learns a classifier with the backbone, from the target's
    training or calibration windows where they are granted, else from the source's labels; or
    classes are read out of the pre-trained backbone as it is (`EMODConfig.readout`).

    Parameters
    ----------
    **params
        Fields of `EMODConfig`; the defaults are the preset ``strict``.

    Attributes
    ----------
    classes_ : tuple of str
        Class names in column order.
    pretrained_ : Pretrained or None
        Weights before fine-tuning.
    history_ : list of EpochRecord
        Fine-tuning, epoch by epoch; empty for the other readouts.

    References
    ----------
    Chen, Zhao, Li, Pan (2026), doi:10.1609/aaai.v40i21.38796, arXiv:2511.05863.
    """

    name: ClassVar[str] = "emod"
    title: ClassVar[str] = "EMOD, guided by valence and arousal"
    description: ClassVar[str] = (
        "pre-trains one backbone on signals of many corpora, of any electrodes, rate and length, "
        "by a contrastive loss whose pairs weigh by their distance on the valence-arousal plane; "
        "then fine-tunes it with a classifier"
    )
    sees: ClassVar[str] = (
        "source signals with valence and arousal; the target's calibration windows with labels "
        "where granted, else source labels"
    )
    reference: ClassVar[str] = (
        "Y. Chen, S. Zhao, S. Li, G. Pan. EMOD. AAAI 40(21), 17427-17435, 2026. "
        "doi:10.1609/aaai.v40i21.38796, arXiv:2511.05863"
    )
    published: ClassVar[tuple[str, ...]] = (
        "FACED, 9 classes, 80/20/23 subjects: 62.87 % balanced accuracy, kappa 57.97, weighted F1 "
        "63.05 (from scratch 58.99, 53.57, 59.37); table 2 and 3 of the paper, five seeds",
        "SEED-V, 5 classes, trials 5/5/5 of each session: 41.24 %, 27.12, 42.15 (from scratch "
        "38.47, 24.08, 38.30); the same",
        "SEED, 3 classes, sessions 1/2/3: 61.14 %, 41.95, 61.19 (from scratch 58.35, 37.83, "
        "59.00); the same",
        "all of these by the epoch with the best validation kappa; training and test share the "
        "clips, and in SEED-V and SEED the subjects too",
    )
    needs_one_of: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("calibration_signals", "calibration_labels"),
        ("source_signals", "source_labels"),
        ("source_signals", "source_plane"),
    )
    takes_several_shapes: ClassVar[bool] = True
    trains_in_processes: ClassVar[bool] = True
    long_pretraining: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("raw",)
    Config: ClassVar[type[MethodConfig]] = EMODConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    config: EMODConfig
    history_: list[EpochRecord]
    _model: FineTuned | ReadOut

    # --------------------------------------------------------------------------- pre-training

    def pretrain_fingerprint(self, access: Access) -> str | None:
        """Digest of source windows, their places, parameters and seed; None without pre-training.

        None too where weights come from elsewhere (``foreign_weights=True``).
        """
        if not self.config.pretraining or self.config.foreign_weights:
            return None
        from affectrum.methods.emod.pretraining import fingerprint_of

        return fingerprint_of(access, self.config)

    def pretrain(
        self,
        access: Access,
        *,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        log: Log | None = None,
    ) -> Pretrained | None:
        """Pre-train on the source corpora.

        Parameters
        ----------
        access : Access
            What the protocol grants.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.
        checkpoint : Path, optional
            File from which an interrupted run resumes exactly, and to which it writes.
        log : callable, optional
            Called as ``log(step, values)``, see `affectrum.training.tracking`.

        Returns
        -------
        Pretrained or None
            None if pre-training is off. To be shared between folds of equal
            `pretrain_fingerprint`.

        Raises
        ------
        AccessError
            If no source, or no valence and arousal for it, is granted.
        """
        if not self.config.pretraining:
            return None
        from affectrum.methods.emod import pretraining

        check_plane(access, self.config)
        return pretraining.pretrain(
            access, self.config, checkpoint=checkpoint, progress=progress, log=log
        )

    def check_access(self, access: Access) -> None:
        """Refuse, before any training, an access that lacks what the configuration needs.

        Raises
        ------
        AccessError
            Naming what is missing and what would do.
        """
        super().check_access(access)
        if self.config.readout != "plane":
            labelled_grants(access, self.config)
        if self.config.pretraining and not self.config.foreign_weights:
            check_plane(access, self.config)

    # -------------------------------------------------------------------------------- fitting

    def fit(
        self,
        access: Access,
        *,
        observer: Observer | None = None,
        pretrained: Pretrained | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Pre-train, or take given weights, then fine-tune or read out. See `Method.fit`.

        Raises
        ------
        AccessError
            If what the configuration needs is not granted; before any training.
        ConfigError
            If windows don't fit, or `pretrained` belongs to other data or settings.
        """
        from affectrum.methods.emod.models import ReadOut

        self.check_access(access)
        grants = self._labelled(access)
        for grant in [*grants, *source_grants(access)]:
            check_windows(grant.windows)
            check_volts(grant.windows)
        if self.config.readout == "finetune":
            check_head(head_kind(self.config, grants), grants)
        self.classes_ = tuple(access.classes)
        self.pretrained_ = self._given_or_pretrained(access, pretrained, progress)
        self.history_ = []
        self.trained_on_ = sorted({str(grant.windows.corpus) for grant in grants})
        if self.config.readout == "finetune":
            self._finetune(access, grants, observer, progress)
            return self
        seed = derive_seed(self.config.seed, access.seed, "backbone")
        model = ReadOut.start(self.config, self.pretrained_, seed)
        model.fit(grants, self._placed(access, grants), self.classes_, access.va_table)
        self._model = model
        if observer is not None:
            observer(1, 1, self.predict_proba)
        return self

    def _labelled(self, access: Access) -> list[Grant]:
        """Grants whose labels are learnt from; none are needed to read out the plane."""
        try:
            return labelled_grants(access, self.config)
        except AccessError:
            if self.config.readout != "plane":
                raise
            return []

    def _given_or_pretrained(
        self, access: Access, pretrained: Pretrained | None, progress: Progress | None
    ) -> Pretrained | None:
        if pretrained is None:
            if self.config.foreign_weights:
                raise ConfigError(
                    "foreign_weights=True starts from weights that were pre-trained elsewhere: "
                    "pass them as fit(access, pretrained=...), or set foreign_weights=False."
                )
            return self.pretrain(access, progress=progress)
        if not self.config.pretraining:
            raise ConfigError(
                "pretraining=False trains the network from scratch, but pre-trained weights were "
                "given; leave them out, or set pretraining=True."
            )
        if self.config.foreign_weights:
            return pretrained
        expected = self.pretrain_fingerprint(access)
        if pretrained.fingerprint != expected:
            raise ConfigError(
                "The pre-trained weights belong to other source windows, parameters or seed: "
                f"expected fingerprint {expected}, received {pretrained.fingerprint}. Call "
                "pretrain(access) with this method and this access, or set foreign_weights=True if "
                "you know what they saw."
            )
        return pretrained

    # ---------------------------------------------------------------------------- fine-tuning

    def _finetune(
        self,
        access: Access,
        grants: list[Grant],
        observer: Observer | None,
        progress: Progress | None,
    ) -> None:
        from affectrum.methods.emod import finetuning
        from affectrum.methods.emod.models import FineTuned
        from affectrum.methods.emod.networks import seeded

        seed, first = self.config.seed, grants[0].windows
        model = FineTuned(
            self.config,
            len(self.classes_),
            {
                "kind": head_kind(self.config, grants),
                "n_channels": first.shape[1],
                "n_samples": first.shape[2],
                "sfreq": first.sfreq,
            },
            derive_seed(seed, access.seed, "backbone"),
            derive_seed(seed, access.seed, "head"),
        )
        if self.pretrained_ is not None:
            model.start_from(self.pretrained_)
        # before training: the observer's predict reads it
        self._model = model
        validation = None
        if access.validation is not None and access.validation.y is not None:
            validation = model.labelled([access.validation], training=False)

        def after_epoch(epoch: int, n_epochs: int) -> None:
            if observer is not None:
                observer(epoch, n_epochs, self.predict_proba)

        with seeded(derive_seed(seed, access.seed, "dropout")):
            self.history_ = finetuning.finetune(
                model.classifier,
                model.labelled(grants, training=True),
                self.config,
                device=model.device,
                seed=derive_seed(seed, access.seed, "fine-tuning batches"),
                validation=validation,
                after_epoch=after_epoch,
                progress=now_and_then(progress, "fine-tuning"),
            )
        model.fit_plane(self._placed(access, grants))

    def _placed(self, access: Access, grants: list[Grant]) -> list[Grant]:
        """Grants whose valence and arousal are looked at for readouts."""
        uses_source = self.config.pretraining or self.config.readout == "plane"
        looked_at = [*grants, *(source_grants(access) if uses_source else ())]
        return placed_grants(looked_at, self.config.va_table)

    # -------------------------------------------------------------------------------- scoring

    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Score windows of any electrodes, rate and length. See `Method.predict_proba`.

        Raises
        ------
        ConfigError
            If the method is not fitted, the windows are no signals, or its head is made for
            another number of electrodes or another length.
        """
        self.check_fitted()
        check_windows(windows)
        if not len(windows):
            return np.zeros((0, len(self.classes_)))
        return self._model.predict_proba(windows)

    def predict_valence_arousal(self, windows: Windows) -> NDArray[np.float64] | None:
        """Valence and arousal (-1..1) read out of the learnt space, shape (n, 2).

        By ridge regression from mean tokens of granted windows that have both; with
        ``readout="plane"`` from similar windows. None if no granted window has both, or
        ``plane_windows=0``.
        """
        self.check_fitted()
        check_windows(windows)
        if not len(windows):
            return np.zeros((0, 2))
        return self._model.predict_plane(windows)

    def embed(
        self,
        windows: Windows,
        stage: Literal["finetuned", "pretrained"] = "finetuned",
        space: Space | None = None,
    ) -> NDArray[np.float32]:
        """Vectors of windows in the learnt space.

        Parameters
        ----------
        windows : Windows
            n signals of any electrodes, rate and length.
        stage : {"finetuned", "pretrained"}
            Before or after fine-tuning; the same for readouts that leave the backbone as it is.
            ``pretrained`` is kept in memory after `fit` only.
        space : {"backbone", "projection"}, optional
            The mean token, or the pre-training head's unit vector, which is there before
            fine-tuning only. Default: the mean token.

        Returns
        -------
        ndarray, shape (n, width or 128), float32

        Raises
        ------
        ConfigError
            If the method is not fitted, or there are no such vectors.
        """
        from affectrum.methods.emod.models import FineTuned

        self.check_fitted()
        check_option("stage", stage, ("finetuned", "pretrained"))
        if not isinstance(self._model, FineTuned):
            return self._model.representation.embed(windows, space or "backbone")
        if stage == "finetuned":
            if space == "projection":
                raise ConfigError(
                    "Fine-tuning replaces the pre-training head, so there is no 'projection' of "
                    "stage 'finetuned'. Use stage='pretrained' or space='backbone'."
                )
            return self._model.embed(windows)
        if self.pretrained_ is None:
            raise ConfigError(
                "There are no pre-trained weights to show: pre-training was off, or the method was "
                "loaded from a bundle. Use stage='finetuned'."
            )
        return self.representation(self.pretrained_).embed(windows, space or "backbone")

    def representation(self, pretrained: Pretrained) -> Representation:
        """Make pre-trained weights of this configuration a function of windows.

        Parameters
        ----------
        pretrained : Pretrained
            What `pretrain` or `affectrum.inference.load_pretrained` gave.

        Returns
        -------
        Representation
            With ``embed(windows, space)``; no labels are needed.
        """
        from affectrum.methods.emod.representation import Representation

        return Representation.from_pretrained(pretrained, self.config)

    def used_grants(self, access: Access) -> tuple[str, ...]:
        """Return what of the access is used; places on the plane count as the labels' part."""
        grants = self._labelled(access)
        sources = source_grants(access)
        on_source = any(grant is source for grant in grants for source in sources)
        on_calibration = any(grant is access.calibration for grant in grants)
        pretrains = self.config.pretraining and not self.config.foreign_weights
        reads_plane = bool(sources) and (
            (pretrains and self.config.objective in NEEDS_PLANE)
            or (self.config.pretraining and self.config.plane_windows > 0)
            or self.config.readout == "plane"
        )
        used = {
            "source_signals": pretrains or on_source or reads_plane,
            "source_labels": on_source or reads_plane,
            "source_plane": reads_plane,
            "calibration_signals": on_calibration,
            "calibration_labels": on_calibration,
            "validation": self.config.readout == "finetune",
        }
        return tuple(name for name in access.grants if used.get(name, False))

    # ---------------------------------------------------------------------------------- state

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return weights and facts, see `Method.state`."""
        from affectrum.methods.emod.models import FineTuned

        meta = self.base_meta()
        pretrained = self.pretrained_
        meta.update(
            head=dict(self._model.head) if isinstance(self._model, FineTuned) else None,
            trained_on=list(self.trained_on_),
            history=[
                [record.epoch, record.loss, record.train_accuracy, record.validation]
                for record in self.history_
            ],
            pretraining=None
            if pretrained is None
            else {**pretrained.meta, "fingerprint": pretrained.fingerprint},
        )
        return self._model.arrays(), meta

    def load_state(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """Restore what `state` returned.

        Raises
        ------
        BundleError
            If arrays are missing or don't fit.
        """
        from affectrum.methods.emod.models import FineTuned, ReadOut
        from affectrum.training.loop import EpochRecord

        self.classes_ = tuple(meta["classes"])
        self.pretrained_ = None
        self.trained_on_ = list(meta["trained_on"])
        model: FineTuned | ReadOut
        if self.config.readout == "finetune":
            model = FineTuned(self.config, len(self.classes_), meta["head"])
        else:
            model = ReadOut(self.config, self.representation(Pretrained("", dict(arrays))))
        model.load(arrays)
        self._model = model
        self.history_ = [
            EpochRecord(int(epoch), loss, accuracy, float("nan"), validation)
            for epoch, loss, accuracy, validation in meta.get("history", [])
        ]
        return self
