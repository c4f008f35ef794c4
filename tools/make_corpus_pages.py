"""Write what the catalogue knows into the documentation, so that it can't drift.

Each corpus has a page in docs/corpora. What stands there between

    <!-- generated: NAME -->
    <!-- end -->

comes from the catalogue and the readers and is replaced; everything outside is written by hand and
stays. A new corpus gets a page with all blocks. The tables in README.md, docs/README.md and
docs/corpora/README.md are blocks of the same kind.

Usage: python tools/make_corpus_pages.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from affectrum import affect, catalog
from affectrum.catalog import CorpusFacts
from affectrum.corpora import names as readable
from affectrum.corpora import reader
from affectrum.corpora.options import describe_options
from affectrum.corpora.registry import module_name
from affectrum.report.labels import write_labels

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- generated: (?P<name>[\w-]+) -->\n(?P<body>.*?)<!-- end -->\n", re.DOTALL)
TABLES = ("emod", "faced-measured", "warriner")


def table(heads: list[str], rows: list[list[object]]) -> str:
    """Return a Markdown table; bars inside cells are escaped."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = ["–" if cell in (None, "") else str(cell).replace("|", "\\|") for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def trials(facts: CorpusFacts) -> str:
    """Return trials per session, each number once: "15", or "16/4"."""
    return "/".join(str(n) for n in dict.fromkeys(facts.trials_per_session))


def labels(facts: CorpusFacts) -> str:
    """Return words and ratings in one line."""
    parts = [", ".join(facts.emotions)] if facts.emotions else []
    scales: dict[tuple[float, float], list[str]] = {}
    for name, scale in facts.ratings.items():
        scales.setdefault(scale, []).append(name)
    parts += [
        f"ratings {low:g}–{high:g} of {', '.join(found)}" for (low, high), found in scales.items()
    ]
    return "; ".join(parts)


def forms(name: str) -> tuple[str, ...]:
    """Return the forms that can be read; none where there is no reader yet."""
    return reader(name).forms if name in readable() else ()


def facts_block(facts: CorpusFacts) -> str:
    """The facts in a table, and a sentence."""
    most = "at most " if facts.trials_vary else ""
    band = facts.passband_hz and f"{facts.passband_hz[0]:g}–{facts.passband_hz[1]:g} Hz"
    n_electrodes = len(facts.electrodes)
    rows: list[list[object]] = [
        ["title", facts.title],
        ["laboratory", facts.lab],
        ["subjects", f"{most}{facts.n_subjects}"],
        ["sessions", ", ".join(facts.session_names) or facts.n_sessions],
        ["trials per session", f"{most}{trials(facts)}"],
        ["electrodes", n_electrodes or "no source says them; the reader asks"],
        ["rate", f"{facts.sfreq:g} Hz"],
        ["rate of raw recordings", f"{facts.raw_sfreq:g} Hz"],
        ["filtered", band or "not stated"],
        ["unit in the files", facts.unit or "no source says it"],
        ["reference", facts.reference or "not stated"],
        ["baseline in front of a trial", f"{facts.baseline_s:g} s" if facts.baseline_s else "none"],
        ["order of the files' rows", facts.row_order],
    ]
    text = facts.summary + "\n\n" + table(["what", "value"], rows)
    if n_electrodes:
        text += "\nElectrodes in file order: " + " ".join(facts.electrodes_in_file) + ".\n"
    return text


def layout_block(facts: CorpusFacts) -> str:
    """The folder that is expected and the forms that are read."""
    text = "```text\n" + facts.expected_folder.rstrip() + "\n```\n"
    found = forms(facts.name)
    if found:
        signal = set(reader(facts.name).signal_forms)
        text += "\nForms, the preferred one first: " + ", ".join(
            f"`{form}`" + ("" if form in signal else " (features only)") for form in found
        )
        text += ".\n"
    return text


