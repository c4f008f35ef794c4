"""The two kinds of fitted EMOD: a fine-tuned network, and a readout of one left as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import BundleError
from affectrum.methods.emod.finetuning import Classifier, Labelled, make_pool, score
from affectrum.methods.emod.heads import make_head
from affectrum.methods.emod.networks import (
    build_backbone,
    load_arrays,
    module_arrays,
    pick_device,
    seeded,
)
from affectrum.methods.emod.reading import (
    READERS,
    NearestOnPlane,
    Reader,
    fit_plane,
    fit_reader,
    reference,
)
from affectrum.methods.emod.readout import PlaneRegression
from affectrum.methods.emod.representation import Representation, Space

if TYPE_CHECKING:
    from affectrum.methods.base import Pretrained
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.protocols import Grant
    from affectrum.protocols.plane import TableLike
    from affectrum.windows import Windows

__all__ = ["FineTuned", "ReadOut", "readout_space"]

Arrays = dict[str, NDArray[Any]]


def readout_space(config: EMODConfig) -> Space:
    """Return the representation that readouts work on."""
    if config.readout_space != "auto":
        return config.readout_space
    probe = config.readout in ("finetune", "linear-probe")
    return "backbone" if probe or not config.pretraining else "projection"


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    start = f"{prefix}."
    return {
        name.removeprefix(start): np.asarray(value)
        for name, value in arrays.items()
        if name.startswith(start)
    }


def _named(prefix: str, stored: PlaneRegression | Reader | None) -> Arrays:
    if stored is None:
        return {}
    return {f"{prefix}.{name}": value for name, value in stored.arrays().items()}


def _plane_of(arrays: Mapping[str, NDArray[Any]]) -> PlaneRegression | None:
    found = _under("plane", arrays)
    return PlaneRegression.from_arrays(found) if found else None


class FineTuned:
    """A classifier, and a readout of the plane from its backbone.

    Parameters
    ----------
    config : EMODConfig
        Parameters.
    n_classes : int
        Classes.
    head : mapping
        ``kind``, and for which windows it is made: ``n_channels, n_samples, sfreq``.
    backbone_seed, head_seed : int
        Seeds of the initial weights.
    """

    def __init__(
        self,
        config: EMODConfig,
        n_classes: int,
        head: Mapping[str, Any],
        backbone_seed: int = 0,
        head_seed: int = 0,
    ) -> None:
        self.config = config
        self.head = dict(head)
        self.device = pick_device(config.device)
        self.plane: PlaneRegression | None = None
        backbone = build_backbone(config, dropout=config.finetune_dropout, seed=backbone_seed)
        with seeded(head_seed):
            layers = make_head(
                head["kind"],
                width=config.width,
                n_channels=int(head["n_channels"]),
                n_tokens=backbone.n_tokens(int(head["n_samples"]), float(head["sfreq"])),
                n_classes=n_classes,
                dropout=config.finetune_dropout,
            )
        self.classifier = Classifier(backbone, layers, config.freeze_backbone).to(self.device)
        self.classifier.eval()

    def start_from(self, pretrained: Pretrained) -> None:
        """Give the backbone pre-trained weights."""
        load_arrays(self.classifier.backbone, "backbone", pretrained.arrays)

    def labelled(self, grants: Sequence[Grant], *, training: bool) -> Labelled:
        """Put labelled grants into one pool, whose pieces fit into memory."""
        parts = [grant.windows for grant in grants]
        labels = [grant.y for grant in grants if grant.y is not None]
        pool = make_pool(parts, self.config.width, self.device, training=training)
        return Labelled(pool, np.concatenate(labels).astype(np.int64))

    def fit_plane(self, placed: Sequence[Grant]) -> None:
        """Learn where the windows of grants with valence and arousal lie."""
        self.plane = fit_plane(self.embed, reference(placed, self.config.plane_windows))

    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Class probabilities of windows, shape (n, n_classes)."""
        pool = make_pool([windows], self.config.width, self.device, training=False)
        return score(self.classifier, pool, self.config, self.device)

    def predict_plane(self, windows: Windows) -> NDArray[np.float64] | None:
        """Valence and arousal of windows, shape (n, 2), -1..1; None without a readout."""
        return None if self.plane is None else self.plane.predict(self.embed(windows))

    def embed(self, windows: Windows) -> NDArray[np.float32]:
        """Mean tokens of windows, shape (n, width)."""
        self.classifier.eval()
        return Representation(self.classifier.backbone, None, self.config).embed(
            windows, "backbone"
        )

    def arrays(self) -> Arrays:
        """Return all weights by name."""
        return {
            **module_arrays("backbone", self.classifier.backbone),
            **module_arrays("head", self.classifier.head),
            **_named("plane", self.plane),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `arrays` returned; BundleError if it does not fit."""
        load_arrays(self.classifier.backbone, "backbone", arrays)
        load_arrays(self.classifier.head, "head", arrays)
        self.plane = _plane_of(arrays)


class ReadOut:
    """A representation that stays as it is, and what is read out of it.

    Parameters
    ----------
    config : EMODConfig
        Parameters.
    representation : Representation
        Windows to vectors.
    """

    reader: Reader

    def __init__(self, config: EMODConfig, representation: Representation) -> None:
        self.config = config
        self.representation = representation
        self.space = readout_space(config)
        self.plane: PlaneRegression | None = None

    @classmethod
    def start(cls, config: EMODConfig, pretrained: Pretrained | None, seed: int) -> ReadOut:
        """Make it of pre-trained weights, or of random ones with a seed."""
        if pretrained is not None:
            return cls(config, Representation.from_pretrained(pretrained, config))
        backbone = build_backbone(config, dropout=0.0, seed=seed)
        return cls(config, Representation(backbone, None, config))

    def fit(
        self,
        labelled: Sequence[Grant],
        placed: Sequence[Grant],
        classes: Sequence[str],
        va_table: TableLike | None = None,
    ) -> None:
        """Learn classes from labelled windows and the plane from placed ones; see `fit_reader`."""
        self.reader = fit_reader(self.config, self._embed, labelled, placed, classes, va_table)
        if not isinstance(self.reader, NearestOnPlane):
            self.plane = fit_plane(self._embed, reference(placed, self.config.plane_windows))

    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Class probabilities of windows, shape (n, n_classes)."""
        return self.reader.predict_proba(self._embed(windows))

    def predict_plane(self, windows: Windows) -> NDArray[np.float64] | None:
        """Valence and arousal of windows, shape (n, 2), -1..1; None without a readout."""
        if isinstance(self.reader, NearestOnPlane):
            return self.reader.neighbours.predict(self._embed(windows))
        return None if self.plane is None else self.plane.predict(self._embed(windows))

    def _embed(self, windows: Windows) -> NDArray[np.float32]:
        return self.representation.embed(windows, self.space)

    def arrays(self) -> Arrays:
        """Return all weights by name."""
        return {
            **self.representation.arrays(),
            **_named("reader", self.reader),
            **_named("plane", self.plane),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the readout that `arrays` returned; BundleError if it does not fit."""
        try:
            self.reader = READERS[self.config.readout].from_arrays(_under("reader", arrays))
        except (TypeError, KeyError) as error:
            raise BundleError(f"The stored readout is not complete ({error}).") from None
        self.plane = _plane_of(arrays)
