"""The long run of damage to one form of one corpus, in a process of its own with little memory.

    python fuzz.py CORPUS FORM FOLDER [SEED]     AFFECTRUM_FUZZ=12 damages more

Started by `test_fuzz.py`. Prints one line of JSON: how many files were damaged in how many ways,
and what ended otherwise than in a report.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MOST_BYTES = 2_500_000_000  # of addresses, on top of what the libraries take
MOST_SECONDS = 30.0
N_EACH = int(os.environ.get("AFFECTRUM_FUZZ", "4"))
FILES_OF_A_KIND = 1 if N_EACH < 8 else 2


def layouts():
    spec = importlib.util.spec_from_file_location("corpora_conftest", HERE / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LAYOUTS


def limit_memory() -> None:
    try:
        import resource

        text = Path("/proc/self/status").read_text()
    except (ImportError, OSError):
        return  # no such limits here; the report is looked at all the same
    own = 1024 * int(text.split("VmSize:")[1].split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (own + MOST_BYTES, hard))


def family(file: Path) -> str:
    return "".join(c for c in file.name if not c.isdigit())


def changes(content: bytes, rng: np.random.Generator):
    """Yield (what, damaged content): cut anywhere, flipped anywhere, blocks moved and repeated."""
    n = len(content)
    head = min(n, 1024)
    for position in [*rng.integers(0, head, N_EACH), *rng.integers(0, n, N_EACH)]:
        yield f"cut at {position}", content[:position]
    for k in range(2 * N_EACH):
        changed = bytearray(content)
        end = head if k % 2 else n
        for position in rng.integers(0, end, 1 + int(rng.integers(1, 40))):
            changed[position] = int(rng.integers(256))
        yield f"bytes {k} of the first {end}", bytes(changed)
    for k in range(N_EACH):
        changed = bytearray(content)
        for position in rng.integers(0, max(1, head - 4), 3):
            # the numbers that break most: the largest, the smallest, minus one, powers of two
            word = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0, 1 << int(rng.integers(32)))[k % 5]
            changed[position : position + 4] = word.to_bytes(4, "little" if k % 2 else "big")
        yield f"numbers {k}", bytes(changed)
    for _ in range(N_EACH // 2):
        start, stop = sorted(rng.integers(0, n, 2))
        yield f"without {start} to {stop}", content[:start] + content[stop:]
        yield f"twice {start} to {stop}", content[:stop] + content[start:]
    yield "nothing but zeros", bytes(n)


def main() -> None:
    name, form, top = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    os.environ["AFFECTRUM_CACHE"] = str(top / "cache")
    known = layouts()
    from corpora_damage import examine, replace

    layout = known.layout_of(name, form)
    sound = layout.write(top / "sound" / name, subjects=(1,), **layout.sound)
    folder = Path(shutil.copytree(sound, top / "copy" / name))
    assert examine(name, folder, form, layout.options).usable
    chosen: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if "SIMULATED" not in path.name and path.stat().st_size:
            chosen.setdefault(family(path), []).append(path)
    faulthandler.enable()
    limit_memory()
    faults, n_done = [], 0
    for paths in chosen.values():
        for path in paths[:FILES_OF_A_KIND]:
            content, times = path.read_bytes(), path.stat()
            place = path.relative_to(folder).as_posix()
            rng = np.random.default_rng([seed, len(place), len(content)])
            for what, damaged in changes(content, rng):
                replace(path, damaged)
                start = time.perf_counter()
                try:
                    report = examine(name, folder, form, layout.options)
                    lacking = [str(p) for p in report.of_level("error") if not p.fix]
                    if lacking:
                        faults.append(f"{place}, {what}: no mending for {lacking[0]}")
                except Exception:
                    faults.append(f"{place}, {what}: {traceback.format_exc()[-900:]}")
                seconds = time.perf_counter() - start
                if seconds > MOST_SECONDS:
                    faults.append(f"{place}, {what}: took {seconds:.0f} s")
                n_done += 1
            replace(path, content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    print(json.dumps({"files": len(chosen), "done": n_done, "faults": faults}))


if __name__ == "__main__":
    main()
