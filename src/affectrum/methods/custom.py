"""A user's own torch module as a method that joins every protocol.

A worked example, complete (29 lines)::

    import affectrum as af
    from torch import nn


    class BandAttention(nn.Module):
        \"\"\"Weigh the bands, then classify.\"\"\"

        def __init__(self, n_channels, n_features, n_classes):
            super().__init__()
            self.weights = nn.Sequential(nn.Linear(n_features, n_features), nn.Softmax(dim=-1))
            self.head = nn.Sequential(
                nn.Flatten(), nn.Linear(n_channels * n_features, 64), nn.ELU(),
                nn.Linear(64, n_classes),
            )

        def forward(self, x):  # (batch, channels, bands) -> logits (batch, classes)
            return self.head(x * self.weights(x))


    method = af.methods.from_module(BandAttention, name="band-attention", epochs=20)
    folds = af.make_folds(
        [seed_windows, deap_windows], protocol="cross-corpus/calibrated", source="SEED",
        target="DEAP", classes="valence2",
    )
    for fold in folds:
        model = method.clone().fit(fold.access)
        scores = model.predict_proba(fold.test)  # (n, n_classes), rows sum to 1

With ``register=True`` the method is known by its name to `make_method`, to plans and to bundles,
in every program that makes it first.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from affectrum.errors import AccessError, ConfigError
from affectrum.methods.base import Observer, Pretrained, Progress, derive_seed
from affectrum.methods.baselines.neural import (
    NeuralArm,
    load_arrays,
    network_arrays,
    seeded,
    softmax_scores,
)
from affectrum.methods.registry import register as register_method

if TYPE_CHECKING:
    import torch
    from torch import nn

    from affectrum.protocols import Access

    ModuleFactory = Callable[[int, int, int], nn.Module]
    PretrainHook = Callable[[nn.Module, torch.Tensor, int], None]

__all__ = ["ModuleMethod", "from_module"]


def from_module(
    factory: ModuleFactory,
    *,
    name: str | None = None,
    description: str = "",
    reference: str = "",
    pretrain: PretrainHook | None = None,
    register: bool = False,
    **training: Any,
) -> ModuleMethod:
    """Make a method of a torch module.

    Parameters
    ----------
    factory : callable
        A class or function ``(n_channels, n_features, n_classes) -> nn.Module``; the module maps
        float32 (batch, n_channels, n_features) to logits (batch, n_classes). It is called once
        per fit, with torch's generator at the fit's seed.
    name : str, optional
        Name of the method in tables; by default the factory's own.
    description, reference : str
        For `method_info` and reports.
    pretrain : callable, optional
        ``pretrain(network, x, seed)`` changes the network in place from the source's windows
        ``x`` (n, n_channels, n_features) without labels. It runs once for all folds of a source.
    register : bool
        Make it known by name.
    **training
        Parameters of training: ``arm, epochs, batch_size, max_steps, learning_rate,
        weight_decay, schedule, device, seed``.

    Returns
    -------
    ModuleMethod
        Unfitted; `clone` it for each fold.

    Raises
    ------
    ConfigError
        If the factory is not callable, or a parameter is unknown.
    """
    if not callable(factory) or not _takes_three(factory):
        raise ConfigError(
            "from_module needs a class or function (n_channels, n_features, n_classes) -> "
            f"nn.Module; received {factory!r}. Pass the class itself, not a module made of it."
        )
    chosen = name or getattr(factory, "__name__", "own-module")
    attributes = {
        "name": chosen,
        "title": chosen,
        "description": description or f"A module of the user's own ({chosen}).",
        "reference": reference,
        "factory": staticmethod(factory),
        "pretrain_hook": None if pretrain is None else staticmethod(pretrain),
        "__doc__": ModuleMethod.__doc__,
        "__module__": __name__,
    }
    cls = type(f"ModuleMethod[{chosen}]", (ModuleMethod,), attributes)
    if register:
        register_method(cls)
    method: ModuleMethod = cls(**training)
    return method


class ModuleMethod(NeuralArm):
    """A method around a user's own torch module; made by `from_module`."""

    name: ClassVar[str] = "own-module"
    sees: ClassVar[str] = "labelled windows of its arm; with a pretrain hook also source signals"
    factory: ClassVar[Any]
    pretrain_hook: ClassVar[Any] = None
    learns_from_arrays: ClassVar[bool] = True

    _initial: Pretrained | None = None

    def _build(self, n_channels: int, n_features: int, n_classes: int) -> nn.Module:
        from torch import nn

        network = type(self).factory(n_channels, n_features, n_classes)
        if not isinstance(network, nn.Module):
            raise ConfigError(
                f"The factory of {self.name!r} must return a torch.nn.Module; received "
                f"{type(network).__name__}."
            )
        with seeded(0):
            # One window tells whether it fits, before any training; dropout draws are undone.
            scores = softmax_scores(
                network, np.zeros((1, n_channels, n_features), dtype=np.float32)
            )
        if scores.shape != (1, n_classes):
            raise ConfigError(
                f"The module of {self.name!r} must map (batch, {n_channels}, {n_features}) to "
                f"logits (batch, {n_classes}); it returned {scores.shape[1:]} per window."
            )
        return network

    def _start(self, network: nn.Module) -> None:
        if self._initial is not None:
            load_arrays(network, self._initial.arrays, self.name)

    def fit(
        self,
        access: Access,
        *,
        observer: Observer | None = None,
        pretrained: Pretrained | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Pre-train if there is a hook, then learn from the arm; see `Method.fit`."""
        self.check_access(access)
        expected = self.pretrain_fingerprint(access)
        if pretrained is None:
            pretrained = self.pretrain(access, progress=progress)
        elif pretrained.fingerprint != expected:
            raise ConfigError(
                f"The pretrained weights handed to {self.name!r} are of another source, "
                f"configuration or seed ({pretrained.fingerprint}, expected {expected})."
            )
        self._initial = pretrained
        try:
            return super().fit(access, observer=observer, progress=progress)
        finally:
            self._initial = None

    def check_access(self, access: Access) -> None:
        """Refuse an access that lacks what the arm, or the pretrain hook, needs."""
        super().check_access(access)
        if type(self).pretrain_hook is not None:
            access.require(("source_signals",), f"{self.name} (pretrain)")

    def pretrain_fingerprint(self, access: Access) -> str | None:
        """Digest of source, network and settings, or None without a hook."""
        cls = type(self)
        if cls.pretrain_hook is None:
            return None
        if access.source is None:
            return None
        seed = derive_seed(self.config.seed, int(access.seed), self.name, "pretrain")
        # The source text does not tell values that a factory closed over, or the weights of a
        # ready module: the network that comes out does.
        with seeded(seed):
            network = self._build(*access.source.windows.shape[1:], len(access.classes))
        weights = hashlib.sha256(repr(network).encode())
        for name, array in sorted(network_arrays(network).items()):
            weights.update(name.encode() + np.ascontiguousarray(array).tobytes())
        payload = {
            "method": self.name,
            "hook": [_source_of(cls.pretrain_hook), *_captured(cls.pretrain_hook)],
            "factory": _source_of(cls.factory),
            "network": weights.hexdigest(),
            "config": self.config.model_dump(mode="json"),
            "n_classes": len(access.classes),
            "seed": int(access.seed),
            "source": access.fingerprint("source"),
        }
        return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:32]

    def pretrain(self, access: Access, *, progress: Progress | None = None) -> Pretrained | None:
        """Run the hook on the source's windows; None without a hook."""
        import torch

        if type(self).pretrain_hook is None:
            return None
        fingerprint = self.pretrain_fingerprint(access)
        if access.source is None or fingerprint is None:
            raise AccessError(f"{self.name!r} pre-trains on source signals; none are granted.")
        windows = access.source.windows
        seed = derive_seed(self.config.seed, int(access.seed), self.name, "pretrain")
        x = torch.from_numpy(np.array(windows.x, dtype=np.float32))
        x = x[torch.isfinite(x).flatten(1).all(dim=1)].to(self.device)
        with seeded(seed):
            network = self._build(*windows.shape[1:], len(access.classes)).to(self.device)
            network.train()
            type(self).pretrain_hook(network, x, seed)
        return Pretrained(fingerprint, network_arrays(network))


def _takes_three(factory: Callable[..., Any]) -> bool:
    from torch import nn

    if isinstance(factory, nn.Module):
        return False
    try:
        inspect.signature(factory).bind(1, 1, 2)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature: let it try
        return True
    return True


def _captured(value: Any) -> list[str]:
    """Plain values that a function closed over or has as defaults, as text.

    Only values that can't change under its hands: a list that the hook itself writes to would give
    the same hook another fingerprint after every run.
    """
    cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
    defaults = list(getattr(value, "__defaults__", None) or ())
    plain = (bool, int, float, str, bytes, type(None))
    return [repr(item) for item in (*cells, *defaults) if isinstance(item, plain)]


def _source_of(value: Any) -> str:
    """Text of a function or class, so that changing it changes the fingerprint."""
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
