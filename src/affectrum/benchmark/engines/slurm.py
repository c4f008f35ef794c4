"""Jobs of a Slurm cluster, sent through submitit.

`workers` jobs are sent as one array. Each is a runner that shares the run's folder: it begins with
its own share of the cells and then helps with what is left, so that a job that waits in the queue
holds up nothing. A job that is preempted is queued again; one that runs out of time loses a cell.

Options: ``cluster`` ("slurm", or "local" and "debug" for jobs on this machine), ``poll_s`` (how
often to look, 5), and whatever `submitit.AutoExecutor.update_parameters` takes: ``timeout_min``,
``mem_gb``, ``cpus_per_task``, ``gpus_per_node``, ``slurm_partition`` and so on.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectrum.benchmark.cell import Tell
from affectrum.benchmark.cells import Cell
from affectrum.benchmark.engines.base import SameProcess, about
from affectrum.benchmark.record import is_complete
from affectrum.benchmark.work import Outcome, RunSpec
from affectrum.errors import ConfigError

__all__ = ["SlurmEngine"]


class SlurmEngine:
    """Compute cells in Slurm jobs.

    Parameters
    ----------
    workers : int
        Jobs.
    options : mapping
        See the module.

    Raises
    ------
    ConfigError
        If submitit is not installed.
    """

    def __init__(self, workers: int, options: Mapping[str, Any]) -> None:
        try:
            import submitit  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "The engine 'slurm' needs submitit. Install it with: pip install 'affectrum[slurm]'"
            ) from error
        self.workers = workers
        parameters = dict(options)
        self.cluster = parameters.pop("cluster", "slurm")
        self.poll_s = float(parameters.pop("poll_s", 5.0))
        self.parameters = parameters

    def run(
        self, cells: Sequence[Cell], spec: RunSpec, tell: Tell
    ) -> Generator[tuple[Cell, Outcome], None, None]:
        """Compute cells; see `Engine.run`. Closing the iterator cancels the jobs.

        Raises
        ------
        ConfigError
            If there is no Slurm here, or it does not know an option.
        """
        if not cells:
            return
        jobs = self._submit(cells, spec)
        for cell in cells:
            tell("cell-start", **about(cell))
        open_cells = {cell.digest: cell for cell in cells}
        ended = False
        try:
            while not ended:
                ended = all(job.done() for job in jobs)
                for digest in [d for d in open_cells if is_complete(spec.out, d)]:
                    yield open_cells.pop(digest), Outcome("computed")
                if not ended:
                    time.sleep(self.poll_s)
            yield from _rest(jobs, open_cells)
        finally:
            if not ended:
                for job in jobs:
                    job.cancel()

    def _submit(self, cells: Sequence[Cell], spec: RunSpec) -> list[Any]:
        import submitit

        n_jobs = min(self.workers, len(cells))
        try:
            executor = submitit.AutoExecutor(folder=spec.out / "slurm", cluster=self.cluster)
            defaults: dict[str, Any] = {"name": "affectrum", "timeout_min": 24 * 60}
            if spec.threads is not None:
                defaults["cpus_per_task"] = spec.threads
            executor.update_parameters(**{**defaults, **self.parameters})
            shares = [Share(tuple(cells), spec, number, n_jobs) for number in range(n_jobs)]
            jobs: list[Any] = executor.map_array(_compute, shares)
        except (RuntimeError, NameError, TypeError, ValueError, OSError) as error:
            raise ConfigError(f"Slurm jobs can't be sent: {error}") from error
        except Exception as error:
            if not type(error).__module__.startswith("submitit"):
                raise
            raise ConfigError(f"Slurm jobs can't be sent: {error}") from error
        return jobs


@dataclass(frozen=True)
class Share:
    """What one job is sent.

    Attributes
    ----------
    cells : tuple of Cell
        All cells.
    spec : RunSpec
        The run.
    number, of : int
        Which job it is, and how many there are.
    """

    cells: tuple[Cell, ...]
    spec: RunSpec
    number: int
    of: int


class _Compute:
    """The job's function; submitit queues it again when it is preempted."""

    def __call__(self, share: Share) -> dict[str, dict[str, Any]]:
        first = share.number * len(share.cells) // share.of
        outcomes = {}
        for cell, outcome in SameProcess(first=first).run(share.cells, share.spec, _silent):
            outcomes[cell.digest] = vars(outcome)
            if outcome.state == "stopped":
                break
        return outcomes

    def checkpoint(self, share: Share) -> Any:
        """Begin again with the cells that are missing by then."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, share)


_compute = _Compute()


def _silent(kind: str, **changes: Any) -> None:
    """Steps inside a cell are not told across machines."""


def _rest(jobs: Sequence[Any], open_cells: Mapping[str, Cell]) -> Iterator[tuple[Cell, Outcome]]:
    """Cells that no job finished, with the reason."""
    found: dict[str, Outcome] = {}
    faults = []
    for job in jobs:
        error = job.exception()
        if error is not None:
            faults.append(f"job {job.job_id}: {str(error).strip().splitlines()[-1]}")
            continue
        for digest, fields in job.result().items():
            if fields["state"] not in ("busy", "kept", "computed"):
                found.setdefault(digest, Outcome(**fields))
    reason = "; ".join(faults) or "no job came to it"
    for digest, cell in open_cells.items():
        yield cell, found.get(digest, Outcome("failed", f"It was not finished: {reason}."))
