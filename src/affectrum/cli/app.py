"""The ``affectrum`` command: registers every command lazily and turns errors into messages.

Commands are registered by import path with their help line, so ``affectrum --help`` imports
neither a command nor any heavy library.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, Group

from affectrum import __version__
from affectrum.errors import AffectrumError

__all__ = ["app", "main"]

# group -> (command, import path, help line), in the order in which a newcomer meets them
_COMMANDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Start here": (
        ("demo", "demo:demo", "The main job on simulated corpora, from nothing to a report."),
        ("doctor", "doctor:doctor", "Versions, devices, optional parts, what is missing."),
    ),
    "Corpora": (
        ("corpora", "corpora:corpora", "The corpora it reads, and how to get them."),
        ("check", "check:check", "Explain a corpus folder: found, missing, broken, how to fix."),
        ("trials", "trials:trials", "The trial table of a corpus folder."),
        ("download", "download:download", "Fetch an openly licensed corpus from OpenNeuro."),
        ("twin", "twin:twin", "Write a simulated corpus in the vendor's own layout."),
    ),
    "Windows": (
        ("prepare", "prepare:prepare", "Turn a corpus into windows in the store."),
        ("store", "store:store", "What is in the store, its sizes, clean-up."),
    ),
    "Comparing methods": (
        ("methods", "methods:methods", "Every method: what it needs to see, its parameters."),
        ("protocols", "protocols:protocols", "Every protocol, with a picture of who sees what."),
        ("plan", "plan:plan", "The cells a plan expands to and what is done; runs nothing."),
        ("run", "run:run", "Run the missing cells of a plan and print the table."),
        (
            "reproduce",
            "reproduce:reproduce",
            "A paper's experiment, published protocol beside the strict one.",
        ),
        (
            "recovery",
            "recovery:recovery",
            "What EMOD's pre-training gains as a planted effect grows (simulated).",
        ),
        (
            "waterfall",
            "waterfall:waterfall",
            "From your plan's protocols to strict ones, one factor removed at a time.",
        ),
        ("report", "report:report", "A self-contained page from stored predictions."),
        ("audit", "audit:audit", "The leak audit of a run, again, from what is stored."),
    ),
    "Models": (
        ("pretrain", "train:pretrain", "Pre-train one method and save it as a bundle."),
        ("finetune", "train:finetune", "Train one model for predictions and save it as a bundle."),
        ("predict", "predict:predict", "Valence, arousal and class over time for a recording."),
    ),
}

app = App(
    name="affectrum",
    help="Cross-corpus EEG emotion recognition that can be trusted.",
    version=__version__,
    help_format="plaintext",
    # The parser would leave without a word; `main` says that what is finished is kept.
    suppress_keyboard_interrupt=False,
)

for _order, (_title, _entries) in enumerate(_COMMANDS.items()):
    _group = Group(_title, sort_key=_order)
    for _place, (_name, _path, _help) in enumerate(_entries):
        app.command(f"affectrum.cli.{_path}", name=_name, help=_help, group=_group, sort_key=_place)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``affectrum``; by default those of the process.

    Returns
    -------
    int
        0 when the command did what was asked, 1 when it could not (the reason is on standard
        error), 2 when the words made no sense, 130 after Ctrl-C.
    """
    # Threads that wait for each other in a small network's step must not spin: where something else
    # uses a core, spinning makes a step many times slower (docs/decisions/0007). Read by the thread
    # library when torch is first imported, so it is set before any command runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        result = app(
            None if arguments is None else list(arguments),
            exit_on_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("Stopped. What was finished is kept; run the same command to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`affectrum trials ... | head`): not our failure, but
        # Python would complain once more while closing standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except AffectrumError as error:
        if os.environ.get("AFFECTRUM_TRACEBACK"):
            raise
        print(f"affectrum: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        # A full disk, a folder that may not be written, a path through a file: what failed and
        # where is all that can be said, and a traceback would not say it better.
        if os.environ.get("AFFECTRUM_TRACEBACK") or error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        print(
            f"affectrum: {where}{error.strerror}. Check the path, its permissions and the free "
            "space; what was finished is kept.",
            file=sys.stderr,
        )
        return 1
    except Exception as error:
        # Usage errors were already printed by the parser; anything else is a fault of ours.
        if type(error).__module__.startswith("cyclopts"):
            return 2
        raise
    return result if isinstance(result, int) else 0


def run() -> None:
    """Entry point of the installed script."""
    raise SystemExit(main())


if __name__ == "__main__":
    run()
