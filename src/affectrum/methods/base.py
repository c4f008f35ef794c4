"""What every method looks like from outside: configuration in, class scores out.

A method is built from a typed configuration (pydantic, unknown keys refused), sees only an
:class:`~affectrum.protocols.Access` and afterwards scores windows. It never sees a fold, a test
label or a metric.

The habits follow scikit-learn: the constructor only stores parameters, `fit` learns and returns
the object, learnt attributes end in an underscore.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affectrum.errors import AccessError, ConfigError, check_option, did_you_mean

if TYPE_CHECKING:
    from affectrum.protocols import Access
    from affectrum.windows import Windows

__all__ = [
    "Method",
    "MethodConfig",
    "Observer",
    "Predict",
    "Pretrained",
    "Progress",
    "canonical_transfer",
    "derive_seed",
    "make_config",
]

Predict = Callable[["Windows"], NDArray[np.float64]]
"""Scores of windows by the weights of this moment: ``predict(windows) -> (n, n_classes)``."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``, for a progress bar."""


class Observer(Protocol):
    """Called after each fine-tuning epoch, so that per-epoch scores can be recorded.

    The method hands out a function that scores windows; it never sees the windows which the
    observer scores, so the best test epoch can be looked up afterwards but can't guide training.
    """

    def __call__(self, epoch: int, n_epochs: int, predict: Predict) -> None:
        """Look at the model after `epoch` (from 1) of `n_epochs`."""
        ...


class MethodConfig(BaseModel):
    """Parameters that every method has; subclasses add their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    seed: int = Field(0, ge=0, description="seed of initial weights, masks and batch order")


@dataclass(frozen=True)
class Pretrained:
    """What pre-training learnt, to be shared by all folds with the same source.

    Attributes
    ----------
    fingerprint : str
        Digest of everything it depends on: source rows, configuration, seed. `fit` refuses
        weights whose fingerprint differs from its own.
    arrays : dict of str to ndarray
        The learnt arrays.
    meta : dict
        JSON-able facts (settings that were chosen, learning curves).
    """

    fingerprint: str
    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any] = field(default_factory=dict)


def derive_seed(*parts: int | str) -> int:
    """Derive a seed from named parts, the same on every machine and in every process.

    Parameters
    ----------
    *parts : int or str
        For example a configured seed and the name of a stage.

    Returns
    -------
    int
        Between 0 and 2**63 - 1.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def canonical_transfer(transfer: str, allowed: Iterable[str]) -> str:
    """Return the known spelling of a transfer such as ``"SEED->DEAP"``.

    Case, blanks, ``-`` and ``_`` inside corpus names and the arrow's form do not matter.

    Raises
    ------
    ConfigError
        If the transfer is not among `allowed`; the message lists them.
    """

    def folded(text: str) -> tuple[str, ...]:
        ends = text.replace("→", "->").split("->")
        return tuple(
            "".join(character for character in end.casefold() if character.isalnum())
            for end in ends
        )

    names = tuple(allowed)
    for name in names:
        if folded(name) == folded(transfer):
            return name
    options = ", ".join(repr(name) for name in names)
    raise ConfigError(
        f"Unknown transfer {transfer!r}: published settings exist for {options}."
        + did_you_mean(transfer, names)
        + " For another pair use preset='strict', which needs none, or pass the values yourself."
    )


def make_config(config_class: type[MethodConfig], where: str, params: Mapping[str, Any]) -> Any:
    """Build a configuration, collecting every fault into one readable error.

    Parameters
    ----------
    config_class : type
        The pydantic class.
    where : str
        Name of the method, for the message.
    params : mapping
        The parameters.

    Returns
    -------
    MethodConfig
        An instance of `config_class`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not allowed; all faults in one message.
    """
    try:
        return config_class(**params)
    except ValidationError as error:
        known = tuple(config_class.model_fields)
        lines = []
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"])
            message = str(fault["msg"]).removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                lines.append(
                    f"  - unknown parameter {key!r}.{did_you_mean(key, known)} "
                    f"Known: {', '.join(known)}."
                )
            elif not key:  # of several parameters together, which it names
                lines.append(f"  - {message}.")
            else:
                lines.append(f"  - {key!r}: {message}; received {fault['input']!r}.")
        raise ConfigError(
            f"The configuration of method {where!r} is not valid:\n" + "\n".join(lines)
        ) from None


