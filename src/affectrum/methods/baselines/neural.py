"""What the neural baselines share: a network that maps windows to logits, trained on an arm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from affectrum.errors import ConfigError
from affectrum.methods.base import MethodConfig, Observer, Progress
from affectrum.methods.baselines.arms import ArmConfig, ArmMethod, Rows

if TYPE_CHECKING:
    import torch
    from torch import nn


__all__ = ["NeuralArm", "NeuralConfig", "load_arrays", "network_arrays", "seeded", "softmax_scores"]

# Windows scored at a time; bounds the memory of a large test set.
_CHUNK = 4096


class NeuralConfig(ArmConfig):
    """Parameters of networks trained by cross-entropy."""

    epochs: int = Field(50, ge=1, description="training epochs; the last weights are kept")
    batch_size: int = Field(128, ge=2, description="windows per step")
    max_steps: int | None = Field(
        2_000, ge=1, description="budget of training steps over all epochs; None: all windows"
    )
    learning_rate: float = Field(1e-3, gt=0, description="Adam's learning rate at the start")
    weight_decay: float = Field(1e-4, ge=0, description="Adam's weight decay (L2)")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="learning rate by epoch")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto takes CUDA if there is one"
    )


class NeuralArm(ArmMethod):
    """An `ArmMethod` whose model is a torch module; subclasses write `_build`."""

    Config: ClassVar[type[MethodConfig]] = NeuralConfig
    trains_in_epochs: ClassVar[bool] = True

    network_: nn.Module
    history_: list[dict[str, float]]

    @property
    def device(self) -> str:
        """The torch device that ``device`` stands for on this machine."""
        if self.config.device != "auto":
            return str(self.config.device)
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @abstractmethod
    def _build(self, n_channels: int, n_features: int, n_classes: int) -> nn.Module:
        """Make the network: (batch, n_channels, n_features) to logits (batch, n_classes)."""

    def _start(self, network: nn.Module) -> None:
        """Give the fresh network other weights (pre-trained ones); by default it keeps them."""

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
        n_channels, n_features = self.shape_
        with seeded(seed):
            network = self._build(n_channels, n_features, n_classes)
        self._start(network)
        self.network_ = network.to(self.device)
        x = torch.from_numpy(np.array(rows.x, dtype=np.float32)).to(self.device)
        y = torch.from_numpy(rows.y).to(self.device)
        settings = ClassifierSettings(
            epochs=config.epochs,
            batch_size=config.batch_size,
            max_steps=config.max_steps,
            learning_rate=config.learning_rate,
            schedule=config.schedule,
        )
        adam = make_adam(
            list(network.parameters()),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        # Dropout draws from torch's global generator: fork it, so that a seed gives one result.
        with seeded(seed):
            records = train_classifier(
                self.network_,
                x,
                y,
                [adam],
                settings,
                seed=seed,
                after_epoch=_observed(after_epoch, self.predict_proba),
                validation=self._held_out(),
                progress=None if progress is None else _staged(progress, self.name),
            )
        self.history_ = [
            {"epoch": one.epoch, "loss": one.loss, "train_accuracy": one.train_accuracy}
            for one in records
        ]

    def _held_out(self) -> tuple[Callable[[], NDArray[np.int64]], NDArray[np.int64]] | None:
        """Return a function that predicts the validation windows, and their classes."""
        held = self._validation
        if held is None or held.y is None:
            return None
        x = np.asarray(held.windows.x, dtype=np.float32)

        def predict() -> NDArray[np.int64]:
            scores = softmax_scores(self.network_, x, self.device)
            return np.asarray(scores.argmax(axis=1), dtype=np.int64)

        return predict, np.asarray(held.y, dtype=np.int64)

    def _scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return softmax_scores(self.network_, x, self.device)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return network_arrays(self.network_)

    def _facts(self) -> dict[str, Any]:
        return {"history": self.history_}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        n_channels, n_features = self.shape_
        with seeded(0):
            network = self._build(n_channels, n_features, len(self.classes_))
        load_arrays(network, arrays, self.name)
        self.network_ = network.to(self.device).eval()
        self.history_ = [dict(record) for record in facts["history"]]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's global generator at a seed, and put it back afterwards.

    Initial weights and dropout draw from that generator; nothing outside the block notices.

    Parameters
    ----------
    seed : int
        The seed.
    """
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def softmax_scores(
    network: nn.Module, x: NDArray[np.float32], device: str = "cpu"
) -> NDArray[np.float64]:
    """Class probabilities of windows, in evaluation mode and in pieces.

    Parameters
    ----------
    network : nn.Module
        Maps (batch, n_channels, n_features) to logits.
    x : ndarray, shape (n, n_channels, n_features)
        Windows.
    device : str
        Where the network is.

    Returns
    -------
    ndarray of float64, shape (n, n_classes)
    """
    import torch

    training = network.training
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, max(len(x), 1), _CHUNK):
            piece = torch.from_numpy(np.array(x[start : start + _CHUNK], dtype=np.float32))
            if not len(piece):
                # Some layers refuse an empty batch; one zero window tells the number of classes.
                logits = network(torch.zeros(1, *x.shape[1:], device=device))[:0]
            else:
                logits = network(piece.to(device))
            parts.append(logits.double().softmax(dim=1).cpu().numpy())
    network.train(training)
    return np.concatenate(parts)


def network_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Parameters and buffers of a network as arrays."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def load_arrays(network: nn.Module, arrays: Mapping[str, NDArray[Any]], method: str) -> None:
    """Put stored arrays into a network.

    Parameters
    ----------
    network : nn.Module
        The network.
    arrays : mapping of str to ndarray
        What `network_arrays` gave.
    method : str
        For the message.

    Raises
    ------
    ConfigError
        If names or shapes differ.
    """
    import torch

    state: dict[str, torch.Tensor] = {
        name: torch.from_numpy(np.array(value)) for name, value in arrays.items()
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(
            f"The stored weights do not fit the network of method {method!r}: {error}. Restore "
            "them with the configuration and the version that made them."
        ) from None


def _observed(observer: Observer | None, predict: Any) -> Any:
    if observer is None:
        return None
    return lambda epoch, n_epochs: observer(epoch, n_epochs, predict)


def _staged(progress: Progress, stage: str) -> Any:
    return lambda done, total: progress(stage, done, total)
