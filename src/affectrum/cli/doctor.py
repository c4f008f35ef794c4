"""``affectrum doctor``."""

from __future__ import annotations

from affectrum.cli.console import format_bytes, make_console, print_json, print_table

__all__ = ["doctor"]

# distribution -> (needed, what it is for, extra)
_PARTS: dict[str, tuple[bool, str, str]] = {
    "numpy": (True, "arrays", ""),
    "scipy": (True, "filters, .mat files", ""),
    "pandas": (True, "trial tables", ""),
    "scikit-learn": (True, "linear baselines, metrics", ""),
    "torch": (True, "networks", ""),
    "mne": (True, "recordings", ""),
    "h5py": (True, ".mat files of version 7.3", ""),
    "pymatreader": (True, "EEGLAB files", ""),
    "pyxdf": (True, "XDF files", ""),
    "safetensors": (True, "model bundles", ""),
    "pydantic": (True, "configuration", ""),
    "matplotlib": (True, "figures", ""),
    "distributed": (False, "the engine dask", "dask"),
    "submitit": (False, "the engine slurm", "slurm"),
    "tensorboard": (False, "curves of a pre-training", "track"),
}


def doctor(*, json: bool = False) -> int:
    """Show versions, devices and optional parts, and what is missing.

    Exit code 1 when a part that is needed is missing.

    Parameters
    ----------
    json
        Print JSON.
    """
    import os
    import platform
    import shutil
    import sys
    from importlib.metadata import PackageNotFoundError, version

    from affectrum import __version__

    parts: list[dict[str, object]] = []
    for name, (needed, purpose, extra) in _PARTS.items():
        try:
            found: str | None = version(name)
        except PackageNotFoundError:
            found = None
        parts.append(
            {"part": name, "version": found, "needed": needed, "for": purpose, "extra": extra}
        )
    missing = [str(part["part"]) for part in parts if part["version"] is None]
    missing_needed = [str(p["part"]) for p in parts if p["version"] is None and p["needed"]]
    devices: list[str] = []
    if "torch" not in missing:
        import torch

        devices.append(f"cpu ({torch.get_num_threads()} threads)")
        devices += [
            f"cuda:{index} {torch.cuda.get_device_name(index)}"
            for index in range(torch.cuda.device_count())
        ]
    facts = {
        "affectrum": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "devices": devices,
        "free_disk_here": shutil.disk_usage(".").free,
        "parts": parts,
        "missing": missing,
    }
    if json:
        print_json(facts)
        return 1 if missing_needed else 0
    console = make_console()
    console.print(
        f"affectrum {__version__} on Python {facts['python']} ({sys.executable}), "
        f"{facts['system']}, {facts['cores']} cores",
        f"devices: {', '.join(devices) or 'none (torch is missing)'}",
        f"free disk here: {format_bytes(shutil.disk_usage('.').free)}",
        sep="\n",
        markup=False,
        soft_wrap=True,
    )
    print_table(
        ["part", "version", "for"],
        [
            [
                part["part"],
                part["version"] or ("MISSING" if part["needed"] else "not installed"),
                part["for"],
            ]
            for part in parts
        ],
    )
    if missing_needed:
        console.print(
            f"Missing: {', '.join(missing_needed)}. Install with: pip install affectrum",
            markup=False,
        )
        return 1
    console.print("Everything that is needed is here.")
    return 0
