"""``affectrum predict``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console, print_json

__all__ = ["predict"]


def predict(
    recording: Path,
    /,
    *,
    model: Path,
    out: Path | None = None,
    channels: str | None = None,
    sfreq: float | None = None,
    scaling: str = "auto",
    figure: bool = True,
    json: bool = False,
) -> None:
    """Valence, arousal and class over time for a recording: a CSV and a figure.

    Reads EDF, BDF, BrainVision, EEGLAB, FIF, CNT, XDF and headset CSV. What the model can't tell
    is missing, not zero.

    Parameters
    ----------
    recording
        The file.
    model
        A model bundle (affectrum finetune, or the demo's model).
    out
        Name of the outputs without ending; by default the recording's name in this folder.
    channels
        Electrode names in file order, separated by commas, for files that name none (or name
        amplifier inputs, as A1, A2 ...).
    sfreq
        Sampling rate in Hz, for CSV files without a time column.
    scaling
        auto (as the model was trained), model, recording, first-minute or none.
    figure
        Whether to draw the figure.
    json
        Print the summary as JSON.
    """
    from affectrum.inference import load_bundle
    from affectrum.recordings import open_recording

    bundle = load_bundle(model)
    notes: list[str] = []
    names = [name.strip() for name in channels.split(",")] if channels else None
    raw = open_recording(recording, channels=names, sfreq=sfreq, notes=notes)
    timeline = bundle.predict(raw, scaling=scaling, name=recording.name, notes=notes)
    base = out if out is not None else Path(f"{recording.stem}-affect")
    base.parent.mkdir(parents=True, exist_ok=True)
    csv = timeline.to_csv(base.with_name(base.name + ".csv"))
    files = [csv]
    if figure:
        png = base.with_name(base.name + ".png")
        timeline.plot(png)
        files.append(png)
    if json:
        print_json(
            {
                **timeline.summary(),
                "simulated_training_data": timeline.simulated,
                "coverage": timeline.coverage,
                "trust": timeline.trust,
                "warnings": timeline.warnings,
                "files": [str(file) for file in files],
            }
        )
        return
    console = make_console()
    console.print(str(timeline), markup=False, soft_wrap=True)
    console.print(timeline.trust, markup=False, soft_wrap=True)
    for warning in timeline.warnings:
        console.print(f"  - {warning}", markup=False, soft_wrap=True)
    console.print("wrote " + ", ".join(str(file) for file in files), markup=False, soft_wrap=True)
