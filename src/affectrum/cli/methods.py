"""``affectrum methods``."""

from __future__ import annotations

from affectrum.cli.console import make_console, print_json, print_table

__all__ = ["methods"]


def methods(name: str | None = None, /, *, json: bool = False) -> None:
    """List every method: what it needs to see, parameters, reference, published numbers.

    Parameters
    ----------
    name
        One method, to see its parameters and presets.
    json
        Print JSON.
    """
    import dataclasses

    from affectrum.methods import method_info, method_names

    if name is None:
        every = [method_info(known) for known in method_names()]
        if json:
            print_json([dataclasses.asdict(info) for info in every])
            return
        print_table(
            ["method", "what it is", "what it learns from", "presets"],
            [[info.name, info.description, info.sees, ", ".join(info.presets)] for info in every],
            caption="Parameters of one method: affectrum methods NAME",
        )
        return
    info = method_info(name)
    if json:
        print_json(dataclasses.asdict(info))
        return
    console = make_console()
    lines = [
        f"{info.name}: {info.title}",
        "",
        info.description,
        f"learns from   {info.sees}",
        f"reference     {info.reference or 'textbook'}",
        f"published     {'; '.join(info.published) or 'not available'}",
        f"presets       {', '.join(info.presets)}",
    ]
    if info.transfers:
        lines.append(f"transfers     {', '.join(info.transfers)}")
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    print_table(
        ["parameter", "default", "meaning"],
        [[p.name, p.default, p.description] for p in info.parameters],
    )
