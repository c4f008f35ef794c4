"""Spherical splines: the potential anywhere on the head from the electrodes there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ElectrodeError

__all__ = ["spherical_spline_matrix"]


def _green(cosines: NDArray[np.float64], stiffness: int, n_terms: int) -> NDArray[np.float64]:
    """Perrin's g (eq. 3): sum over n of (2n+1) / (n^m (n+1)^m) P_n(cos) / (4 pi)."""
    n = np.arange(1, n_terms + 1, dtype=np.float64)
    factors = (2 * n + 1) / (n**stiffness * (n + 1) ** stiffness * 4 * np.pi)
    return np.asarray(np.polynomial.legendre.legval(cosines, np.concatenate([[0.0], factors])))


def spherical_spline_matrix(
    positions_in: ArrayLike,
    positions_out: ArrayLike,
    *,
    stiffness: int = 4,
    n_terms: int = 50,
    regularisation: float = 1e-5,
) -> NDArray[np.float64]:
    """Return the matrix that takes potentials at some places to potentials at others.

    Parameters
    ----------
    positions_in : array_like, shape (n_in, 3)
        Where there are electrodes; only the directions from the origin count.
    positions_out : array_like, shape (n_out, 3)
        Where potentials are wanted.
    stiffness : int
        Order m of the spline (4 in [1]_).
    n_terms : int
        Terms of the Legendre series (7 are enough for m = 4 by [1]_; 50 as in MNE-Python).
    regularisation : float
        Added to the diagonal; 0 interpolates exactly, more smooths. The default is MNE-Python's.

    Returns
    -------
    ndarray, shape (n_out, n_in)
        ``matrix @ x`` are the potentials at `positions_out`. Its rows sum to 1: a constant stays.

    Raises
    ------
    ElectrodeError
        If there are fewer than two electrodes, or two at the same place.

    References
    ----------
    .. [1] Perrin F, Pernier J, Bertrand O, Echallier JF (1989). Spherical splines for scalp
       potential and current density mapping. Electroencephalography and Clinical Neurophysiology
       72:184-187, eqs. 1-3. doi:10.1016/0013-4694(89)90180-6
    """
    here = np.array(positions_in, dtype=np.float64).reshape(-1, 3)
    there = np.array(positions_out, dtype=np.float64).reshape(-1, 3)
    if len(here) < 2:
        raise ElectrodeError(f"Interpolation needs at least 2 electrodes; received {len(here)}.")
    here /= np.linalg.norm(here, axis=1, keepdims=True)
    there /= np.linalg.norm(there, axis=1, keepdims=True)
    cosines = here @ here.T
    if np.any(cosines[~np.eye(len(here), dtype=bool)] > 1.0 - 1e-9):
        raise ElectrodeError("Interpolation needs electrodes at different places; two coincide.")
    # The spline is c0 + G c with sum(c) = 0 (eqs. 1-2): solve once for all outputs.
    n_in = len(here)
    system = np.ones((n_in + 1, n_in + 1))
    system[:n_in, :n_in] = _green(cosines, stiffness, n_terms)
    system[:n_in, :n_in] += regularisation * np.eye(n_in)
    system[n_in, n_in] = 0.0
    wanted = np.column_stack([_green(there @ here.T, stiffness, n_terms), np.ones(len(there))])
    # symmetric system: solving for its inverse times `wanted` from the right
    return np.asarray(np.linalg.solve(system, wanted.T).T[:, :n_in], dtype=np.float64)
