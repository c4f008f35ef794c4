"""Prepares the fake corpus in a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fake_corpus import FakeCorpus

from affectrum.errors import StoreError
from affectrum.recipes import Recipe
from affectrum.store import Store


def main() -> None:
    settings = json.loads(sys.argv[1])
    corpus = FakeCorpus(Path(settings["folder"]), delay_s=settings.get("delay_s", 0.0))
    if "file_limit" in settings:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (settings["file_limit"],) * 2)
    messages: list[str] = []
    print("started", flush=True)
    try:
        windows = Store(settings["store"]).prepare(
            corpus,
            Recipe(**settings["recipe"]),
            progress=lambda done, total, message: messages.append(message),
        )
    except StoreError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(3)
    waited = any("waiting" in message for message in messages)
    print(json.dumps({"n": len(windows), "opened": corpus.opened, "waited": waited}), flush=True)


if __name__ == "__main__":
    main()