class Method(ABC):
    """Base of all methods.

    Parameters
    ----------
    config : MethodConfig, optional
        A ready configuration. Mostly parameters are given by name instead.
    **params
        Fields of `Config`.

    Attributes
    ----------
    config : MethodConfig
        The parameters; frozen.
    classes_ : tuple of str
        Class names in column order, after `fit` or `load_state`.

    Raises
    ------
    ConfigError
        If a parameter is unknown or its value is not allowed.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig

    name: ClassVar[str]
    """Name in the registry."""
    title: ClassVar[str] = ""
    description: ClassVar[str] = ""
    """One sentence for ``affectrum methods``."""
    reference: ClassVar[str] = ""
    """Citation with DOI, or empty for a textbook method."""
    sees: ClassVar[str] = ""
    """One sentence: which data it learns from."""
    published: ClassVar[tuple[str, ...]] = ()
    """Published figures with their source, one sentence each; empty when not available."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Grants it can't do without."""
    needs_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of grants, one of which must be granted whole."""

    takes_several_shapes: ClassVar[bool] = False
    """Whether it reads `Access.source_parts`, whose electrodes, rates and lengths may differ."""

    kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of windows it learns from (`affectrum.windows.KINDS`); empty: whatever has numbers."""

    trains_in_processes: ClassVar[bool] = False
    """Whether several processes, started by torchrun, can pre-train one model together."""

    long_pretraining: ClassVar[bool] = False
    """Whether pre-training may take hours; its `pretrain` then takes a `checkpoint`, which runs
    keep so that a stopped one goes on."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"strict": {}}
    """Preset name to the parameters it sets; ``"strict"`` always exists and is the default."""
    transfers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Published hyper-parameters per transfer such as ``"SEED->DEAP"``."""
    transfer_presets: ClassVar[tuple[str, ...]] = ()
    """Presets that take a transfer."""

    config: Any
    classes_: tuple[str, ...]

    def __init__(self, config: MethodConfig | None = None, **params: Any) -> None:
        if config is not None:
            if not isinstance(config, self.Config):
                raise ConfigError(
                    f"Method {self.name!r} takes a {self.Config.__qualname__} as config; "
                    f"received {type(config).__name__}."
                )
            params = {**config.model_dump(exclude_unset=True), **params}
        self.config = make_config(self.Config, self.name, params)

    # --------------------------------------------------------------- to be written by methods

    @abstractmethod
    def fit(
        self,
        access: Access,
        *,
        observer: Observer | None = None,
        pretrained: Pretrained | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from what is granted.

        Parameters
        ----------
        access : Access
            What the protocol grants.
        observer : callable, optional
            Called after each fine-tuning epoch as ``observer(epoch, n_epochs, predict)``.
        pretrained : Pretrained, optional
            Result of `pretrain` with the same source and configuration, to save time.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Method
            Itself.

        Raises
        ------
        AccessError
            If the protocol does not grant what the method needs.
        """

    @abstractmethod
    def predict_proba(self, windows: Windows) -> NDArray[np.float64]:
        """Score windows.

        Parameters
        ----------
        windows : Windows
            n windows of the kind, electrodes and bands that it was fitted on.

        Returns
        -------
        ndarray, shape (n, n_classes), float64
            Class probabilities in the order of `classes_`; rows sum to 1.
        """

    @abstractmethod
    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything that was learnt: arrays, and JSON-able facts.

        The facts hold at least ``method``, ``config`` and ``classes`` (see `base_meta`).
        """

    @abstractmethod
    def load_state(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """Restore what `state` returned; returns itself."""

    # ---------------------------------------------------------------------- may be overridden

    fits_many_at_once: ClassVar[bool] = False
    """Whether `fit_many` is one computation and not a loop over `fit`."""

    def fit_many(
        self,
        accesses: Sequence[Access],
        *,
        observers: Sequence[Observer | None] | None = None,
        pretrained: Sequence[Pretrained | None] | None = None,
        progress: Progress | None = None,
    ) -> list[Self]:
        """Fit one method of this configuration per access; this one stays as it is.

        Parameters
        ----------
        accesses : sequence of Access
            One per fold, of one protocol and one set of classes.
        observers : sequence of callable or None, optional
            One per access, see `fit`. Those of different accesses may be called from different
            threads at one time.
        pretrained : sequence of Pretrained or None, optional
            One per access, see `fit`.
        progress : callable, optional
            See `fit`; may be called from different threads at one time.

        Returns
        -------
        list of Method
            Fitted methods in the order of `accesses`; each sees its own access only.

        Raises
        ------
        AccessError
            If a protocol does not grant what the method needs.
        """
        watching = [None] * len(accesses) if observers is None else list(observers)
        given = [None] * len(accesses) if pretrained is None else list(pretrained)
        return [
            type(self)(self.config).fit(
                access, observer=observer, pretrained=weights, progress=progress
            )
            for access, observer, weights in zip(accesses, watching, given, strict=True)
        ]

    def predict_valence_arousal(self, windows: Windows) -> NDArray[np.float64] | None:
        """Coordinates on the plane (-1..1), or None where the method can't tell.

        Returns
        -------
        ndarray, shape (n, 2), or None
            NaN where one of the two is not known.
        """
        return None

    def used_grants(self, access: Access) -> tuple[str, ...]:
        """Return which of the access's grants the method makes use of; all unless overridden."""
        return tuple(access.grants)

    def pretrain_fingerprint(self, access: Access) -> str | None:
        """Digest of all that pre-training depends on, or None without pre-training.

        Folds with the same digest can share one `Pretrained`.
        """
        return None

    def pretrain(self, access: Access, *, progress: Progress | None = None) -> Pretrained | None:
        """Pre-train on what is granted, or return None for methods without pre-training."""
        return None

    # -------------------------------------------------------------------------- shared pieces

    def predict(self, windows: Windows) -> NDArray[np.int64]:
        """Return the index of the most probable class of each window, shape (n,)."""
        return np.asarray(self.predict_proba(windows).argmax(axis=1), dtype=np.int64)

    @classmethod
    def preset_params(cls, preset: str = "strict", transfer: str | None = None) -> dict[str, Any]:
        """Return the parameters that a preset (and a published transfer) sets.

        Raises
        ------
        ConfigError
            If the preset or the transfer is unknown, or the preset takes no transfer.
        """
        check_option("preset", preset, tuple(cls.presets))
        params = dict(cls.presets[preset])
        if transfer is not None:
            if preset not in cls.transfer_presets:
                takes = ", ".join(repr(name) for name in cls.transfer_presets) or "none"
                raise ConfigError(
                    f"Preset {preset!r} of method {cls.name!r} takes no transfer; received "
                    f"{transfer!r}. Presets with published settings per transfer: {takes}."
                )
            params.update(cls.transfers[canonical_transfer(transfer, cls.transfers)])
        return params

    @classmethod
    def missing_grants(cls, grants: Iterable[str]) -> tuple[str, ...]:
        """Return what is missing among `grants`, empty if the method can run."""
        from affectrum.protocols.catalogue import is_granted

        granted = tuple(grants)
        missing = [need for need in cls.needs if not is_granted(need, granted)]
        if cls.needs_one_of and not any(
            all(is_granted(need, granted) for need in group) for group in cls.needs_one_of
        ):
            missing.append(" or ".join(" with ".join(group) for group in cls.needs_one_of))
        return tuple(missing)

    @classmethod
    def supports(cls, protocol: str | Iterable[str]) -> bool:
        """Tell whether the method can run under a protocol.

        Parameters
        ----------
        protocol : str or iterable of str
            A protocol's name, or the grants themselves.
        """
        if isinstance(protocol, str):
            from affectrum import protocols

            protocol = protocols.grants_of(protocol)
        return not cls.missing_grants(protocol)

    def check_access(self, access: Access) -> None:
        """Refuse, before any training, an access that lacks what the method needs.

        Raises
        ------
        AccessError
            Naming what is missing and which protocol would do.
        """
        if self.takes_several_shapes:
            access.require(self.needs, self.name, takes_several_shapes=True)
        else:
            access.require(self.needs, self.name)
            if getattr(access, "source_parts", ()):
                access.require_one_shape(self.name)
        missing = self.missing_grants(access.grants)
        if missing:
            raise AccessError(
                f"Method {self.name!r} needs {', and '.join(missing)}; protocol "
                f"{access.protocol!r} grants {', '.join(access.grants) or 'nothing'}. "
                "Choose a protocol that grants it (see `affectrum protocols`)."
            )

    def check_fitted(self) -> None:
        """Raise ConfigError if `fit` or `load_state` has not been called."""
        if not hasattr(self, "classes_"):
            raise ConfigError(
                f"Method {self.name!r} is not fitted: call fit(access) or load a bundle first."
            )

    def base_meta(self) -> dict[str, Any]:
        """Return the facts that every `state` holds: method, config, classes."""
        self.check_fitted()
        return {
            "method": self.name,
            "config": self.config.model_dump(mode="json"),
            "classes": list(self.classes_),
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name (scikit-learn's convention)."""
        return {name: getattr(self.config, name) for name in type(self.config).model_fields}

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name; returns itself.

        Raises
        ------
        ConfigError
            If a parameter is unknown or its value is not allowed.
        """
        given = self.config.model_dump(exclude_unset=True)
        self.config = make_config(self.Config, self.name, {**given, **params})
        return self

    def clone(self, **params: Any) -> Self:
        """Return an unfitted method with the same parameters, some of them changed."""
        given = self.config.model_dump(exclude_unset=True)
        return type(self)(**{**given, **params})

    def __repr__(self) -> str:
        given = self.config.model_dump(exclude_unset=True)
        inside = ", ".join(f"{key}={value!r}" for key, value in given.items())
        return f"{type(self).__name__}({inside})"
