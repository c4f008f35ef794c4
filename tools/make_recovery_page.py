"""Put the results of recovery studies into docs/recovery.md and docs/images/recovery.png.

Run as ``python tools/make_recovery_page.py FOLDER [WORDS]``: the folder of ``affectrum recovery``,
and that of a study with ``batches="words"``.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from affectrum.reproduce.recovery import load_recovery, recovery_markdown, write_recovery
from affectrum.reproduce.recovery.page import gains_markdown

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Write the generated parts of the page."""
    folder = Path(sys.argv[1])
    found = load_recovery(folder)
    write_recovery(found, folder)
    shutil.copyfile(folder / "recovery.png", DOCS / "images" / "recovery.png")
    picture = "![Recovery curves, simulated](images/recovery.png)\n\n"
    put("recovery", picture + recovery_markdown(found))
    if len(sys.argv) > 2:
        put("words", gains_markdown(load_recovery(sys.argv[2])))


def put(name: str, text: str) -> None:
    """Replace a generated part of docs/recovery.md."""
    page = DOCS / "recovery.md"
    part = f"<!-- generated: {name} -->\n{text}<!-- end -->"
    pattern = rf"<!-- generated: {name} -->.*?<!-- end -->"
    old = page.read_text(encoding="utf-8")
    page.write_text(re.sub(pattern, lambda _: part, old, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    main()