def options_block(facts: CorpusFacts) -> str:
    """What the reader can be told."""
    told = describe_options(reader(facts.name).Options) if facts.name in readable() else {}
    if not told:
        return "The reader has nothing to ask.\n"
    rows: list[list[object]] = [[f"`{name}`", text] for name, text in told.items()]
    return (
        table(["option", "meaning"], rows)
        + "\nFrom Python `open_corpus(..., options={...})`, on the command line `--options "
        "FILE.yaml`, in plans and paths files as `options` of the corpus's entry.\n"
    )


def labels_block(facts: CorpusFacts) -> str:
    """Words with their places, ratings, class schemes."""
    text = ""
    if facts.emotions:
        codes = {word: code for code, word in facts.label_codes.items()}
        rows: list[list[object]] = []
        for word in facts.emotions:
            places = [affect.TABLES[name].entries.get(word) for name in TABLES]
            rows.append(
                [
                    word,
                    codes[word],
                    *(place and f"{place.valence:.2f}, {place.arousal:.2f}" for place in places),
                ]
            )
        heads = ["word", "code", *(f"valence, arousal (`{name}`)" for name in TABLES)]
        text += table(heads, rows) + "\n"
    if facts.ratings:
        rows = [[name, f"{low:g}–{high:g}"] for name, (low, high) in facts.ratings.items()]
        text += table(["self-report", "scale"], rows) + "\n"
    if facts.felt_codes:
        felt = ", ".join(f"{code} {word}" for code, word in sorted(facts.felt_codes.items()))
        text += f"The person also chose an emotion (`felt_emotion`): {felt}.\n\n"
    made = "the ratings" if facts.is_rated else "the emotion word, by a table that you name"
    text += f"Trials lie on the valence–arousal plane by {made}.\n"
    schemes = [
        f"`{name}` ({affect.get_scheme(name).source(facts.name)})"
        for name in affect.schemes_of(facts.name)
    ]
    text += "\nClass schemes that the labels fill: " + (", ".join(schemes) or "none") + ".\n"
    return text


def clips_block(facts: CorpusFacts) -> str:
    """How well the identity of clips is known, and films shared with other corpora."""
    text = f"{facts.clip_evidence[:1].upper()}{facts.clip_evidence[1:]}."
    shared = [film for film in catalog.shared_films() if facts.name in film.corpora]
    if not shared:
        return text + "\n"
    return text + "\n\n" + films_table(shared)


def films_table(shared: list[catalog.SharedFilm]) -> str:
    """Return a table of films that several corpora show."""
    return table(
        ["film", "corpora", "clips"],
        [[film.title, ", ".join(film.corpora), ", ".join(film.clips)] for film in shared],
    )


def access_block(facts: CorpusFacts) -> str:
    """Licence, access, citation."""
    doi = f" doi:[{facts.doi}](https://doi.org/{facts.doi})" if facts.doi else ""
    text = (
        f"* licence: {facts.licence}\n* access: {facts.access}\n* page: <{facts.url}>\n"
        f"* cite: {facts.citation}{doi}\n"
    )
    if facts.openneuro:
        text += (
            f"\nOpen: `affectrum download {facts.name} FOLDER` fetches it (OpenNeuro "
            f"{facts.openneuro}).\n"
        )
    return text


def traps_block(facts: CorpusFacts) -> str:
    """Everything that one has to know before using it."""
    return "".join(f"* {note}\n" for note in facts.notes) or "None known.\n"


SECTIONS = {
    "facts": ("", facts_block),
    "layout": ("Folder", layout_block),
    "options": ("Options of the reader", options_block),
    "labels": ("Labels", labels_block),
    "clips": ("Clips and films", clips_block),
    "traps": ("Traps", traps_block),
    "access": ("Access and citation", access_block),
}


def marked(name: str, body: str) -> str:
    """Return a block with its markers."""
    return f"<!-- generated: {name} -->\n{body.rstrip()}\n<!-- end -->\n"


