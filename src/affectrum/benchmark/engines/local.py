"""Several processes on one machine, each computing one cell at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from affectrum.benchmark.cell import Tell
from affectrum.benchmark.cells import Cell
from affectrum.benchmark.engines.base import about
from affectrum.benchmark.engines.devices import device_of, environment
from affectrum.benchmark.engines.order import in_order
from affectrum.benchmark.work import CellRunner, Outcome, RunSpec
from affectrum.errors import ConfigError

__all__ = ["ProcessEngine"]

# A worker reports steps at most so often: a small network makes a thousand of them in a second.
_REPORT_S = 0.1


@dataclass
class _Worker:
    """A process, this end of its pipe, and what it is doing."""

    number: int
    process: BaseProcess
    pipe: Connection
    cell: Cell | None = None


class ProcessEngine:
    """Compute cells in several processes.

    Processes are spawned, not forked: threads of the networks' library don't survive a fork. A
    process that dies takes its cell with it, and no other one.

    Parameters
    ----------
    workers : int
        How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(
        self, cells: Sequence[Cell], spec: RunSpec, tell: Tell
    ) -> Generator[tuple[Cell, Outcome], None, None]:
        """Compute cells; see `Engine.run`. Closing the iterator ends the processes.

        Raises
        ------
        ConfigError
            If the run can't be sent to other processes.
        """
        todo, busy_elsewhere = deque(in_order(cells, spec.out)), deque[Cell]()
        pool: list[_Worker] = []
        try:
            for number in range(min(self.workers, len(cells))):
                pool.append(_start(number, spec))
            while True:
                for worker in pool:
                    if worker.cell is None and (todo or busy_elsewhere):
                        # What another runner is at comes last; waiting for it is then all there is.
                        last = not todo
                        _assign(worker, (busy_elsewhere if last else todo).popleft(), last, tell)
                if all(worker.cell is None for worker in pool):
                    return
                for worker in _ready(pool):
                    outcome = _receive(worker, tell)
                    if outcome is None:
                        continue
                    cell, worker.cell = worker.cell, None
                    assert cell is not None
                    if not worker.process.is_alive() and (todo or busy_elsewhere):
                        pool[pool.index(worker)] = _start(worker.number, spec)
                    if outcome.state == "busy":
                        busy_elsewhere.append(cell)
                    else:
                        yield cell, outcome
        finally:
            _end(pool)


def _start(number: int, spec: RunSpec) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    device = device_of(number, spec.devices)
    process = context.Process(
        target=serve, args=(there, spec, number, device), name=f"affectrum-worker-{number}"
    )
    try:
        with _environment(environment(device, spec.threads)):
            process.start()
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        here.close()
        raise ConfigError(
            f"The run can't be sent to other processes: {error}. Windows that are given as a "
            "function must come from one that can be imported; or use one worker."
        ) from error
    finally:
        there.close()
    return _Worker(number, process, here)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change the environment while a process is started: it is read before its first line."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _assign(worker: _Worker, cell: Cell, last: bool, tell: Tell) -> None:
    worker.cell = cell
    tell("cell-start", worker=worker.number, **about(cell))
    with contextlib.suppress(OSError):  # it died: `_receive` will tell
        worker.pipe.send((cell, last))


def _ready(pool: list[_Worker]) -> list[_Worker]:
    """Wait until a worker has something to say, or has died."""
    at_work = [worker for worker in pool if worker.cell is not None]
    ends: list[Any] = [worker.pipe for worker in at_work]
    ready = wait([*ends, *(worker.process.sentinel for worker in at_work)])
    return [
        worker for worker in at_work if worker.pipe in ready or worker.process.sentinel in ready
    ]


def _receive(worker: _Worker, tell: Tell) -> Outcome | None:
    """Take one message: progress is passed on, an outcome returned."""
    try:
        if worker.pipe.poll():
            kind, content = worker.pipe.recv()
            if kind == "outcome":
                return Outcome(**content)
            tell(kind, worker=worker.number, **content)
            return None
    except (EOFError, OSError):
        worker.process.join(5)
    if worker.process.is_alive():
        return None
    code = worker.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return Outcome(
        "failed",
        f"The process that computed it ended by itself ({how}). If the machine ran out of memory, "
        "use fewer workers. A script that runs a plan with several workers must do so below "
        'if __name__ == "__main__":',
    )


def _end(pool: list[_Worker]) -> None:
    for worker in pool:
        with contextlib.suppress(OSError):
            if worker.cell is None:
                worker.pipe.send(None)
            else:
                worker.process.terminate()
    for worker in pool:
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


# -------------------------------------------------------------------------- in the other process


def serve(pipe: Connection, spec: RunSpec, number: int, device: str) -> None:
    """Compute the cells that come through a pipe, until it is closed.

    Parameters
    ----------
    pipe : Connection
        Receives (cell, wait) or None for the end; is sent ("outcome", fields) and progress.
    spec : RunSpec
        The run.
    number : int
        The worker's number.
    device : str
        The graphics processor it was placed on, or empty.
    """
    # Ctrl-C reaches all processes of a terminal: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _follow_parent()
    tell = _Reporter(pipe)
    runner: CellRunner | None = None
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        if message is None:
            return
        cell, last = message
        try:
            if runner is None:
                runner = CellRunner(spec, device=device)
            outcome = runner.run(cell, tell, wait=last)
        except ImportError as error:
            outcome = Outcome("stopped", f"A worker could not start: {error}.")
        pipe.send(("outcome", vars(outcome)))


class _Reporter:
    """Sends progress through the pipe, steps not more often than anybody can read."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.last = 0.0

    def __call__(self, kind: str, **changes: Any) -> None:
        now = time.monotonic()
        if kind == "stage" and now - self.last < _REPORT_S:
            return
        self.last = now
        self.pipe.send((kind, changes))


def _follow_parent() -> None:
    """End with the parent, also when that is killed in the middle of a cell."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
