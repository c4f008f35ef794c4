"""What every engine looks like from outside, and the one that needs no other process."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

from affectrum.benchmark.cell import Tell
from affectrum.benchmark.cells import Cell
from affectrum.benchmark.inputs import PlanWindows
from affectrum.benchmark.work import CellRunner, Outcome, RunSpec
from affectrum.errors import ConfigError, check_option

__all__ = ["ENGINES", "Engine", "SameProcess", "make_engine"]

#: Name -> what it is, for the command line and messages.
ENGINES: dict[str, str] = {
    "local": "this machine: in this process, or in several with `workers`",
    "dask": "a Dask cluster: one made on this machine, or a given one (extra 'dask')",
    "slurm": "jobs of a Slurm cluster, through submitit (extra 'slurm')",
}


class Engine(Protocol):
    """Computes cells."""

    def run(
        self, cells: Sequence[Cell], spec: RunSpec, tell: Tell
    ) -> Generator[tuple[Cell, Outcome], None, None]:
        """Compute cells and yield each with its outcome, in any order.

        Parameters
        ----------
        cells : sequence of Cell
            Those that are not finished.
        spec : RunSpec
            The run.
        tell : callable
            Receives progress, with the field `worker` where there are several.
        """
        ...


class SameProcess:
    """Compute one cell after the other in this process.

    Parameters
    ----------
    inputs : PlanWindows
        The windows, open already.
    first : int
        Which of the cells to begin with; runners that share a folder begin in different places.
    """

    def __init__(self, inputs: PlanWindows | None = None, *, first: int = 0) -> None:
        self.inputs = inputs
        self.first = first

    def run(
        self, cells: Sequence[Cell], spec: RunSpec, tell: Tell
    ) -> Generator[tuple[Cell, Outcome], None, None]:
        """Compute cells; see `Engine.run`. What another runner is at comes last."""
        runner = CellRunner(spec, inputs=self.inputs)
        waiting = []
        for cell in [*cells[self.first :], *cells[: self.first]]:
            tell("cell-start", **about(cell))
            outcome = runner.run(cell, tell, wait=False)
            if outcome.state == "busy":
                waiting.append(cell)
                continue
            yield cell, outcome
        for cell in waiting:
            tell("cell-start", **about(cell))
            yield cell, runner.run(cell, tell, wait=True)


def about(cell: Cell) -> dict[str, Any]:
    """Return the fields of a progress event that name a cell, with everything below it empty.

    Parameters
    ----------
    cell : Cell
        The cell.
    """
    return {
        "cell": cell.digest,
        "task": cell.task.title,
        "method": cell.method.title,
        "seed": cell.seed,
        "fold": "",
        "folds_done": 0,
        "folds_total": 0,
        "stage": "",
        "stage_done": 0,
        "stage_total": 0,
    }


def make_engine(
    name: str,
    *,
    workers: int = 1,
    options: Mapping[str, Any] | None = None,
    inputs: PlanWindows | None = None,
    devices: Sequence[str] = (),
) -> Engine:
    """Make an engine by name.

    Parameters
    ----------
    name : str
        One of `ENGINES`.
    workers : int
        Processes, Dask workers or Slurm jobs.
    options : mapping, optional
        Of the engine; see `engines.dask` and `engines.slurm`.
    inputs : PlanWindows, optional
        Windows that are open in this process.
    devices : sequence of str
        Graphics processors for the workers.

    Returns
    -------
    Engine

    Raises
    ------
    ConfigError
        If the name, the number of workers or an option is not known, or a library is missing.
    """
    check_option("engine", name, tuple(ENGINES))
    if workers < 1:
        raise ConfigError(f"'workers' must be at least 1; received {workers}.")
    options = dict(options or {})
    if name == "dask":
        from affectrum.benchmark.engines.dask import DaskEngine

        return DaskEngine(workers, options)
    if name == "slurm":
        from affectrum.benchmark.engines.slurm import SlurmEngine

        return SlurmEngine(workers, options)
    if options:
        raise ConfigError(
            f"The engine 'local' has no options; received {', '.join(options)}. "
            "'dask' and 'slurm' have some."
        )
    if workers == 1 and not devices:
        return SameProcess(inputs)
    from affectrum.benchmark.engines.local import ProcessEngine

    return ProcessEngine(workers)
