"""``affectrum store``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import format_bytes, make_console, print_json, print_table

__all__ = ["store"]


def store(
    folder: Path = Path("store"),
    /,
    *,
    verify: bool = False,
    clean: bool = False,
    corpus: str | None = None,
    recipe: str | None = None,
    key: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Show what is in the store; check it, or clean it up.

    Parameters
    ----------
    folder
        The store's folder.
    verify
        Compare every byte with its digest; exit code 1 if something is wrong.
    clean
        Remove unfinished and damaged entries, or those that the next three options choose.
    corpus
        With --clean: all entries of this corpus.
    recipe
        With --clean: all entries of this recipe.
    key
        The entry of this key (its first digits are enough).
    dry_run
        With --clean: only say what would be removed.
    json
        Print JSON.
    """
    import dataclasses

    from affectrum.errors import ConfigError, StoreError
    from affectrum.store import Store

    if not clean and (corpus or recipe or dry_run):
        raise ConfigError("--corpus, --recipe and --dry-run choose what --clean removes; add it.")
    if clean and verify:
        raise ConfigError("--verify and --clean exclude each other; verify first, then clean.")
    if key and not (clean or verify):
        raise ConfigError("--key chooses what --verify or --clean looks at; add one of them.")
    if not folder.is_dir():
        raise StoreError(
            f"There is no store in {str(folder)!r}. `affectrum prepare` makes one; name another "
            "folder as `affectrum store FOLDER`."
        )
    place = Store(folder)
    console = make_console()
    if verify:
        if key and not any(entry.key.startswith(key) for entry in place.entries()):
            raise StoreError(
                f"No entry of the store {str(folder)!r} has a key that begins with {key!r}. "
                f"`affectrum store {folder}` lists the keys."
            )
        problems = place.verify(key)
        if json:
            print_json({"problems": problems})
            return 1 if problems else 0
        console.print("\n".join(problems) or "Every entry is as it was written.", markup=False)
        return 1 if problems else 0
    entries = (
        place.clean(corpus=corpus, recipe=recipe, key=key, dry_run=dry_run)
        if clean
        else place.entries()
    )
    if json:
        print_json([dataclasses.asdict(entry) for entry in entries])
        return 0
    if not entries:
        console.print(
            "Nothing matches: nothing was removed." if clean else f"The store {folder} is empty.",
            markup=False,
            soft_wrap=True,
        )
        return 0
    count = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    print_table(
        ["corpus", "recipe", "state", "windows", "trials", "files", "size", "key", "remarks"],
        [
            [
                entry.corpus or "?",
                entry.recipe,
                entry.state,
                entry.n_windows,
                entry.n_trials,
                entry.n_files,
                format_bytes(entry.size),
                entry.key[:12],
                _remarks(entry),
            ]
            for entry in entries
        ],
        title=_title(folder, clean, dry_run),
        right=["windows", "trials", "files", "size"],
        caption=f"{count}, {format_bytes(sum(entry.size for entry in entries))}",
    )
    return 0


def _title(folder: Path, clean: bool, dry_run: bool) -> str:
    if not clean:
        return f"store {folder}"
    return "would be removed" if dry_run else "removed"


def _remarks(entry: object) -> str:
    remarks = ["SIMULATED"] if getattr(entry, "simulated", False) else []
    for title, name in (
        ("windows left out", "rejected"),
        ("electrodes marked in windows", "marked"),
    ):
        counts: dict[str, int] = getattr(entry, name, None) or {}
        shown = ", ".join(f"{reason} {count}" for reason, count in counts.items() if count)
        if shown:
            remarks.append(f"{title}: {shown}")
    problem = getattr(entry, "problem", "")
    if problem:
        remarks.append(problem)
    return "; ".join(remarks)
