"""DANN and DAN as methods: labels from the source, likeness to the target's unlabelled windows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from affectrum.methods.base import MethodConfig, Observer, Progress, derive_seed
from affectrum.methods.baselines.arms import Rows
from affectrum.methods.baselines.neural import NeuralArm, seeded, softmax_scores
from affectrum.methods.baselines.target import TargetArm, TargetRows, seen_facts
from affectrum.methods.dann.config import AdaptiveConfig, DANConfig, DANNConfig
from affectrum.methods.registry import register
from affectrum.scaling import Scaler, ScalerRecord

if TYPE_CHECKING:
    import torch
    from torch import nn

    from affectrum.methods.dann.network import FeatureClassifier

__all__ = ["DAN", "DANN"]

Layers = tuple["torch.Tensor", "torch.Tensor"]
Gap = Callable[[Layers, Layers, float], "torch.Tensor"]
"""Loss that grows with what tells the domains apart, from both domains' last two layers and the
strength of this moment."""


class _Adaptive(TargetArm, NeuralArm):
    """Cross-entropy on source batches plus a gap between source and target batches."""

    network_: FeatureClassifier
    aligned_to_: dict[str, Any]
    #: For the leak audit: the windows that it adapted to.
    records_: tuple[ScalerRecord, ...] = ()
    _source_scaler: Scaler

    @abstractmethod
    def _gap(self, network: FeatureClassifier) -> tuple[Gap, list[nn.Parameter]]:
        """Return the gap of two batches, and parameters that learn with it."""

    def _build(self, n_channels: int, n_features: int, n_classes: int) -> FeatureClassifier:
        from affectrum.methods.dann.network import FeatureClassifier

        return FeatureClassifier(n_channels, n_features, self.config.hidden, n_classes)

    def _fit_rows(
        self,
        rows: Rows,
        n_classes: int,
        *,
        seed: int,
        after_epoch: Observer | None,
        progress: Progress | None,
    ) -> None:
        import torch

        from affectrum.training.loop import ClassifierSettings, make_adam, train_classifier

        config = self.config
        seen = self._seen()
        with seeded(seed):
            network = self._build(self.shape_[0], self.shape_[1], n_classes)
            gap, learnt = self._gap(network)
        target = self._standardise(network, rows, seen)
        self.network_ = network.to(self.device)
        source_x = torch.from_numpy(self._source_scaler.transform(rows.x)).to(self.device)
        target_x = torch.from_numpy(target.transform(seen.x)).to(self.device)
        y = torch.from_numpy(rows.y).to(self.device)
        objective = _Objective(
            network, gap, source_x, target_x, y, config, derive_seed(seed, "target batches")
        )
        settings = ClassifierSettings(
            epochs=config.epochs,
            batch_size=config.batch_size,
            max_steps=config.max_steps,
            learning_rate=config.learning_rate,
            schedule=config.schedule,
        )
        adam = make_adam(
            [*network.parameters(), *learnt],
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        records = train_classifier(
            self.network_,
            source_x,
            y,
            [adam],
            settings,
            seed=seed,
            objective=objective,
            after_epoch=None
            if after_epoch is None
            else lambda epoch, n: after_epoch(epoch, n, self.predict_proba),
            validation=self._held_out(),
            progress=None
            if progress is None
            else lambda done, total: progress(self.name, done, total),
        )
        self.history_ = [
            {"epoch": one.epoch, "loss": one.loss, "train_accuracy": one.train_accuracy}
            for one in records
        ]

    def _standardise(self, network: FeatureClassifier, rows: Rows, seen: TargetRows) -> Scaler:
        """Fit both domains' scalers, tell the network the target's, and return that."""
        import torch

        self._source_scaler = Scaler().fit(rows.x)
        target = Scaler().fit(
            seen.x, seen.ids, roles=("unlabelled",), corpora=seen.corpora, subjects=seen.subjects
        )
        self.aligned_to_ = seen_facts(seen, target.record)
        self.records_ = (target.record,)
        used = target if self.config.standardise == "domain" else self._source_scaler
        network.center.copy_(torch.from_numpy(used.center_))
        network.scale.copy_(torch.from_numpy(used.scale_))
        return used

    def _held_out(self) -> tuple[Callable[[], NDArray[np.int64]], NDArray[np.int64]] | None:
        """As for other networks; validation windows are the source's, and standardised so."""
        held = self._validation
        if held is None or held.y is None:
            return None
        network = self.network_
        # forward() undoes nothing: it standardises as target, so hand it windows moved there.
        z = self._source_scaler.transform(np.asarray(held.windows.x, dtype=np.float32))
        center, scale = (part.cpu().numpy() for part in (network.center, network.scale))
        moved = np.asarray(z * scale + center, dtype=np.float32)

        def predict() -> NDArray[np.int64]:
            scores = softmax_scores(network, moved, self.device)
            return np.asarray(scores.argmax(axis=1), dtype=np.int64)

        return predict, np.asarray(held.y, dtype=np.int64)

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "aligned_to": self.aligned_to_}

    def _restore(self, arrays: Any, facts: Any) -> None:
        super()._restore(arrays, facts)
        self.aligned_to_ = dict(facts["aligned_to"])


