"""``affectrum protocols``."""

from __future__ import annotations

from affectrum.cli.console import make_console, print_json, print_table

__all__ = ["protocols"]

_LEGEND = (
    "x: seen with labels   u: seen without labels   v: chooses weights   ?: test, never seen   "
    ".: not used\n"
)


def protocols(*, json: bool = False) -> None:
    """Show every protocol with a picture of who sees what, and all that changes one.

    Parameters
    ----------
    json
        Print JSON.
    """
    from affectrum.protocols.catalogue import (
        LABELS,
        SCALING_SCOPES,
        SELECTIONS,
        SPLITS,
        STIMULUS_CHOICES,
        TARGET_USES,
        describe,
    )

    splits = {name: f"{corpus}, {rule} ({who})" for name, (corpus, rule, who) in SPLITS.items()}
    if json:
        print_json(
            {
                "protocols": [info.to_dict() for info in describe()],
                "scaling": SCALING_SCOPES,
                "selection": SELECTIONS,
                "target_use": TARGET_USES,
                "split": splits,
                "stimulus_disjoint": STIMULUS_CHOICES,
                "labels": LABELS,
            }
        )
        return
    console = make_console()
    console.print(_LEGEND, markup=False)
    for info in describe():
        console.print(info.id, style="bold", markup=False)
        indented = "\n".join(f"  {line}" for line in info.picture.splitlines())
        console.print(indented, markup=False, soft_wrap=True)
        console.print(f"  sees: {info.sees}", markup=False, soft_wrap=True)
        console.print(f"  used by: {info.used_by}", markup=False, soft_wrap=True)
        if info.options:
            console.print(f"  options: {', '.join(info.options)}", markup=False, soft_wrap=True)
        console.print()
    print_table(["scaling", "fitted on"], SCALING_SCOPES.items(), title="scaling")
    print_table(["selection", "rule"], SELECTIONS.items(), title="selection of weights")
    print_table(["target_use", "what is seen"], TARGET_USES.items(), title="unlabelled target")
    print_table(["split", "what it divides"], splits.items(), title="published splits")
    print_table(["stimulus_disjoint", "kept apart"], STIMULUS_CHOICES.items(), title="stimuli")
    print_table(["labels", "made of"], LABELS.items(), title="labels")
