"""``affectrum download``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affectrum.cli.console import format_bytes, make_console, print_json, print_table, progress

if TYPE_CHECKING:
    from affectrum.downloads import DownloadPlan

__all__ = ["download"]


def download(
    corpus: str,
    folder: Path,
    /,
    *,
    subjects: str | None = None,
    skip: list[str] | None = None,
    dry_run: bool = False,
    workers: int = 4,
    mirror: str | None = None,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Fetch an openly licensed corpus (EmoEEG-MC, DENS, ds002721) from OpenNeuro.

    Each file is checked by its size and checksum. Stop it at any moment; the same command goes on.
    For a corpus that is not open it says whom to ask, and stops.

    Parameters
    ----------
    corpus
        The corpus, for example DENS.
    folder
        Where its files go.
    subjects
        Only these subjects, by their labels: 01,02,05 (files of no subject always come).
    skip
        Leave out files whose path fits this pattern, for example derivatives/* (may be given
        several times).
    dry_run
        Only say what would come, with sizes.
    workers
        Files at a time.
    mirror
        Address of a mirror of OpenNeuro's public bucket.
    json
        Print JSON.
    quiet
        No progress display.
    """
    from affectrum import downloads

    labels = None if subjects is None else [part for part in subjects.split(",") if part.strip()]
    plan = downloads.plan_download(
        corpus, folder, subjects=labels, skip=skip or (), base=mirror or downloads.BUCKET
    )
    if dry_run:
        _show(plan, json=json)
        return 0
    if not quiet:
        make_console(stderr=True).print(
            f"{plan.corpus} ({plan.dataset}): {len(plan.files)} files, "
            f"{format_bytes(plan.n_bytes)}; {format_bytes(_left(plan))} are not here yet",
            markup=False,
        )
    with progress(f"download {plan.corpus}", quiet=quiet) as advance:
        report = downloads.download(
            plan,
            workers=workers,
            progress=lambda done, total, path: advance(done / 1e6, total / 1e6, f"MB {path}"),
        )
    if json:
        print_json({**vars(report), "folder": str(report.folder), "corpus": plan.corpus})
        return 0
    from affectrum.downloads.fetch import CHECKED

    lines = [
        f"{plan.corpus} is in {report.folder}: {report.fetched} files fetched "
        f"({format_bytes(report.n_bytes)}), {report.kept} were there.",
        *(f"  {count} files checked by {CHECKED[how]}" for how, count in report.checked.items()),
    ]
    lines += [f"  version: {report.version}"] if report.version else []
    lines.append(f'Next: affectrum check {plan.corpus} "{report.folder}"')
    make_console().print("\n".join(lines), markup=False, soft_wrap=True)
    return 0


def _left(plan: DownloadPlan) -> int:
    return sum(file.size for file in plan.missing())


def _show(plan: DownloadPlan, *, json: bool) -> None:
    missing = {file.path for file in plan.missing()}
    rows = [
        {
            "subject": label or "(no subject)",
            "files": len(files),
            "bytes": sum(file.size for file in files),
            "missing_bytes": sum(file.size for file in files if file.path in missing),
        }
        for label, files in plan.by_subject().items()
    ]
    if json:
        content = {"corpus": plan.corpus, "dataset": plan.dataset, "folder": str(plan.folder)}
        print_json({**content, "bytes": plan.n_bytes, "subjects": rows})
        return
    print_table(
        ["subject", "files", "size", "not here yet"],
        [
            [row["subject"], row["files"], *(format_bytes(float(row[k])) for k in _SIZES)]  # type: ignore[arg-type]
            for row in rows
        ],
        title=f"{plan.corpus} ({plan.dataset}) into {plan.folder}; nothing was fetched",
        right=["files", "size", "not here yet"],
        caption=f"{len(plan.files)} files, {format_bytes(plan.n_bytes)}, of which "
        f"{format_bytes(_left(plan))} are not here yet",
    )


_SIZES = ("bytes", "missing_bytes")
