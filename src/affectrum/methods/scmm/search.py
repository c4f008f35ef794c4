"""Choosing the settings that a configuration leaves open, on the source's side alone.

Candidates are pre-trained for a few steps and compared on source trials that were held out:

* with source labels, by a linear probe (ridge regression on the embeddings, in closed form): the
  share of each held-out trial's windows that it classifies rightly;
* without, by how well the objective's two tasks are solved on each held-out trial: the
  reconstruction error relative to that of the mean, plus the share of masked copies whose most
  similar window is not their own original. Raw losses can't be compared between candidates, since
  temperature and soft weights set their scale.

Trials are few, so the best score is partly luck. Of the candidates that are no more than one
standard error (over trials, paired) below the best, the first is taken: the default stays unless
the trials speak against it (the rule is Breiman et al. 1984's for pruning trees).

The cost is ``search * search_steps`` steps and one probe per candidate. No target data is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from affectrum.methods.base import Progress, derive_seed
from affectrum.methods.scmm.config import OPEN_SETTINGS, SCMMConfig
from affectrum.methods.scmm.objective import Objective, WeightSettings, make_views
from affectrum.methods.scmm.pretraining import Pool, resolve_settings, run_pretraining

__all__ = [
    "choose_settings",
    "first_within_error",
    "held_out_trials",
    "linear_probe",
    "task_scores",
]

# Windows of either side that a probe looks at: enough for a ranking, and milliseconds
_PROBE_WINDOWS = 4096
_TASK_WINDOWS = 512
# Ridge penalty on standardised embeddings, per training window
_RIDGE = 1e-2


def choose_settings(
    config: SCMMConfig, pool: Pool, progress: Progress | None = None
) -> tuple[WeightSettings, list[dict[str, Any]]]:
    """Pick the settings left open.

    Parameters
    ----------
    config : SCMMConfig
        Which settings are open, and the search's budget.
    pool : Pool
        The source's windows.
    progress : callable, optional
        Called as ``progress("search", done, total)``.

    Returns
    -------
    settings : WeightSettings
        Settings to pre-train with.
    tried : list of dict
        One entry per candidate: its settings, its score and the score's name; empty without a
        search.
    """
    candidates = _open_candidates(config)
    train_rows, held_rows = held_out_trials(pool, derive_seed(config.seed, "search split"))
    if len(candidates) < 2 or len(train_rows) < 2 or len(held_rows) < 2:
        return resolve_settings(config, pool, candidates[0]), []

    inside = _part(pool, train_rows)
    outside = _part(pool, held_rows)
    tried: list[dict[str, Any]] = []
    scores: list[NDArray[np.float64]] = []
    for number, candidate in enumerate(candidates):
        settings = resolve_settings(config, inside, candidate)
        run = run_pretraining(config, inside, settings, n_steps=config.search_steps)
        if pool.y is not None:
            of_trials = linear_probe(run.network.embed, inside, outside, config.seed)
            name = "accuracy of a linear probe on held-out source trials"
        else:
            of_trials = task_scores(run.objective, outside, config.seed)
            name = "minus the error of the pre-training tasks on held-out source trials"
        scores.append(of_trials)
        tried.append({**candidate, "score": float(of_trials.mean()), "score_name": name})
        if progress is not None:
            progress("search", number + 1, len(candidates))
    chosen = first_within_error(scores)
    return resolve_settings(config, pool, candidates[chosen]), tried


def first_within_error(scores: Sequence[NDArray[np.float64]]) -> int:
    """Choose among candidates by scores of the same trials.

    Parameters
    ----------
    scores : sequence of ndarray, shape (n_trials,)
        One array per candidate, higher is better.

    Returns
    -------
    int
        The first candidate whose mean is at most one standard error of the paired difference below
        the best mean.
    """
    best = max(range(len(scores)), key=lambda number: float(scores[number].mean()))
    for number, of_trials in enumerate(scores):
        behind = scores[best] - of_trials
        error = behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else 0.0
        if number == best or behind.mean() <= error:
            return number
    return best


def _open_candidates(config: SCMMConfig) -> list[dict[str, float]]:
    """Candidates that differ in open settings, set ones filled in."""
    candidates: list[dict[str, float]] = []
    for row in OPEN_SETTINGS:
        filled = {
            name: value if getattr(config, name) is None else getattr(config, name)
            for name, value in row.items()
        }
        if filled not in candidates:
            candidates.append(filled)
    return candidates[: max(1, config.search)]


def _part(pool: Pool, rows: NDArray[np.int64]) -> Pool:
    index = torch.from_numpy(rows).to(pool.x.device)
    y = None if pool.y is None else pool.y[rows]
    return Pool(pool.x[index], pool.trials[rows], y)


def held_out_trials(
    pool: Pool, seed: int, share: float = 0.25
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split windows by whole trials, each class alike if labels are known.

    Parameters
    ----------
    pool : Pool
        Windows with trials.
    seed : int
        Seed of the split.
    share : float
        Share of each class's trials that is held out.

    Returns
    -------
    train, held : ndarray of int64
        Rows. `held` is empty if no class has two trials.
    """
    rng = np.random.default_rng(seed)
    trials, first = np.unique(pool.trials, return_index=True)
    label = np.zeros(len(trials), dtype=np.int64) if pool.y is None else pool.y[first]
    order = rng.permutation(len(trials))
    held = np.zeros(len(trials), dtype=bool)
    for value in np.unique(label):
        members = order[label[order] == value]
        if len(members) > 1:
            held[members[: max(1, round(share * len(members)))]] = True
    is_held = held[np.searchsorted(trials, pool.trials)]
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _some(n: int, most: int, seed: int) -> NDArray[np.int64]:
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _by_trial(values: NDArray[np.float64], trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of the values of each trial, trials in increasing order."""
    _, number = np.unique(trials, return_inverse=True)
    return np.asarray(np.bincount(number, weights=values) / np.bincount(number))


@torch.no_grad()
def linear_probe(
    embed: Callable[[torch.Tensor], torch.Tensor], inside: Pool, outside: Pool, seed: int
) -> NDArray[np.float64]:
    """Accuracy of a ridge classifier on embeddings, trial by trial.

    Parameters
    ----------
    embed : callable
        Maps windows to embeddings (n, n_features), in evaluation mode.
    inside, outside : Pool
        Windows with labels to fit and to score on.
    seed : int
        Seed of the windows that are looked at.

    Returns
    -------
    ndarray, shape (n_trials,)
        Share of each outside trial's windows that is classified rightly.
    """
    assert inside.y is not None
    assert outside.y is not None
    fit_rows = _some(len(inside.x), _PROBE_WINDOWS, derive_seed(seed, "probe fit"))
    score_rows = _some(len(outside.x), _PROBE_WINDOWS, derive_seed(seed, "probe score"))
    device = inside.x.device
    h = embed(inside.x[torch.from_numpy(fit_rows).to(device)]).double().cpu()
    held = embed(outside.x[torch.from_numpy(score_rows).to(device)]).double().cpu()
    center, spread = h.mean(dim=0), h.std(dim=0) + 1e-12
    h, held = (h - center) / spread, (held - center) / spread
    y = torch.from_numpy(inside.y[fit_rows])
    wanted = F.one_hot(y, int(y.max()) + 1).double()
    weight = (len(y) / wanted.sum(dim=0).clamp(min=1))[y]  # every class counts alike
    offset = (weight[:, None] * wanted).sum(dim=0) / weight.sum()
    gram = (h * weight[:, None]).T @ h
    gram.diagonal().add_(_RIDGE * float(weight.sum()))
    coefficients = torch.linalg.solve(gram, (h * weight[:, None]).T @ (wanted - offset))
    predicted = (held @ coefficients + offset).argmax(dim=1).numpy()
    right = (predicted == outside.y[score_rows]).astype(np.float64)
    return _by_trial(right, outside.trials[score_rows])


@torch.no_grad()
def task_scores(objective: Objective, outside: Pool, seed: int) -> NDArray[np.float64]:
    """Minus the error of the pre-training tasks on held-out windows, trial by trial.

    Parameters
    ----------
    objective : Objective
        A pre-trained objective.
    outside : Pool
        Held-out windows.
    seed : int
        Seed of windows and masks, the same for all candidates.

    Returns
    -------
    ndarray, shape (n_trials,)
        Minus the sum, over the tasks that are on, of the relative reconstruction error of masked
        copies (1 is no better than the mean) and the share of masked copies that are not most
        similar to their own original. Comparable between settings.
    """
    rows = _some(len(outside.x), _TASK_WINDOWS, derive_seed(seed, "task windows"))
    x = outside.x[torch.from_numpy(rows).to(outside.x.device)]
    generator = torch.Generator().manual_seed(derive_seed(seed, "task masks"))
    config = objective.config.model_copy(update={"mask_alias": False})
    views = make_views(x, config, objective.mask_value, generator)
    network = objective.network
    h, z = network(views)
    if config.normalise_z:
        z = F.normalize(z, dim=1)
    logits = (z @ z.T) / objective.settings.temperature
    n = len(x)
    error = torch.zeros(n, dtype=torch.float64)
    if config.contrastive:
        nearest = logits[n : 2 * n, :n].argmax(dim=1).cpu()
        error += (nearest != torch.arange(n)).double()
    if config.reconstruction:
        if config.aggregator:
            logits.fill_diagonal_(float("-inf"))
            h = torch.softmax(logits, dim=1) @ h
        wanted = x.flatten(1)
        missed = (network.decoder(h[n : 2 * n]) - wanted).square().mean(dim=1)
        error += (missed / wanted.var(dim=0).mean()).double().cpu()
    return -_by_trial(error.numpy(), outside.trials[rows])
