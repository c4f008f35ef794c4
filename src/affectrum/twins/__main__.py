"""``python -m affectrum.twins``: describe the twins and measure how hard they are."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from affectrum.twins.settings import TwinSettings
from affectrum.twins.summary import summary


def main() -> None:
    """Print the summary of the twins of some seeds."""
    parser = argparse.ArgumentParser(
        prog="python -m affectrum.twins", description="Describe the twins."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--setting", choices=("default", "easy", "null", "stress"), default="default"
    )
    parser.add_argument("--controls", action="store_true", help="add leaks and null controls")
    chosen = parser.parse_args()
    presets: dict[str, Callable[[], TwinSettings]] = {
        "default": TwinSettings,
        "easy": TwinSettings.easy,
        "null": TwinSettings.null,
        "stress": TwinSettings.stress,
    }
    print(
        summary(presets[chosen.setting](), seeds=tuple(chosen.seeds), with_controls=chosen.controls)
    )


if __name__ == "__main__":
    main()
