"""``affectrum protocols``."""

from __future__ import annotations

from affectrum.cli.console import make_console, print_json, print_table

__all__ = ["protocols"]


def protocols(*, json: bool = False) -> None:
    """Show every protocol with a picture of who sees what, the scaling scopes and selections.

    Parameters
    ----------
    json
        Print JSON.
    """
    from affectrum.protocols.catalogue import SCALING_SCOPES, SELECTIONS, describe

    if json:
        print_json(
            {
                "protocols": [info.to_dict() for info in describe()],
                "scaling": SCALING_SCOPES,
                "selection": SELECTIONS,
            }
        )
        return
    console = make_console()
    console.print("x: seen with labels   ?: test, never seen\n", markup=False)
    for info in describe():
        console.print(info.id, style="bold", markup=False)
        indented = "\n".join(f"  {line}" for line in info.picture.splitlines())
        console.print(indented, markup=False, soft_wrap=True)
        console.print(f"  sees: {info.sees}", markup=False, soft_wrap=True)
        console.print(f"  used by: {info.used_by}\n", markup=False, soft_wrap=True)
    print_table(["scaling", "fitted on"], SCALING_SCOPES.items(), title="scaling")
    print_table(["selection", "rule"], SELECTIONS.items(), title="selection of weights")
