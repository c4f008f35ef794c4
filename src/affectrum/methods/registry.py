"""Methods by name.

A method joins with one decorator::

    @register
    class MyMethod(Method):
        name = "my-method"

Built-in methods are listed here by name and module, so that listing them, or making a linear
baseline, does not import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

from affectrum.errors import ConfigError, did_you_mean
from affectrum.methods.base import Method, MethodConfig

__all__ = [
    "MethodInfo",
    "Parameter",
    "get_method_class",
    "make_method",
    "method_info",
    "method_names",
    "register",
    "restore_method",
]

# name -> module that registers it
_BUILT_IN: dict[str, str] = {
    "scmm": "affectrum.methods.scmm.estimator",
    "scmm-scratch": "affectrum.methods.baselines",
    "denoising-autoencoder": "affectrum.methods.baselines",
    "emod": "affectrum.methods.emod.estimator",
    "dann": "affectrum.methods.dann",
    "dan": "affectrum.methods.dann",
    "coral-svm": "affectrum.methods.baselines",
    "mlp": "affectrum.methods.baselines",
    "svm": "affectrum.methods.baselines",
    "logistic": "affectrum.methods.baselines",
    "position": "affectrum.methods.baselines",
    "most-frequent": "affectrum.methods.baselines",
}

_REGISTERED: dict[str, type[Method]] = {}

_MethodType = TypeVar("_MethodType", bound=type[Method])


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method, for ``affectrum methods``."""

    name: str
    type: str
    default: Any
    description: str


@dataclass(frozen=True)
class MethodInfo:
    """What ``affectrum methods`` prints about a method."""

    name: str
    title: str
    description: str
    sees: str
    needs: tuple[str, ...]
    needs_one_of: tuple[tuple[str, ...], ...]
    reference: str
    published: tuple[str, ...]
    presets: tuple[str, ...]
    transfers: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def register(cls: _MethodType) -> _MethodType:
    """Class decorator: make a method known by its `name`.

    Raises
    ------
    ConfigError
        If another class already has that name, or the class lacks one.
    """
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{cls.__qualname__} needs a class attribute `name`, a non-empty str.")
    known = _REGISTERED.get(name)
    if known is not None and known.__qualname__ != cls.__qualname__:
        raise ConfigError(
            f"The method name {name!r} of {cls.__qualname__} is taken by {known.__qualname__}; "
            "choose another name."
        )
    if "strict" not in cls.presets:
        raise ConfigError(f"{cls.__qualname__}.presets needs a 'strict' preset.")
    _REGISTERED[name] = cls
    return cls


def method_names() -> tuple[str, ...]:
    """Return the names of all methods: the built-in ones, then those registered by the user."""
    extra = tuple(name for name in _REGISTERED if name not in _BUILT_IN)
    return (*_BUILT_IN, *extra)


def get_method_class(name: str) -> type[Method]:
    """Return the class of a method.

    Raises
    ------
    ConfigError
        If no method has that name; the message lists all.
    """
    if name not in _REGISTERED and name in _BUILT_IN:
        importlib.import_module(_BUILT_IN[name])
    try:
        return _REGISTERED[name]
    except KeyError:
        names = method_names()
        raise ConfigError(
            f"Unknown method {name!r}. Methods are {', '.join(repr(known) for known in names)}."
            + did_you_mean(str(name), names)
        ) from None


def make_method(
    name: str, preset: str = "strict", *, transfer: str | None = None, **overrides: Any
) -> Method:
    """Make a method by name.

    Parameters
    ----------
    name : str
        One of `method_names`.
    preset : str
        ``"strict"`` (default), and what the method offers beside it.
    transfer : str, optional
        A published transfer such as ``"SEED->DEAP"``, for presets that have settings for it.
    **overrides
        Parameters that win over the preset.

    Returns
    -------
    Method
        Unfitted.

    Raises
    ------
    ConfigError
        If the name, the preset, the transfer or a parameter is not known.
    """
    cls = get_method_class(name)
    return cls(**{**cls.preset_params(preset, transfer), **overrides})


def method_info(name: str) -> MethodInfo:
    """Return what is known about a method, for tables and help.

    Raises
    ------
    ConfigError
        If no method has that name.
    """
    cls = get_method_class(name)
    return MethodInfo(
        name=cls.name,
        title=cls.title or cls.name,
        description=cls.description,
        sees=cls.sees,
        needs=cls.needs,
        needs_one_of=cls.needs_one_of,
        reference=cls.reference,
        published=cls.published,
        presets=tuple(cls.presets),
        transfers=tuple(cls.transfers),
        parameters=_parameters(cls.Config),
    )


def restore_method(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Method:
    """Make the method that `Method.state` described, fitted.

    Parameters
    ----------
    arrays, meta : mapping
        What `Method.state` returned.

    Returns
    -------
    Method
        Ready to predict.

    Raises
    ------
    ConfigError
        If the method or its configuration is not known to this version.
    """
    cls = get_method_class(str(meta["method"]))
    return cls(**dict(meta["config"])).load_state(arrays, meta)


def _parameters(config: type[MethodConfig]) -> tuple[Parameter, ...]:
    rows = []
    for field_name, info in config.model_fields.items():
        annotation = info.annotation
        text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        text = text.replace("typing.", "").replace("Literal", "")
        rows.append(
            Parameter(
                field_name,
                text,
                info.get_default(call_default_factory=False),
                info.description or "",
            )
        )
    return tuple(rows)
