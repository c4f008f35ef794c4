"""Run one cell, in whatever process it falls to: claimed, computed, and told how it ended."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from affectrum.benchmark.cell import CellContext, Tell, run_cell
from affectrum.benchmark.cells import Cell
from affectrum.benchmark.files import no_room
from affectrum.benchmark.inputs import PlanWindows, WindowsLike, windows_fingerprint
from affectrum.benchmark.record import is_complete
from affectrum.benchmark.shared import SharedPretraining
from affectrum.errors import AccessError, AffectrumError, ConfigError, StoreError
from affectrum.store.locks import lock_path, owner, try_lock

if TYPE_CHECKING:
    from affectrum.benchmark.plan import Plan, TaskPlan
    from affectrum.windows import Windows

__all__ = ["CellRunner", "Outcome", "RunSpec", "limit_threads"]

_POLL_S = 0.2


@dataclass(frozen=True)
class RunSpec:
    """What a process must know to compute cells of a run; it can be sent anywhere.

    Attributes
    ----------
    plan : Plan
        The plan.
    out : Path
        The run's folder, absolute.
    told : dict
        What readers were told, see `Plan.told`.
    windows : mapping or callable, optional
        Ready windows; None opens the plan's corpora and store.
    threads : int or None
        Threads of arithmetic; None leaves them as they are.
    devices : tuple of str
        Graphics processors that workers are placed on in turn; empty for none.
    imports : tuple of str
        Modules that a process imports first, because they register methods.
    """

    plan: Plan
    out: Path
    told: dict[str, Any] = field(default_factory=dict)
    windows: WindowsLike | None = None
    threads: int | None = None
    devices: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes
    ----------
    state : str
        "computed"; "kept" (another runner had finished it); "refused" (the protocol does not grant
        what the method needs); "failed"; "busy" (another runner is at it); "stopped" (the run's
        folder can't be written: no other cell would fare better).
    message : str
        The reason of a refusal or failure.
    seconds : float
        Time it took.
    pretrained, reused : int
        Models pre-trained for it, and how often one was handed out again.
    """

    state: Literal["computed", "kept", "refused", "failed", "busy", "stopped"]
    message: str = ""
    seconds: float = 0.0
    pretrained: int = 0
    reused: int = 0


class CellRunner:
    """Compute cells of one run in this process.

    Parameters
    ----------
    spec : RunSpec
        The run.
    inputs : PlanWindows, optional
        Windows that are open already.
    device : str
        Name of the graphics processor that this process was placed on, if any: processes that share
        one pre-train one after the other.
    """

    def __init__(
        self, spec: RunSpec, *, inputs: PlanWindows | None = None, device: str = ""
    ) -> None:
        for name in spec.imports:
            importlib.import_module(name)
        self.spec = spec
        self.inputs = PlanWindows(spec.plan, spec.windows) if inputs is None else inputs
        self.shared = SharedPretraining(spec.out / "shared", device=device)

    def run(self, cell: Cell, tell: Tell, *, wait: bool = True) -> Outcome:
        """Compute a cell, unless another runner has it.

        Parameters
        ----------
        cell : Cell
            With its final digest.
        tell : callable
            Receives progress.
        wait : bool
            Wait for a runner that is computing the same cell; else it is "busy".

        Returns
        -------
        Outcome
        """
        try:
            with _claim(self.spec.out, cell.digest, tell if wait else None) as mine:
                if is_complete(self.spec.out, cell.digest):
                    return Outcome("kept")
                return self._compute(cell, tell) if mine else Outcome("busy")
        except StoreError as error:
            return Outcome("stopped", str(error))

    def _compute(self, cell: Cell, tell: Tell) -> Outcome:
        spec, plan = self.spec, self.spec.plan
        context = CellContext(
            out=spec.out,
            windows=partial(self._windows, cell),
            shared=self.shared,
            tell=_one_at_a_time(tell),
            epoch_scores=plan.epoch_scores,
            told={name: spec.told[name] for name in cell.task.corpora if name in spec.told},
            extras=(
                plan.extras
                and not cell.control
                and cell.seed == plan.seeds[0]
                and _is_drawn(plan, cell.task)
            ),
        )
        before = (self.shared.computed, self.shared.reused)
        began = time.perf_counter()
        try:
            with limit_threads(spec.threads):
                fresh = _how(cell)(cell, context)
        except StoreError:
            raise
        except AccessError as error:
            return Outcome("refused", str(error), time.perf_counter() - began)
        except AffectrumError as error:
            return Outcome("failed", str(error), time.perf_counter() - began)
        except Exception as error:  # a fault of ours or of a method: the other cells go on
            return Outcome("failed", _fault(error), time.perf_counter() - began)
        return Outcome(
            "computed" if fresh else "kept",
            seconds=time.perf_counter() - began,
            pretrained=self.shared.computed - before[0],
            reused=self.shared.reused - before[1],
        )

    def _windows(self, cell: Cell, corpus: str) -> Windows:
        windows = self.inputs.get(corpus, cell.task.recipe_of(corpus))
        expected = cell.fingerprints.get(corpus)
        if expected is not None and windows_fingerprint(windows) != expected:
            raise ConfigError(
                f"The windows of {corpus} are not those that the run began with: its files or its "
                "store were changed, or are others on this machine. Run the plan again."
            )
        return windows