class _Objective:
    """Loss of one source batch, with a target batch of the same size drawn beside it."""

    def __init__(
        self,
        network: FeatureClassifier,
        gap: Gap,
        source_x: torch.Tensor,
        target_x: torch.Tensor,
        y: torch.Tensor,
        config: AdaptiveConfig,
        seed: int,
    ) -> None:
        from affectrum.training.samplers import RandomSampler

        self.network = network
        self.gap = gap
        self.source_x, self.target_x, self.y = source_x, target_x, y
        self.config = config
        self.sampler = RandomSampler(len(target_x), config.batch_size, seed)
        self.step = 0

    def __call__(self, index: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return loss and logits of the source windows at `index`, after a share of training."""
        import torch
        import torch.nn.functional as F

        from affectrum.nn.adaptation import warm_up

        drawn = torch.from_numpy(self.sampler.batch(self.step)).to(index.device)
        self.step += 1
        source = self.network.layers(self.source_x[index])
        target = self.network.layers(self.target_x[drawn])
        strength = self.config.adaptation_weight
        if self.config.warm_up:
            strength *= warm_up(share)
        loss = F.cross_entropy(source[1], self.y[index]) + self.gap(source, target, strength)
        return loss, source[1]


@register
class DANN(_Adaptive):
    """Domain-adversarial neural network: features that a discriminator of domains can't use.

    Feature layers 128 and 64, a linear classifier on source labels, and a discriminator that
    learns to tell source from target windows while the gradient that it sends into the features
    is reversed. The strength of the reversal grows as 2 / (1 + exp(-10 p)) - 1 with the share p
    of training.

    Our reading: batches of equal size from both domains, features of each domain standardised by
    its own granted windows, Adam, no dropout.

    References
    ----------
    Ganin et al. (2016), JMLR 17(59), 1-35, arXiv:1505.07818.
    """

    Config: ClassVar[type[MethodConfig]] = DANNConfig
    name: ClassVar[str] = "dann"
    title: ClassVar[str] = "DANN"
    description: ClassVar[str] = (
        "Network on the features, trained against a discriminator of source and target."
    )
    sees: ClassVar[str] = "labelled source windows; unlabelled target windows"
    reference: ClassVar[str] = (
        "Y. Ganin et al. Domain-adversarial training of neural networks. Journal of Machine "
        "Learning Research 17(59), 1-35, 2016. arXiv:1505.07818"
    )
    published: ClassVar[tuple[str, ...]] = (
        "79.2 % on SEED, 3 classes, as other authors quote it (the table of PPDA); how its test "
        "signals and epochs were used is not available",
    )

    def _gap(self, network: FeatureClassifier) -> tuple[Gap, list[nn.Parameter]]:
        import torch
        import torch.nn.functional as F

        from affectrum.methods.dann.network import Discriminator
        from affectrum.nn.adaptation import reverse_gradient

        judge = Discriminator(network.n_hidden, self.config.discriminator).to(self.device)

        def gap(source: Layers, target: Layers, strength: float) -> torch.Tensor:
            # The discriminator itself always learns; only what it sends back is weighed.
            told = judge(reverse_gradient(torch.cat([source[0], target[0]]), strength))
            wanted = torch.cat([told.new_zeros(len(source[0])), told.new_ones(len(target[0]))])
            # Each domain counts half, however many windows it has.
            weight = torch.cat(
                [told.new_full((len(part[0]),), 0.5 / len(part[0])) for part in (source, target)]
            )
            return F.binary_cross_entropy_with_logits(told, wanted, weight, reduction="sum")

        return gap, list(judge.parameters())


@register
class DAN(_Adaptive):
    """Deep adaptation network: the last two layers' maximum mean discrepancy is made small.

    The network of `DANN`; instead of a discriminator, the multi-kernel MMD (five Gaussian
    kernels) of the last feature layer and of the logits is added to the cross-entropy.

    Our reading: equal weights of kernels and of layers, the weight grows as in DANN, and the rest
    is as there.

    References
    ----------
    Long et al. (2015), ICML, PMLR 37, 97-105, arXiv:1502.02791.
    """

    Config: ClassVar[type[MethodConfig]] = DANConfig
    name: ClassVar[str] = "dan"
    title: ClassVar[str] = "DAN"
    description: ClassVar[str] = (
        "Network on the features whose last two layers are made alike for source and target."
    )
    sees: ClassVar[str] = "labelled source windows; unlabelled target windows"
    reference: ClassVar[str] = (
        "M. Long, Y. Cao, J. Wang, M. I. Jordan. Learning transferable features with deep "
        "adaptation networks. ICML 2015, PMLR 37, 97-105. arXiv:1502.02791"
    )
    published: ClassVar[tuple[str, ...]] = (
        "83.8 % on SEED, 3 classes, as other authors quote it (the table of PPDA)",
        "82.22 % on SEED and 69.68 % on SEED-IV, leave one subject out, batches of 16, as rerun by "
        "the authors of MS-MDA (its repository)",
    )

    def _gap(self, network: FeatureClassifier) -> tuple[Gap, list[nn.Parameter]]:
        from affectrum.nn.adaptation import multi_kernel_mmd

        bandwidths = self.config.bandwidths

        def gap(source: Layers, target: Layers, strength: float) -> torch.Tensor:
            parts = [
                multi_kernel_mmd(one, other, bandwidths)
                for one, other in zip(source, target, strict=True)
            ]
            return strength * (parts[0] + parts[1])

        return gap, []
