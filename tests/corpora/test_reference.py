"""Labels against lists retyped from the corpora's sources, not taken from the catalogue.

A list that was mistyped in the catalogue would agree with itself everywhere else.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from affectrum import catalog


def split(text: str) -> list[str]:
    return text.split()


SEED = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]
SIGNS = {1: "positive", 0: "neutral", -1: "negative"}
SEED_IV = [
    [1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3],
    [2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1],
    [1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0],
]
IV = split("neutral sad fear happy")
SEED_V = [
    [4, 1, 3, 2, 0] * 3,
    [2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0],
    [2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0],
]
V = split("disgust fear sad neutral happy")
SEED_VII = [
    split("happy neutral disgust sad anger anger sad disgust neutral happy") * 2,
    split("anger sad fear neutral surprise surprise neutral fear sad anger") * 2,
    split("happy surprise disgust fear anger anger fear disgust surprise happy") * 2,
    split("disgust sad fear surprise happy happy surprise fear sad disgust") * 2,
]
FRA = [1, -1, 0, -1, 1, 0, -1, 0, 1, -1, 0, 1, 1, 0, -1, -1, 0, 1, -1, 0, 1]
GER = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, 0, -1, -1, 0, 1, 1]
FACED = (
    ["anger"] * 3
    + ["disgust"] * 3
    + ["fear"] * 3
    + ["sadness"] * 3
    + ["neutral"] * 4
    + ["amusement"] * 3
    + ["inspiration"] * 3
    + ["joy"] * 3
    + ["tenderness"] * 3
)
FACED_VALENCE = [-1] * 12 + [0] * 4 + [1] * 12
FACED_FILMS = {
    17: "Modern Times",
    20: "Forrest Gump",
    22: "The Shawshank Redemption",
    25: "Harry Potter I",
    28: "Sex and the City II",
}
DREAMER = split(
    "calmness surprise amusement fear excitement disgust happiness anger sadness disgust calmness "
    "amusement happiness anger fear excitement sadness surprise"
)
DREAMER_FILMS = {4: "The Ring", 12: "Modern Times", 17: "The Shawshank Redemption"}
MAHNOB = {
    "69": "disgust",
    "58": "amusement",
    "earworm_f": "disgust",
    "53": "amusement",
    "80": "joy",
    "52": "amusement",
    "79": "joy",
    "73": "fear",
    "90": "joy",
    "107": "fear",
    "146": "sadness",
    "30": "fear",
    "138": "sadness",
    "newyork_f": "neutral",
    "111": "sadness",
    "detroit_f": "neutral",
    "cats_f": "joy",
    "dallas_f": "neutral",
    "funny_f": "joy",
}
AMIGOS = set(split("4 5 9 10 13 18 19 20 23 30 31 34 36 58 80 138 N1 P1 B1 U1"))
GAMES = split("boring calm horror funny")
MPED = [-1, 1, 0, 3, 2, 4, 5, 6, 0, 1, 2, 5, 6, 3, 4, -1, 0, 4, 5, 1, 1, 0, 6, 5, 3, 3, 2, 4, 2, 6]

# corpus: words of each set of clips, in the order of the rows
WORDS = {
    "SEED": [[SIGNS[code] for code in SEED]] * 3,
    "SEED-IV": [[IV[code] for code in session] for session in SEED_IV],
    "SEED-V": [[V[code] for code in session] for session in SEED_V],
    "SEED-VII": SEED_VII,
    "SEED-FRA": [[SIGNS[code] for code in FRA]] * 3,
    "SEED-GER": [[SIGNS[code] for code in GER]] * 3,
    "DREAMER": [DREAMER],
    "FACED": [FACED],
    "THU-EP": [FACED],
    "GAMEEMO": [GAMES],
}
SET_OF_SESSION = {"SEED-V": lambda trial: int(trial["session_name"].split()[-1])}
RATINGS = {
    "DEAP": (1, 9),
    "DREAMER": (1, 5),
    "MAHNOB-HCI": (1, 9),
    "AMIGOS": (1, 9),
    "ds002721": None,
}
# (subjects, sessions, trials per session, electrodes, rate), from the sources' overview
SIZES = {
    "SEED": (15, 3, (15,) * 3, 62, 200),
    "SEED-IV": (15, 3, (24,) * 3, 62, 200),
    "SEED-V": (16, 3, (15,) * 3, 62, 1000),
    "SEED-VII": (20, 4, (20,) * 4, 62, 200),
    "SEED-FRA": (8, 3, (21,) * 3, 62, 1000),
    "SEED-GER": (8, 3, (20,) * 3, 62, 1000),
    "DEAP": (32, 1, (40,), 32, 128),
    "DREAMER": (23, 1, (18,), 14, 128),
    "FACED": (123, 1, (28,), 30, 250),
    "MAHNOB-HCI": (30, 1, (20,), 32, None),
    "AMIGOS": (40, 2, (16, 4), 14, 128),
    "THU-EP": (80, 1, (28,), 0, 250),
    "EAV": (42, 1, (200,), 0, 500),
    "GAMEEMO": (28, 1, (4,), 14, 128),
}
BASELINES = {"DEAP": 3, "DREAMER": 61, "AMIGOS": 5, "MAHNOB-HCI": 30}


def test_the_retyped_lists_are_complete():
    assert sorted(SEED) == [-1] * 5 + [0] * 5 + [1] * 5
    assert all(Counter(session) == dict.fromkeys(range(4), 6) for session in SEED_IV)
    assert all(Counter(session) == dict.fromkeys(range(5), 3) for session in SEED_V)
    counts = Counter(word for session in SEED_VII for word in session)
    assert counts == {**dict.fromkeys(split("happy sad anger disgust fear surprise"), 12)} | {
        "neutral": 8
    }
    assert (len(FRA), len(GER), len(FACED), len(DREAMER)) == (21, 20, 28, 18)
    assert (len(MPED), sum(code >= 0 for code in MPED)) == (30, 28)


@pytest.mark.parametrize("name", [name for name in SIZES if name in catalog.names()])
def test_sizes_of_the_catalogue(name):
    facts, (n_subjects, n_sessions, trials, n_electrodes, sfreq) = catalog.get(name), SIZES[name]
    assert (facts.n_subjects, facts.n_sessions, facts.trials_per_session) == (
        n_subjects,
        n_sessions,
        trials,
    )
    assert len(facts.electrodes) == n_electrodes
    assert sfreq is None or facts.sfreq == sfreq
    assert facts.baseline_s == BASELINES.get(name, 0)


def test_every_trial_has_its_word(any_case, written, layouts):
    name, form = any_case
    if name not in WORDS:
        return  # no list by rows
    trials = layouts.open_as(name, form, written(name, form)).trials
    number = SET_OF_SESSION.get(name, lambda trial: trial["session"])
    for _, trial in trials.iterrows():
        # the corpus's own number of a clip stands last in its name, where rows are not clips
        row = int(trial["clip"].split("/")[1].split("-")[-1]) if name == "FACED" else trial["row"]
        assert trial["emotion"] == WORDS[name][number(trial) - 1][row - 1], trial["clip"]


@pytest.mark.parametrize(("name", "films"), [("FACED", FACED_FILMS), ("DREAMER", DREAMER_FILMS)])
def test_films_are_those_of_the_sources(name, films):
    clips = catalog.get(name).clips[0]
    assert {number: clips[number - 1].film for number in films} == films


def test_the_same_film_is_spelt_alike_in_every_corpus():
    films = {}
    for name in catalog.names():
        for session in catalog.get(name).clips:
            for clip in session:
                if clip.film is not None:
                    films.setdefault(clip.film.casefold(), set()).add((clip.film, clip.series))
    assert all(len(found) == 1 for found in films.values()), films
    assert {name for name in ("modern times", "the shawshank redemption") if name in films} == {
        "modern times",
        "the shawshank redemption",
    }


def test_words_of_a_corpus_are_on_its_side_of_the_plane(written, layouts):
    for name, codes in (("FACED", FACED_VALENCE), ("SEED", SEED)):
        form = next(iter(layouts.WRITERS[name]))
        trials = layouts.open_as(name, form, written(name, form), table="warriner").trials
        expected = np.array(codes)[trials["row"] - 1]
        signs = np.where(trials["valence"].abs() < 0.2, 0, np.sign(trials["valence"]))
        assert (signs == expected).all()


def test_mahnobs_clips_have_the_words_of_the_list():
    words = {c.clip.split("/")[1]: c.emotion for c in catalog.get("MAHNOB-HCI").clips[0]}
    assert {media: words[media] for media in MAHNOB} == MAHNOB
    assert set(words) - set(MAHNOB) == {"55"}  # two sources differ


def test_amigos_has_its_twenty_videos():
    clips = [clip.clip.split("/")[1] for session in catalog.get("AMIGOS").clips for clip in session]
    assert len(clips) == 20
    assert set(clips) == AMIGOS


def test_ratings_are_on_the_corpus_s_scale(any_case, written, layouts):
    name, form = any_case
    if RATINGS.get(name) is None:
        return
    lowest, highest = RATINGS[name]
    trials = layouts.open_as(name, form, written(name, form)).trials
    assert catalog.get(name).ratings["valence"] == (lowest, highest)
    for axis in ("valence", "arousal"):
        found = trials[f"rating_{axis}"]
        known = found.notna()
        assert known.any()
        assert found[known].between(lowest, highest).all()
        centred = (found - (lowest + highest) / 2) / ((highest - lowest) / 2)
        pd.testing.assert_series_equal(trials[axis], centred, check_names=False)