def fill(text: str, blocks: dict[str, str]) -> str:
    """Replace the blocks of a text; one that the text does not have is left out."""

    def body(match: re.Match[str]) -> str:
        name = match["name"]
        return marked(name, blocks[name]) if name in blocks else match[0]

    return BLOCK.sub(body, text)


def corpus_page(facts: CorpusFacts, present: str) -> str:
    """Return a corpus's page: a new one, or the present one with its blocks renewed."""
    blocks = {name: make(facts) for name, (_, make) in SECTIONS.items()}
    if not present.strip():
        parts = [f"# {facts.name}\n"]
        for name, (title, _) in SECTIONS.items():
            parts += [f"## {title}\n"] if title else []
            parts.append(marked(name, blocks[name]))
        return "\n".join(parts)
    present = fill(present, blocks)
    there = {match["name"] for match in BLOCK.finditer(present)}
    for name, (title, _) in SECTIONS.items():
        if name not in there:
            present += (f"\n## {title}\n" if title else "") + "\n" + marked(name, blocks[name])
    return present


def overview(link: str) -> str:
    """Return the table of all corpora; `link` is the folder of their pages, as seen from there."""
    rows: list[list[object]] = []
    for name in catalog.names():
        facts = catalog.get(name)
        rows.append(
            [
                f"[{name}]({link}{module_name(name)}.md)",
                facts.n_subjects,
                facts.n_sessions,
                trials(facts),
                len(facts.electrodes) or "asked",
                f"{facts.sfreq:g}",
                labels(facts),
                ", ".join(f"`{form}`" for form in forms(name)),
            ]
        )
    heads = ["corpus", "subjects", "sessions", "trials per session", "electrodes", "Hz"]
    return table([*heads, "labels", "forms"], rows)


def access_table() -> str:
    """Return who gives out which corpus."""
    rows: list[list[object]] = [
        [
            name,
            f"`affectrum download {name} FOLDER`"
            if catalog.get(name).openneuro
            else catalog.get(name).access,
            catalog.get(name).licence,
        ]
        for name in catalog.names()
    ]
    return table(["corpus", "access", "licence"], rows)


def links() -> str:
    """Return links to all pages, for the index of the documentation."""
    found = [f"[{name}](corpora/{module_name(name)}.md)" for name in catalog.names()]
    return ",\n".join(found) + "\n"


def pages() -> dict[Path, str]:
    """Return every file that has blocks, with its blocks renewed."""
    found: dict[Path, str] = {}

    def text_of(place: Path) -> str:
        return place.read_text(encoding="utf-8") if place.is_file() else ""

    for name in catalog.names():
        place = ROOT / "docs" / "corpora" / f"{module_name(name)}.md"
        found[place] = corpus_page(catalog.get(name), text_of(place))
    shared = {level: list(catalog.shared_films(level)) for level in ("film", "series")}
    titles = {film.title for film in shared["film"]}
    only = [film for film in shared["series"] if film.title not in titles]
    for document, blocks in {
        "README.md": {"corpora": overview("docs/corpora/")},
        "docs/README.md": {"corpora": links()},
        "docs/corpora/README.md": {
            "corpora": overview(""),
            "access": access_table(),
            "films": films_table(shared["film"]) if shared["film"] else "None.\n",
            "series": films_table(only).replace("| film |", "| series |", 1)
            if only
            else "None beyond those films.\n",
        },
    }.items():
        place = ROOT / document
        found[place] = fill(text_of(place), blocks)
    return found


def main(arguments: list[str]) -> int:
    """Write the files, or say with ``--check`` which are not up to date; return the exit code."""
    stale = [
        place
        for place, text in pages().items()
        if not place.is_file() or place.read_text(encoding="utf-8") != text
    ]
    renewed = pages()
    for place in stale:
        print(f"{'not up to date' if '--check' in arguments else 'wrote'}: {place}")
        if "--check" not in arguments:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(renewed[place], encoding="utf-8")
    if "--check" not in arguments:
        write_labels(affect.label_space(), "emod", ROOT / "docs" / "images" / "labels.png")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
