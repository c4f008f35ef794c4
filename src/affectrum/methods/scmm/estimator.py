"""SCMM as a method: pre-train on source signals, fine-tune on granted labels, score windows.

torch is imported inside the functions that compute, so that listing methods stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import BundleError, ConfigError
from affectrum.methods.base import (
    Method,
    MethodConfig,
    Observer,
    Pretrained,
    Progress,
    derive_seed,
)
from affectrum.methods.registry import register
from affectrum.methods.scmm.config import PRESETS, TRANSFERS, SCMMConfig

if TYPE_CHECKING:
    import torch

    from affectrum.methods.scmm.diagnostics import SoftWeightDiagnostics
    from affectrum.methods.scmm.finetuning import SCMMClassifier
    from affectrum.methods.scmm.network import SCMMNetwork
    from affectrum.protocols import Access
    from affectrum.training.loop import EpochRecord
    from affectrum.windows import Windows

__all__ = ["SCMM"]


@register
class SCMM(Method):
    """Soft contrastive masked modelling.

    Pre-training learns an encoder from source windows without labels: windows that look alike are
    drawn together by how alike they are, and masked windows are rebuilt from similar ones.
    Fine-tuning learns a classifier from the target subject's calibration trials where they are
    granted, else from the source's labels.

    Parameters
    ----------
    **params
        Fields of `SCMMConfig`; the defaults are the preset ``strict``.

    Attributes
    ----------
    classes_ : tuple of str
        Class names in column order.
    channels_ : tuple of str
        Electrodes it was fitted on.
    pretrained_ : Pretrained or None
        Weights before fine-tuning.
    history_ : list of EpochRecord
        Fine-tuning, epoch by epoch.

    References
    ----------
    Liu, Ye, Zhang, Liang (2025), doi:10.1145/3746027.3755798.
    """

    name: ClassVar[str] = "scmm"
    title: ClassVar[str] = "SCMM, soft contrastive masked modelling"
    description: ClassVar[str] = (
        "pre-trains a small convolutional encoder on source windows by a soft contrastive loss and "
        "masked reconstruction, then fine-tunes it with a classifier"
    )
    sees: ClassVar[str] = (
        "source signals (labels only to pick settings left open, or to fine-tune on when there are "
        "no calibration trials); the target subject's calibration trials with labels where granted"
    )
    reference: ClassVar[str] = (
        "Q. Liu, W. Ye, L. Zhang, Z. Liang. EEG-SCMM: Soft Contrastive Masked Modeling for "
        "Cross-Corpus EEG-Based Emotion Recognition. ACM MM 2025. doi:10.1145/3746027.3755798, "
        "arXiv:2408.09186"
    )
    published: ClassVar[tuple[str, ...]] = (
        "average accuracy 4.26 points above the second best of 10 baselines (abstract); per-"
        "transfer tables not available; best test epoch, as its released code selects",
    )
    needs_one_of: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("calibration_signals", "calibration_labels"),
        ("source_signals", "source_labels"),
    )
    Config: ClassVar[type[MethodConfig]] = SCMMConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    transfers: ClassVar[Mapping[str, Mapping[str, Any]]] = TRANSFERS
    transfer_presets: ClassVar[tuple[str, ...]] = ("paper", "released")

    fits_many_at_once: ClassVar[bool] = True

    config: SCMMConfig
    history_: list[EpochRecord]

    # --------------------------------------------------------------------------- pre-training

    def pretrain_fingerprint(self, access: Access) -> str | None:
        """Digest of source windows, parameters and seed; None if pre-training is off."""
        if not self.config.pretraining:
            return None
        from affectrum.methods.scmm.pretraining import fingerprint_of

        return fingerprint_of(access, self.config)

    def pretrain(
        self,
        access: Access,
        *,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Pretrained | None:
        """Pre-train on source signals (without a source, on calibration signals).

        Parameters
        ----------
        access : Access
            What the protocol grants.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.
        checkpoint : Path, optional
            File from which an interrupted run resumes exactly, and to which it writes.

        Returns
        -------
        Pretrained or None
            None if pre-training is off. To be shared between folds of equal
            `pretrain_fingerprint`.
        """
        if not self.config.pretraining:
            return None
        from affectrum.methods.scmm import pretraining

        return pretraining.pretrain(access, self.config, checkpoint=checkpoint, progress=progress)

    # ---------------------------------------------------------------------------- fine-tuning

    def fit(
        self,
        access: Access,
        *,
        observer: Observer | None = None,
        pretrained: Pretrained | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Pre-train, or take given weights, then fine-tune. See `Method.fit`.

        Raises
        ------
        AccessError
            If no labels are granted, or the source's classes are not the target's and there are no
            calibration labels. Raised before any training.
        ConfigError
            If windows don't fit, or `pretrained` belongs to other data or settings.
        """
        from affectrum.methods.scmm import finetuning

        device = self._prepare(access, pretrained, progress)

        def after_epoch(epoch: int, n_epochs: int) -> None:
            if observer is not None:
                observer(epoch, n_epochs, self.predict_proba)

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress("fine-tuning", done, total)

        self.history_ = finetuning.finetune(
            self._classifier,
            access,
            self.config,
            device=device,
            after_epoch=after_epoch,
            progress=report,
        )
        self._classifier.eval()
        return self

    def fit_many(
        self,
        accesses: Sequence[Access],
        *,
        observers: Sequence[Observer | None] | None = None,
        pretrained: Sequence[Pretrained | None] | None = None,
        progress: Progress | None = None,
    ) -> list[Self]:
        """Fit one SCMM per access, fine-tuning all in one computation. See `Method.fit_many`.

        Weights and scores are those of `fit` up to rounding (1e-12 in float64).
        """
        from affectrum.methods.scmm import finetuning_many, stacked

        given = [None] * len(accesses) if pretrained is None else list(pretrained)
        methods = [type(self)(self.config) for _ in accesses]
        for method, access, weights in zip(methods, accesses, given, strict=True):
            device = method._prepare(access, weights, progress)
        if not stacked.can_stack([method._classifier for method in methods]):
            return super().fit_many(
                accesses,
                observers=observers,
                pretrained=[method.pretrained_ for method in methods],
                progress=progress,
            )

        def after_epoch(numbers: Sequence[int], epoch: int, n_epochs: int) -> None:
            for number in numbers:
                observer = None if observers is None else observers[number]
                if observer is not None:
                    observer(epoch, n_epochs, methods[number].predict_proba)
            if progress is not None:
                progress("fine-tuning", epoch, n_epochs)

        histories = finetuning_many.finetune_many(
            [method._classifier for method in methods],
            accesses,
            self.config,
            device=device,
            after_epoch=after_epoch,
        )
        for method, history in zip(methods, histories, strict=True):
            method.history_ = history
        return methods

    def _prepare(
        self, access: Access, pretrained: Pretrained | None, progress: Progress | None
    ) -> torch.device:
        """Check everything, pre-train or load weights, and put a new classifier on them."""
        from affectrum.methods.scmm import finetuning, pretraining

        self.check_access(access)
        grants = finetuning.labelled_grants(access, self.config)
        shape = grants[0].windows.shape
        self._check_source_fits(access, shape)
        device = pretraining.pick_device(self.config.device)
        pretrained = self._given_or_pretrained(access, pretrained, progress)

        seed = self.config.seed
        run_seed = pretraining.with_run_seed(self.config, access).seed
        network = pretraining.make_network(
            shape[1], shape[2], self.config.width, derive_seed(run_seed, "network")
        )
        if pretrained is not None:
            _load(network, "network", pretrained.arrays)
        # set before training: the observer's predict reads them
        self._classifier: SCMMClassifier = finetuning.make_classifier(
            network, len(access.classes), self.config, derive_seed(seed, access.seed, "classifier")
        ).to(device)
        self.classes_ = tuple(access.classes)
        self.channels_ = tuple(grants[0].windows.channels)
        self.pretrained_ = pretrained
        self.history_ = []
        return device

    def used_grants(self, access: Access) -> tuple[str, ...]:
        """Return what of the access is used: labels only for fine-tuning and the search."""
        from affectrum.methods.scmm import finetuning

        grants = finetuning.labelled_grants(access, self.config)
        on_source = any(grant is access.source for grant in grants)
        on_calibration = any(grant is access.calibration for grant in grants)
        pretrains = self.config.pretraining
        # The search's probe reads the source's labels where they are granted.
        probes = pretrains and self.config.search > 0
        used = {
            "source_signals": pretrains or on_source,
            "source_labels": probes or on_source,
            "calibration_signals": on_calibration,
            "calibration_labels": on_calibration,
            "validation": True,
        }
        return tuple(name for name in access.grants if used.get(name, False))

    def _check_source_fits(self, access: Access, shape: tuple[int, int, int]) -> None:
        """Compare source and calibration before any training."""
        if access.source is None or not self.config.pretraining:
            return
        source = access.source.windows.shape
        if source[1:] != shape[1:]:
            raise ConfigError(
                f"SCMM would pre-train on {source[1]} electrodes x {source[2]} bands, but the "
                f"windows to fine-tune on have {shape[1]} x {shape[2]}. Prepare all corpora with "
                "one recipe."
            )

    def _given_or_pretrained(
        self, access: Access, pretrained: Pretrained | None, progress: Progress | None
    ) -> Pretrained | None:
        if pretrained is None:
            return self.pretrain(access, progress=progress)
        expected = self.pretrain_fingerprint(access)
        if expected is None:
            raise ConfigError(
                "pretraining=False trains the network from scratch, but pre-trained weights were "
                "given; leave them out, or set pretraining=True."
            )
        if pretrained.fingerprint != expected:
            raise ConfigError(
                "The pre-trained weights belong to other source windows, parameters or seed: "
                f"expected fingerprint {expected}, received {pretrained.fingerprint}. Call "
                "pretrain(access) with this method and this access."
            )
        return pretrained

    # -------------------------------------------------------------------------------- scoring

    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Score windows, see `Method.predict_proba`.

        Raises
        ------
        ConfigError
            If the method is not fitted, or the windows have other electrodes or bands than those
            it was fitted on.
        """
        from affectrum.methods.scmm.finetuning import score

        x = self._input(windows)
        if len(windows) == 0:
            return np.zeros((0, len(self.classes_)))
        return score(self._classifier, x)

    def embed(
        self, windows: Windows, stage: Literal["finetuned", "pretrained"] = "finetuned"
    ) -> NDArray[np.float32]:
        """Encoder maps of windows, for pictures of what was learnt.

        Parameters
        ----------
        windows : Windows
            n windows.
        stage : {"finetuned", "pretrained"}
            Before or after fine-tuning. ``pretrained`` is kept in memory after `fit` only.

        Returns
        -------
        ndarray, shape (n, n_features), float32
            Flattened maps: 384 features for five bands and width 128.

        Raises
        ------
        ConfigError
            If the method is not fitted, or has no pre-trained weights to show.
        """
        import torch

        x = self._input(windows)
        network: SCMMNetwork = self._classifier.network
        if stage == "pretrained":
            from affectrum.methods.scmm.pretraining import make_network

            if self.pretrained_ is None:
                raise ConfigError(
                    "There are no pre-trained weights to show: pre-training was off, or the method "
                    "was loaded from a bundle. Use stage='finetuned'."
                )
            network = make_network(network.n_channels, network.n_bands, network.width, 0)
            _load(network, "network", self.pretrained_.arrays)
            network.to(x.device).eval()
        with torch.no_grad():
            parts = [network.embed(part).cpu() for part in x.split(4096)]
        if not parts:
            return np.zeros((0, network.n_features), dtype=np.float32)
        return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)

    def _input(self, windows: Windows) -> Any:
        """Check windows against what was fitted, and make a tensor of them."""
        from affectrum.methods.scmm.finetuning import check_shape
        from affectrum.methods.scmm.pretraining import check_windows, to_tensor

        self.check_fitted()
        check_windows(windows)
        check_shape(self._classifier.network, windows.shape)
        if tuple(windows.channels) != self.channels_:
            raise ConfigError(
                "These windows have other electrodes, or another order, than those SCMM was "
                f"fitted on: expected {', '.join(self.channels_)}; received "
                f"{', '.join(windows.channels)}."
            )
        device = next(self._classifier.parameters()).device
        return to_tensor(windows.x, device)

    # -------------------------------------------------------------------------------- looking

    def diagnose(
        self, access: Access, *, sampler: Literal["random", "blocks"] | None = None, **options: Any
    ) -> SoftWeightDiagnostics:
        """Show how the soft weights depend on time, subject, trial and class.

        Parameters
        ----------
        access : Access
            The source's windows are looked at; labels enter the table of classes if granted.
        sampler : {"random", "blocks"}, optional
            How batches are drawn; default the configured one.
        **options
            See `diagnose_soft_weights`.

        Returns
        -------
        SoftWeightDiagnostics
            Tables; nothing is trained.
        """
        from affectrum.methods.scmm import diagnostics, pretraining
        from affectrum.methods.scmm.objective import WeightSettings

        pool = pretraining.make_pool(access, self.config, pretraining.pick_device("cpu"))
        role = pretraining.pretraining_role(access)
        grant = access.source if role == "source" else access.calibration
        assert grant is not None
        settings = None
        if getattr(self, "pretrained_", None) is not None:
            assert self.pretrained_ is not None
            settings = WeightSettings(**self.pretrained_.meta["settings"])
        if settings is None:
            settings = pretraining.resolve_settings(self.config, pool)
        return diagnostics.diagnose_soft_weights(
            grant.windows,
            grant.y,
            upper_bound=settings.upper_bound,
            sharpness=settings.sharpness,
            metric=self.config.metric,
            scaling=self.config.distance_scaling,
            sampler=sampler or self.config.sampler,
            batch_size=self.config.pretrain_batch,
            block_length=self.config.block_length,
            seed=self.config.seed,
            **options,
        )

    # ---------------------------------------------------------------------------------- state

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return weights and facts, see `Method.state`."""
        from affectrum.methods.scmm.pretraining import module_arrays

        meta = self.base_meta()
        network = self._classifier.network
        arrays = {
            **module_arrays("network", network),
            **module_arrays("head", self._classifier.head),
        }
        meta.update(
            channels=list(self.channels_),
            n_channels=network.n_channels,
            n_bands=network.n_bands,
            history=[
                [record.epoch, record.loss, record.train_accuracy, record.validation]
                for record in self.history_
            ],
            pretraining=None if self.pretrained_ is None else dict(self.pretrained_.meta),
        )
        return arrays, meta

    def load_state(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """Restore what `state` returned.

        Raises
        ------
        BundleError
            If arrays are missing or don't fit.
        """
        from affectrum.methods.scmm import finetuning, pretraining
        from affectrum.training.loop import EpochRecord

        network = pretraining.make_network(
            int(meta["n_channels"]), int(meta["n_bands"]), self.config.width, 0
        )
        classifier = finetuning.make_classifier(network, len(meta["classes"]), self.config, 0)
        _load(network, "network", arrays)
        _load(classifier.head, "head", arrays)
        classifier.to(pretraining.pick_device(self.config.device)).eval()
        self._classifier = classifier
        self.classes_ = tuple(meta["classes"])
        self.channels_ = tuple(meta["channels"])
        self.pretrained_ = None
        self.history_ = [
            EpochRecord(int(epoch), loss, accuracy, float("nan"), validation)
            for epoch, loss, accuracy, validation in meta.get("history", [])
        ]
        return self


def _load(module: Any, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Load arrays named ``prefix.name`` into a module."""
    import torch

    start = f"{prefix}."
    state = {
        name.removeprefix(start): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(start)
    }
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(f"The stored weights don't fit the network: {error}") from None
