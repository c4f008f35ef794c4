"""Hundreds of damaged files of every corpus: none ends in a foreign error, a crash or a hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fuzzed_files_end_in_reports(any_case, tmp_path):
    name, form = any_case
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz.py"), name, form, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=800,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["done"] >= 25 * found["files"]
    assert not found["faults"], "\n".join(found["faults"][:5])
