"""The eight corpora of EMOD's pre-training, simulated, from folders to one fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import affectrum as af
from affectrum.affect import emod_regions
from affectrum.protocols import make_folds
from affectrum.store import Store
from affectrum.twins import write_twin
from affectrum.windows.lazy import on_disk

# electrodes of each; EMOD's table 1 with its code's corrections
EIGHT = {
    "DEAP": 32, "SEED-IV": 62, "SEED-VII": 62, "AMIGOS": 14, "MPED": 62, "DREAMER": 14,
    "MAHNOB-HCI": 32, "MDME": 4,
}  # fmt: skip
NAMES = ("Fp1", "Fp2", "T3", "T4")


def write_mdme(folder: Path) -> Path:
    """A folder as a user may have it; 300 Hz, ratings in a table of each person."""
    rng = np.random.default_rng(0)
    place = folder / "S01"
    place.mkdir(parents=True)
    (folder / "SIMULATED.txt").write_text("simulated\n")
    for trial in (1, 2):
        x = rng.standard_normal((5 * 300, 4)) * 20
        time = np.arange(len(x)) / 300.0
        rows = np.column_stack([time, x])
        header = ",".join(["time", *(f"{name} (uV)" for name in NAMES)])
        np.savetxt(
            place / f"{trial}.csv", rows, delimiter=",", header=header, comments="", fmt="%.5f"
        )
    (place / "Arousal_Valence.csv").write_text("trial,arousal,valence\n1,2,8\n2,7,3\n")
    mapping = folder.parent / "mdme.yaml"
    table = {"file": "{subject}/Arousal_Valence.csv"}
    text = {"corpus": "MDME", "recordings": "{subject}/{trial}.csv", "table": table}
    mapping.write_text(yaml.safe_dump(text))
    return mapping


@pytest.mark.slow
def test_eight_corpora_and_a_target(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    parts = []
    for name in (*EIGHT, "SEED"):
        folder = tmp_path / name
        options: dict[str, object] | None = None
        if name == "MPED":  # which emotion a raw trial belongs to has to be told
            words = ["neutral", "joy", "funny", "anger", "fear", "disgust", "sad"]
            options = {"labels": [words[number % 7] for number in range(28)] + [None] * 6}
        if name == "MDME":
            options = {"mapping": str(write_mdme(folder))}
        else:
            subjects = 3 if name == "SEED" else 1
            write_twin(name, folder, subjects=subjects, sessions=1, trial_seconds=4.5, seed=0)
        corpus = af.open_corpus(name, folder, options=options)
        parts.append(store.prepare(corpus, "emod-small"))
        assert parts[-1].shape[1:] == (EIGHT.get(name, 62), 512)
        assert on_disk(parts[-1])
        assert parts[-1].simulated
    fold = make_folds(
        parts,
        "pretrain-finetune",
        target="SEED",
        split="subjects:1/1/1",
        source_labels="plane",
        selection="validation",
    )[0]
    assert fold.audit().passed
    assert fold.access.source is None
    granted = {part.windows.corpus: part for part in fold.access.source_parts}
    assert list(granted) == list(EIGHT)
    assert all(part.has_plane and part.y is None for part in granted.values())
    regions = {
        name: sorted(set(emod_regions(part.va)) - {-1}) for name, part in granted.items()
    }  # fmt: skip
    # where the table of emotion words has points (EMOD's reference: section 5c)
    assert regions["SEED-VII"] == [3, 4, 7, 8]
    assert set(regions["SEED-IV"]) <= {4, 7, 8}
    assert regions["MPED"] == [3, 4, 5, 7, 8]
    # 8 and 3 on 1..9 are levels 7 and 2, arousal 2 and 7 are levels 1 and 6: regions 2 and 6
    assert regions["MDME"] == [2, 6]
