"""``affectrum audit``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console, print_json, print_table

__all__ = ["audit"]


def audit(run: Path, /, *, json: bool = False) -> int:
    """Audit a run for leaks again, from the identifiers that it stored.

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
    leaks = table[~table["passed"] & table["required"] & ~table["declared"].astype(bool)]
    if json:
        print_json(table.to_dict(orient="records"))
        return 1 if len(leaks) else 0
    rows = []
    for (task, check), group in table.groupby(["task", "check"], sort=False):
        failed = int((~group["passed"]).sum())
        rows.append(
            [
                task,
                check,
                "required" if bool(group["required"].any()) else "measured",
                f"{len(group) - failed} of {len(group)} folds",
                int(group["measured"].max()),
            ]
        )
    print_table(
        ["task", "check", "kind", "passed", "most shared"], rows, right=["passed", "most shared"]
    )
    make_console().print(
        f"{len(leaks)} undeclared leaks." if len(leaks) else "No leak was found.", markup=False
    )
    return 1 if len(leaks) else 0
