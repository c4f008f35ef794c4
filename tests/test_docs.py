"""The documentation keeps up with the code: tables, links, and the tool that runs its commands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from affectrum import catalog
from affectrum.benchmark.plan import Plan
from affectrum.cli.app import _COMMANDS
from affectrum.corpora.bids_mapping import BidsMapping
from affectrum.methods import method_names
from affectrum.protocols import PROTOCOLS, SCALING_SCOPES, SELECTIONS, SPLITS, TARGET_USES
from affectrum.recipes import RECIPES, Recipe

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# [text](target), also of images; code is taken out first
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```\s*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    place = ROOT / "tools" / "run_documented_commands.py"
    spec = importlib.util.spec_from_file_location("run_documented_commands", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(document: str, title: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str) -> list[list[str]]:
    """Cells of the first table of a text, without its heading."""
    lines = text[text.index("\n|") :].strip().splitlines()
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def first_words(rows: list[list[str]]) -> list[str]:
    return [name for row in rows for name in re.findall(r"[\w./-]+", row[0])]


def anchors(text: str) -> set[str]:
    """What a heading is called in a link, by the rule that Markdown hosts follow."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", title.casefold())
        found.add(plain.replace(" ", "-"))
    return found


# ------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("document", ["README.md", "docs/corpora/README.md"])
def test_the_table_of_corpora_is_the_catalog(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    rows = table(text[text.index("<!-- generated: corpora -->") :])
    assert [row[0].strip("[").partition("]")[0] for row in rows] == list(catalog.names())
    for name, row in zip(catalog.names(), rows, strict=True):
        facts = catalog.get(name)
        assert row[1:6] == [
            str(facts.n_subjects),
            str(facts.n_sessions),
            "/".join(str(n) for n in dict.fromkeys(facts.trials_per_session)),
            str(len(facts.electrodes) or "asked"),
            f"{facts.sfreq:g}",
        ]
        for word in (*facts.label_codes.values(), *facts.ratings):
            assert word in row[6]


def test_generated_pages_are_up_to_date_and_keep_what_was_written_by_hand() -> None:
    place = ROOT / "tools" / "make_corpus_pages.py"
    spec = importlib.util.spec_from_file_location("make_corpus_pages", place)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    stale = [
        str(path.relative_to(ROOT))
        for path, text in maker.pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run: python tools/make_corpus_pages.py"
    facts = catalog.get("SEED")
    page = maker.corpus_page(facts, "")
    assert all(f"<!-- generated: {name} -->" in page for name in maker.SECTIONS)
    assert maker.corpus_page(facts, page) == page
    by_hand = page.replace("## Labels", "A remark of mine.\n\n## Labels")
    stale_block = by_hand.replace("negative", "nonsense")
    assert maker.corpus_page(facts, stale_block) == by_hand
    lacking = page[: page.index("## Traps")]
    assert "<!-- generated: traps -->" in maker.corpus_page(facts, lacking)


def test_the_table_of_schemes_is_complete() -> None:
    from affectrum.affect import SCHEMES

    rows = table(section("docs/corpora/README.md", "Classes that corpora share"))
    assert sorted(first_words(rows)) == sorted(SCHEMES)


def test_every_scheme_that_a_page_writes_out_is_known() -> None:
    from affectrum.affect import get_scheme

    written = re.compile(r"`((?:valence|arousal|dominance|quadrant)\w*\([^`]*\))`")
    found = [
        name
        for document in DOCUMENTS
        for name in written.findall(document.read_text(encoding="utf-8"))
    ]
    assert found
    for name in found:
        if "..." not in name and " (" not in name:
            get_scheme(name)


def test_the_table_of_methods_is_the_registry() -> None:
    assert [row[0] for row in table(section("README.md", "Methods"))] == list(method_names())


def test_the_tables_of_protocols_scopes_and_rules_are_complete() -> None:
    page = "docs/protocols.md"
    assert first_words(table(section(page, "Who sees what"))) == list(PROTOCOLS)
    assert first_words(table(section(page, "Scaling"))) == list(SCALING_SCOPES)
    named = [row[0] for row in table(section(page, "Selection of weights"))]
    assert [name.split("`")[1] for name in named] == list(SELECTIONS)
    uses = [row[0] for row in table(section(page, "Unlabelled target signals"))]
    assert [name.split("`")[1] for name in uses] == list(TARGET_USES)
    assert first_words(table(section(page, "Published splits"))) == list(SPLITS)


def test_the_table_of_recipes_is_complete() -> None:
    named = first_words(table(section("docs/recipes.md", "Named recipes")))
    assert sorted(named) == sorted(RECIPES)


def test_every_command_is_shown_somewhere() -> None:
    shown = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    commands = [name for entries in _COMMANDS.values() for name, _, _ in entries]
    assert [command for command in commands if f"affectrum {command}" not in shown] == []


def test_every_plan_and_recipe_shown_is_valid(tool: ModuleType) -> None:
    import yaml

    plans = recipes = 0
    for document in DOCUMENTS:
        for language, argument, body in tool.blocks(document.read_text(encoding="utf-8")):
            if language != "yaml":
                continue
            content = yaml.safe_load(body)
            if "tasks" in content:
                Plan.from_dict(content, f"{document.name}: {argument}")
                plans += 1
            elif "trials" in content:
                BidsMapping.model_validate(content)
            elif "base" in content:
                base = RECIPES[content.pop("base")]
                assert isinstance(base.replace(**content), Recipe)
                recipes += 1
    assert plans >= 3
    assert recipes >= 1


# -------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    dead = []
    text = document.read_text(encoding="utf-8")
    for target in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        known = not anchor or (
            place.suffix == ".md" and anchor in anchors(place.read_text(encoding="utf-8"))
        )
        if not (place.exists() and known):
            dead.append(target)
    assert not dead


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in LINK.findall(index)}
    pages = [path for path in (ROOT / "docs").rglob("*.md") if path.name != "README.md"]
    assert [path.name for path in pages if path.resolve() not in linked] == []


# --------------------------------------------------------------------------------------- tool

PAGE = """# Title

Words, `inline code` and ``` in a line.

```console
$ echo one > made.txt
one
$ test "$(cat plan.yaml)" = "a: 1"
```

```yaml plan.yaml
a: 1
```

```yaml
only: shown
```

```sh
exit 1
```

```python
import pathlib
print("$ not a command", pathlib.Path("made.txt").read_text())
```
"""


def test_blocks_are_told_apart(tool: ModuleType) -> None:
    found = tool.blocks(PAGE)
    assert [(language, argument) for language, argument, _ in found] == [
        ("console", ""),
        ("yaml", "plan.yaml"),
        ("yaml", ""),
        ("sh", ""),
        ("python", ""),
    ]
    assert found[1][2] == "a: 1\n"
    assert found[4][2].startswith("import pathlib\n")
    assert tool.blocks("no fence at all") == []


def test_a_page_runs_in_order_in_one_empty_folder(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    # the second command needs a file that is only written further down
    assert tool.run_document(page) == (2, 1)
    console, plan = PAGE.index("```console"), PAGE.index("```yaml plan.yaml")
    sorted_page = PAGE[:console] + "```yaml plan.yaml\na: 1\n```\n" + PAGE[console:plan]
    page.write_text(sorted_page + PAGE[plan:], encoding="utf-8")
    assert tool.run_document(page) == (3, 0)
    assert "FAILED" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_the_exit_code_tells_whether_all_went_well(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, silent = (tmp_path / name for name in ("good.md", "bad.md", "silent.md"))
    good.write_text("```console\n$ true\n```\n", encoding="utf-8")
    bad.write_text("```python\nraise SystemExit(3)\n```\n", encoding="utf-8")
    silent.write_text("```sh\nexit 1\n```\n", encoding="utf-8")
    assert tool.main([str(good)]) == 0
    assert tool.main([str(bad)]) == 1
    assert tool.main([str(tmp_path)]) == 1  # a folder: all of its pages
    assert tool.main([str(silent)]) == 1  # nothing ran, so nothing was shown to work
    assert "documented commands: 0 passed, 0 failed" in capsys.readouterr().out
