"""``python -m affectrum`` is the ``affectrum`` command."""

from affectrum.cli.app import run

run()
