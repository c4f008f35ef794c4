"""``affectrum audit``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console, print_json, print_table

__all__ = ["audit"]


def audit(run: Path, /, *, json: bool = False) -> int:
    """Audit a run for leaks again, from the identifiers that it stored.

    Control cells are audited too. Declared exceptions are listed.

    Exit code 1 when a required check fails and was not declared.

    Parameters
    ----------
    run
        The folder of a run.
    json
        Print every check of every fold as JSON.
    """
    from affectrum.benchmark import audit_record

    table = audit_record(run)
    failed = table[~table["passed"] & table["required"]]
    leaks = failed[~failed["declared"].astype(bool)]
    if json:
        print_json(table.to_dict(orient="records"))
        return 1 if len(leaks) else 0
    rows = []
    for (task, check), group in table.groupby(["task", "check"], sort=False):
        missed = int((~group["passed"]).sum())
        rows.append(
            [
                task,
                check,
                "required" if bool(group["required"].any()) else "measured",
                f"{len(group) - missed} of {len(group)} folds",
                int(group["measured"].max()),
            ]
        )
    print_table(
        ["task", "check", "kind", "passed", "most shared"], rows, right=["passed", "most shared"]
    )
    console = make_console()
    copied = table[(table["check"] == "copies") & ~table["passed"]]
    for title, found in (
        ("declared exception", failed[failed["declared"].astype(bool)]),
        ("leak", leaks),
        ("copies", copied),
    ):
        for line in dict.fromkeys(
            f"{title}: {row['task']}, {row['fold']}: {row['check']}: {row['detail']}"
            for row in found.head(20).to_dict("records")
        ):
            console.print(line, markup=False, soft_wrap=True)
    console.print(
        f"{len(leaks)} undeclared leaks." if len(leaks) else "No leak was found.", markup=False
    )
    return 1 if len(leaks) else 0
