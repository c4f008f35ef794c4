"""Run a recovery study: cell by cell, each result whole or absent, from any number of processes."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import platform
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from affectrum import __version__
from affectrum.benchmark.files import (
    clear_wrecks,
    pack_arrays,
    publish_folder,
    sha256,
    text_array,
    write_file,
)
from affectrum.errors import ConfigError, StoreError
from affectrum.reproduce.recovery.arms import ArmResult, run_arm
from affectrum.reproduce.recovery.data import Draw, draw_corpora
from affectrum.reproduce.recovery.plan import SCRATCH, RecoveryCell, RecoveryPlan
from affectrum.store.locks import try_lock

__all__ = ["PLAN_FILE", "RESULT_FILE", "read_plan", "run_recovery"]

PLAN_FILE = "recovery.json"
RESULT_FILE = "result.json"

Show = Callable[[int, int, str], None]


def run_recovery(
    plan: RecoveryPlan,
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    max_cells: int | None = None,
    replan: bool = False,
    progress: Show | None = None,
) -> list[RecoveryCell]:
    """Compute the cells that are not there yet.

    Parameters
    ----------
    plan : RecoveryPlan
        The study.
    out : path
        Folder of the results. Finished cells are kept whatever plan they were made for, and used
        again where nothing that changes their numbers differs.
    workers : int
        Processes, each with one thread.
    max_cells : int, optional
        Stop after so many (with several workers, each after so many).
    replan : bool
        Put this plan in the place of another one that the folder holds.
    progress : callable, optional
        Called as ``progress(done, total, what)``; counts are of cells.

    Returns
    -------
    list of RecoveryCell
        What is still missing: cells of another process that works on the same folder, or beyond
        `max_cells`.

    Raises
    ------
    ConfigError
        If numbers are not allowed, or the folder holds another plan: with other levels or arms the
        same results would be corrected for another number of tests.
    StoreError
        If the folder can't be written.
    """
    if workers < 1 or (max_cells is not None and max_cells < 0):
        raise ConfigError(
            f"Expected workers >= 1 and max_cells >= 0; received {workers} and {max_cells}."
        )
    out = Path(out)
    if (out / PLAN_FILE).is_file() and not replan:
        _check_same(read_plan(out), plan, out)
    write_file(out / PLAN_FILE, plan.model_dump_json(indent=1).encode())
    clear_wrecks(out / "cells")
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_work, args=(plan, out, max_cells, None), daemon=True)
        for _ in range(workers - 1)
    ]
    for process in others:
        process.start()
    try:
        _work(plan, out, max_cells, progress)
        for process in others:
            process.join()
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
    return [cell for cell in plan.cells() if not _is_done(out, cell)]


def read_plan(out: str | os.PathLike[str]) -> RecoveryPlan:
    """Read the plan of a results folder.

    Raises
    ------
    StoreError
        If there is none, or it can't be read.
    """
    path = Path(out) / PLAN_FILE
    try:
        return RecoveryPlan.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path} is not the plan of a recovery study ({error}). `affectrum recovery --out "
            "FOLDER` writes one."
        ) from None


def _check_same(held: RecoveryPlan, asked: RecoveryPlan, out: Path) -> None:
    other = asked.model_dump()
    differ = [name for name, value in held.model_dump().items() if value != other[name]]
    if differ:
        raise ConfigError(
            f"{out} holds a study with other {', '.join(differ)}. Take another folder, or say "
            "--replan (in Python replan=True) to change the study; finished cells that fit are "
            "kept. Without --levels, --seeds, --arms and --quick the folder's own study goes on."
        )


def _folder(out: Path, cell: RecoveryCell) -> Path:
    return out / "cells" / cell.digest


def _is_done(out: Path, cell: RecoveryCell) -> bool:
    return (_folder(out, cell) / RESULT_FILE).is_file()


def _work(plan: RecoveryPlan, out: Path, max_cells: int | None, progress: Show | None) -> None:
    """Compute missing cells, group by group; a group that another process holds is left to it."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with more, cells differ in their last digits
    limits = threadpool_limits(limits=1)
    try:
        cells = list(plan.cells())
        n_new = 0
        locks = out / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        for (level, seed), group in groupby(cells, key=lambda cell: (cell.level, cell.seed)):
            mine = [cell for cell in group if not _is_done(out, cell)]
            if not mine:
                continue
            lock = try_lock(locks / f"{plan.settings(level).digest()}-{seed}.lock")
            if lock is None:
                continue
            with lock:
                draw: Draw | None = None
                for cell in mine:
                    if (max_cells is not None and n_new >= max_cells) or _is_orphan():
                        return
                    if _is_done(out, cell):  # the other process was faster than our lock
                        continue
                    tell = None if progress is None else _teller(out, cells, cell, progress)
                    if draw is None or (cell.arm != SCRATCH and not draw.sources):
                        # Scratch alone needs no pre-training corpora.
                        draw = draw_corpora(
                            plan, level, seed, sources=any(c.arm != SCRATCH for c in mine)
                        )
                    _publish(out, cell, draw, run_arm(cell, draw, tell))
                    n_new += 1
    finally:
        limits.restore_original_limits()
        torch.set_num_threads(threads)


def _is_orphan() -> bool:
    """Say whether the process that started this worker is gone."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def _teller(
    out: Path, cells: list[RecoveryCell], cell: RecoveryCell, progress: Show
) -> Callable[[str, int, int], None]:
    done = sum(_is_done(out, other) for other in cells)

    def tell(stage: str, at: int, n: int) -> None:
        progress(done, len(cells), f"{cell}: {stage}, {at} of {n}")

    tell("corpora", 0, 1)
    return tell


def _publish(out: Path, cell: RecoveryCell, draw: Draw, result: ArmResult) -> None:
    table = draw.test.table
    arrays: dict[str, Any] = {
        name: table[name].to_numpy(dtype=np.int64)
        for name in ("subject", "session", "row", "trial", "window")
    }
    arrays["clip"] = text_array(table["clip"])
    arrays["y_true"] = draw.y_test
    arrays.update(
        {f"scores.{name}": np.asarray(v, dtype=np.float32) for name, v in result.scores.items()}
    )
    content = pack_arrays(arrays)
    facts = {
        "level": cell.level,
        "seed": cell.seed,
        "arm": cell.arm,
        "simulated": True,
        "classes": list(draw.classes),
        "corpus": cell.plan.target,
        "plan": cell.plan.model_dump(mode="json", exclude={"levels", "seeds", "arms"}),
        "predictions_sha256": sha256(content),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "version": __version__,
        **result.meta,
    }
    files = {
        "predictions.npz": content,
        RESULT_FILE: json.dumps(facts, indent=1).encode(),
    }
    publish_folder(_folder(out, cell), files, RESULT_FILE)
