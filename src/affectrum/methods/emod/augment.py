"""Changed windows: the list of EMOD's released code, and views for instance discrimination.

What happens to a window follows from the seed, the step, the corpus's number and the window's place
in the whole batch, so it does not depend on how a batch is dealt to processes.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import check_option

__all__ = ["AUGMENTATIONS", "Augmentation", "augment", "released", "views"]

Augmentation = Literal["none", "released", "views"]
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)

Key = tuple[int, ...]

_MASKED_TIME = 0.2  # share of a window
_NOISE = 0.1  # standard deviation, in those of the signal

# views; the paper does not describe its own
_GAIN = np.log(1.25)
_MASKED_ELECTRODES = 0.2


def augment(
    x: NDArray[np.float32], augmentation: Augmentation, key: Key, first: int = 0
) -> NDArray[np.float32]:
    """Change windows by the name of an augmentation; see `released` and `views`.

    Parameters
    ----------
    x : ndarray, shape (n, n_channels, n_samples)
        Windows; they are changed in place.
    augmentation : {"none", "released", "views"}
        Which one.
    key : tuple of int
        What the draws follow from, such as (seed, step, corpus).
    first : int
        Place of the first of these windows in the whole batch.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    ConfigError
        If there is no such augmentation.
    """
    check_option("augmentation", augmentation, AUGMENTATIONS)
    if augmentation == "released":
        return released(x, key, first)
    if augmentation == "views":
        return views(x, key, first)
    return x


def released(x: NDArray[np.float32], key: Key, first: int = 0) -> NDArray[np.float32]:
    """Do one of six things to each window, with equal chances, as EMOD's released code does.

    Three of the six are nothing. One adds Gaussian noise, 0.1 of the window's standard deviation
    wide and 0.1 of its mean high. One sets a run of 20 % of its samples to 0 in all electrodes. One
    shuffles electrodes together with their names, half of the time; the network does not see an
    electrode's position in the array, so that is left out here. The paper names no augmentation.

    Parameters
    ----------
    x : ndarray, shape (n, n_channels, n_samples)
        Windows; they are changed in place.
    key : tuple of int
        What the draws follow from.
    first : int
        Place of the first of these windows in the whole batch.

    Returns
    -------
    ndarray
        `x`.
    """
    for place, window in enumerate(x, start=first):
        rng = np.random.default_rng([*key, place])
        choice = int(rng.integers(6))
        if choice == 3:
            noise = rng.standard_normal(window.shape, dtype=np.float32)
            noise *= np.float32(_NOISE) * window.std()
            noise += np.float32(_NOISE) * window.mean()
            window += noise
        elif choice == 4:
            _mask_time(window, rng)
    return x


def views(x: NDArray[np.float32], key: Key, first: int = 0) -> NDArray[np.float32]:
    """Make another view of each window: gain, noise, a run of zeros, missing electrodes.

    The gain of a window is between 1/1.25 and 1.25, uniform in its logarithm; noise is Gaussian, a
    tenth of each electrode's standard deviation; 20 % of the samples in one run are 0 in all
    electrodes; each electrode is 0 with chance 0.2, but at least one stays. The paper's views are
    not published; these are common ones.

    Parameters
    ----------
    x : ndarray, shape (n, n_channels, n_samples)
        Windows; they are changed in place.
    key : tuple of int
        What the draws follow from; two views of one window have two keys.
    first : int
        Place of the first of these windows in the whole batch.

    Returns
    -------
    ndarray
        `x`.
    """
    for place, window in enumerate(x, start=first):
        rng = np.random.default_rng([*key, place])
        gain = np.float32(np.exp(rng.uniform(-_GAIN, _GAIN)))
        missing = rng.random(len(window)) < _MASKED_ELECTRODES
        missing[rng.integers(len(window))] = False
        noise = rng.standard_normal(window.shape, dtype=np.float32)
        noise *= np.float32(_NOISE) * window.std(axis=1, keepdims=True)
        window += noise
        window *= gain
        window[missing] = 0
        _mask_time(window, rng)
    return x


def _mask_time(window: NDArray[np.float32], rng: np.random.Generator) -> None:
    n_samples = window.shape[1]
    length = round(_MASKED_TIME * n_samples)
    start = int(rng.integers(n_samples - length + 1))
    window[:, start : start + length] = 0