def _one_at_a_time(tell: Tell) -> Tell:
    """Let several threads tell of their progress (subjects that are fine-tuned side by side)."""
    lock = threading.Lock()

    def in_turn(kind: str, **changes: Any) -> None:
        with lock:
            tell(kind, **changes)

    return in_turn


def _how(cell: Cell) -> Callable[[Cell, CellContext], bool]:
    """What computes a cell: a control is computed by the controls' room."""
    if not cell.control:
        return run_cell
    run_control: Callable[[Cell, CellContext], bool] = importlib.import_module(
        "affectrum.benchmark.controls"
    ).run_control
    return run_control


def _fault(error: Exception) -> str:
    """Name an error that nobody foresaw, with the place where it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _is_drawn(plan: Plan, task: TaskPlan) -> bool:
    """Whether a task gets pictures: not if another one differs only by more calibration trials."""
    left_out = {"name", "calibration_trials", "methods"}
    content = task.model_dump(exclude=left_out)
    return not any(
        other.k > task.k and other.model_dump(exclude=left_out) == content for other in plan.tasks
    )


@contextlib.contextmanager
def _claim(out: Path, digest: str, tell: Tell | None) -> Iterator[bool]:
    """Hold the cell's lock, so that runners that share a folder share the work.

    The lock only saves work: without it, the runner that finishes first is the one that counts. The
    system lets it go when its owner dies.
    """
    path, file = None, None
    try:
        path = lock_path(out, digest)
        while (file := try_lock(path)) is None and tell is not None:
            tell("stage", stage=f"waiting for {owner(path)}", stage_done=0, stage_total=0)
            time.sleep(_POLL_S)
    except StoreError:  # a file system without locks
        path = None
    except OSError as error:
        raise no_room(out, error) from error
    if path is None or file is None:
        yield path is None
        return
    try:
        yield True
        with contextlib.suppress(OSError):
            # Whoever waits for this very file finds the cell as it is now.
            path.unlink(missing_ok=True)
    finally:
        file.close()


@contextlib.contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Use so many threads for arithmetic for a while; None changes nothing.

    Sums are split over threads, so that the last bits of a number follow their count.
    """
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    # A worker's environment says the number already; torch reads it when a method first needs it.
    told = os.environ.get("OMP_NUM_THREADS") == str(threads)
    if told and "torch" not in sys.modules:
        with threadpool_limits(limits=threads):
            yield
        return
    import torch

    before = torch.get_num_threads()
    with threadpool_limits(limits=threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
