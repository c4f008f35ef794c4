"""``affectrum prepare``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import format_bytes, make_console, progress

__all__ = ["prepare"]


def prepare(
    corpus: str,
    folder: Path,
    /,
    *,
    recipe: str = "de32",
    store: Path = Path("store"),
    form: str = "auto",
    options: Path | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> None:
    """Turn a corpus into windows in the store. Stop it at any moment; the next run goes on.

    Parameters
    ----------
    corpus
        The corpus, for example SEED.
    folder
        Its folder.
    recipe
        A named recipe (de32, de62, ...) or a YAML file.
    store
        The store's folder.
    form
        Which of the vendor's forms to read.
    options
        A YAML file with what the reader has to be told (see `affectrum corpora NAME`).
    workers
        Processes.
    quiet
        No progress display.
    """
    import shutil

    from affectrum.corpora import open_corpus
    from affectrum.errors import StoreError
    from affectrum.recipes import get_recipe
    from affectrum.store import Store

    console = make_console(stderr=True)
    opened = open_corpus(corpus, folder, form=form, options=options)
    wanted = get_recipe(recipe)
    place = Store(store)
    need = place.estimate(opened, wanted)
    existing = next(parent for parent in (store, *store.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if not quiet:
        console.print(
            f"{opened.name}: {len(opened.trials)} trials, recipe {wanted.name}; needs about "
            f"{format_bytes(need)} in {store} ({format_bytes(free)} free)",
            markup=False,
        )
    if need > free:
        raise StoreError(
            f"The windows need about {format_bytes(need)}, but only {format_bytes(free)} are free "
            f"where {str(store)!r} lies. Free some space or choose another place with --store."
        )
    with progress(f"prepare {opened.name}", quiet=quiet) as advance:
        windows = place.prepare(opened, wanted, workers=workers, progress=advance)
    artefacts = int(windows.table["artefact"].sum()) if "artefact" in windows.table else 0
    make_console().print(
        f"{len(windows)} windows of {windows.x.shape[1:]} from {len(windows.trials())} trials"
        + (f", {artefacts} marked as artefact" if artefacts else "")
        + (" (SIMULATED)" if windows.simulated else ""),
        markup=False,
        soft_wrap=True,
    )
