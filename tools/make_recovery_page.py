"""Put the results of a recovery study into docs/recovery.md and docs/images/recovery.png.

Run as ``python tools/make_recovery_page.py FOLDER`` with the folder of ``affectrum recovery``.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from affectrum.reproduce.recovery import load_recovery, recovery_markdown, write_recovery

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Write the generated part of the page."""
    folder = Path(sys.argv[1])
    found = load_recovery(folder)
    write_recovery(found, folder)
    shutil.copyfile(folder / "recovery.png", DOCS / "images" / "recovery.png")
    picture = "![Recovery curves, simulated](images/recovery.png)\n\n"
    page = DOCS / "recovery.md"
    text = page.read_text(encoding="utf-8")
    part = f"<!-- generated: recovery -->\n{picture}{recovery_markdown(found)}<!-- end -->"
    pattern = r"<!-- generated: recovery -->.*?<!-- end -->"
    page.write_text(re.sub(pattern, lambda _: part, text, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    main()
