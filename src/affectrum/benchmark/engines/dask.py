"""A Dask cluster: one made on this machine, or one that is there already.

Options: ``scheduler`` (address of a cluster, such as ``tcp://host:8786``); without it a cluster of
processes is made on this machine for the run. Every worker must see the run's folder, the store and
the corpora under the same paths.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from affectrum.benchmark.cell import Tell
from affectrum.benchmark.cells import Cell
from affectrum.benchmark.engines.base import about
from affectrum.benchmark.engines.devices import device_of, environment
from affectrum.benchmark.work import CellRunner, Outcome, RunSpec
from affectrum.errors import ConfigError, did_you_mean

__all__ = ["DaskEngine"]

_OPTIONS = ("scheduler",)

# What a worker process keeps between cells: windows that are open, models that were pre-trained.
_RUNNERS: dict[str, CellRunner] = {}
# Networks use one random state per process while they train, so that a Dask worker with several
# threads still computes one cell at a time.
_ALONE = threading.Lock()


class DaskEngine:
    """Compute cells on a Dask cluster.

    Parameters
    ----------
    workers : int
        Processes of the cluster that is made; not used with a given one.
    options : mapping
        See the module.

    Raises
    ------
    ConfigError
        If an option is unknown, or Dask is not installed.
    """

    def __init__(self, workers: int, options: Mapping[str, Any]) -> None:
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            raise ConfigError(
                f"The engine 'dask' has no option {unknown[0]!r}."
                + did_you_mean(unknown[0], _OPTIONS)
                + f" Options: {', '.join(_OPTIONS)}."
            )
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "The engine 'dask' needs Dask. Install it with: pip install 'affectrum[dask]'"
            ) from error
        self.workers = workers
        self.scheduler = options.get("scheduler")

    def run(
        self, cells: Sequence[Cell], spec: RunSpec, tell: Tell
    ) -> Generator[tuple[Cell, Outcome], None, None]:
        """Compute cells; see `Engine.run`. Workers tell of cells, not of steps inside them.

        Raises
        ------
        ConfigError
            If the given cluster does not answer.
        """
        import distributed

        dask: Any = distributed  # it has no types

        if not cells:
            return
        cluster = None
        try:
            if self.scheduler is None:
                cluster = dask.LocalCluster(
                    n_workers=min(self.workers, len(cells)),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    env=environment("", spec.threads),
                    silence_logs="ERROR",
                )
            client = dask.Client(self.scheduler if cluster is None else cluster, timeout="30s")
        except OSError as error:
            raise ConfigError(
                f"The Dask cluster at {self.scheduler!r} does not answer: {error}. Give the "
                "scheduler's address, or no address for a cluster on this machine."
            ) from error
        try:
            # Given windows travel to each worker once.
            sent = client.scatter(spec, broadcast=True, hash=False)
            waiting: dict[Any, Cell] = {}
            for cell in cells:
                future = client.submit(
                    compute, cell, sent, key=f"{cell.digest}-{sent.key}", retries=0, pure=False
                )
                waiting[future] = cell
                tell("cell-start", **about(cell))
            for future in dask.as_completed(list(waiting)):
                fault = future.exception()
                outcome = (
                    Outcome(**future.result())
                    if fault is None
                    else Outcome("failed", f"{type(fault).__name__}: {fault}")
                )
                yield waiting.pop(future), outcome
                future.release()
        finally:
            client.close()
            if cluster is not None:
                cluster.close()


def compute(cell: Cell, spec: RunSpec) -> dict[str, Any]:
    """Compute one cell in a Dask worker.

    Parameters
    ----------
    cell : Cell
        The cell.
    spec : RunSpec
        The run.

    Returns
    -------
    dict
        The fields of an `Outcome`.
    """
    with _ALONE:
        key = f"{spec.out} {id(spec)}"
        runner = _RUNNERS.get(key)
        if runner is None:
            _RUNNERS.clear()
            runner = _RUNNERS[key] = CellRunner(spec, device=_place(spec.devices))
        return vars(runner.run(cell, _silent))


def _silent(kind: str, **changes: Any) -> None:
    """Steps inside a cell are not told across machines."""


def _place(devices: Sequence[str]) -> str:
    """Let this worker see its device only, before anything touches one."""
    import os

    from distributed import get_worker

    if not devices:
        return ""
    name = get_worker().name
    device = device_of(name if isinstance(name, int) else 0, devices)
    os.environ.update(environment(device, None))
    return device
