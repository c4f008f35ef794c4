"""Run every command that the documentation shows, so that none of them can go stale.

In Markdown, a fence that opens with ```console holds commands to run: each line that starts with
"$ " is one command, other lines are output and ignored. All commands of one document run in order
in one fresh empty folder; documents run side by side. A fence that opens with ```python is run as a
script in that folder. A fence with another word (```text, ```sh, ```yaml ...) is only shown, except
that ```yaml with a file name (```yaml plan.yaml) writes that file.

Usage: python tools/run_documented_commands.py FILE_OR_FOLDER...
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str, str]]:
    """Return (language, argument, body) of every fence of a document."""
    found = []
    for match in FENCE.finditer(text):
        language, _, argument = match["info"].strip().partition(" ")
        found.append((language, argument.strip(), match["body"]))
    return found


def run(command: list[str] | str, folder: Path, shown: str) -> tuple[bool, str]:
    """Run one command; return whether it passed, and a line with its time and any fault."""
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        shell=isinstance(command, str),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "MPLBACKEND": "Agg"},
        check=False,
    )
    verdict = "ok" if done.returncode == 0 else f"FAILED with exit code {done.returncode}"
    line = f"  {shown}  [{time.monotonic() - start:.1f} s] {verdict}"
    return done.returncode == 0, line + (f"\n{done.stdout}" if done.returncode else "")


def run_document(path: Path) -> tuple[int, int]:
    """Run one document in an empty folder; return how many blocks passed and failed."""
    steps = [b for b in blocks(path.read_text()) if b[0] in ("console", "python", "yaml")]
    if not any(language in ("console", "python") for language, _, _ in steps):
        return 0, 0
    done: list[tuple[bool, str]] = []
    with tempfile.TemporaryDirectory(prefix="affectrum-docs-") as name:
        folder = Path(name)
        for language, argument, body in steps:
            if language == "yaml":
                if argument:
                    (folder / argument).write_text(body)
            elif language == "python":
                command = [sys.executable, "-c", body]
                done.append(run(command, folder, body.strip().splitlines()[0]))
            else:
                for line in body.splitlines():
                    if line.startswith("$ "):
                        done.append(run(line[2:], folder, line))
    # In one piece, since other documents print too.
    print("\n".join([str(path), *(line for _, line in done)]), flush=True)
    passed = sum(good for good, _ in done)
    return passed, len(done) - passed


def main(arguments: list[str]) -> int:
    """Run all documents; return the process's exit code."""
    paths: list[Path] = []
    for argument in arguments:
        place = Path(argument)
        paths += sorted(place.rglob("*.md")) if place.is_dir() else [place]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        counts = list(pool.map(run_document, paths))
    passed, failed = sum(c[0] for c in counts), sum(c[1] for c in counts)
    print(f"documented commands: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
