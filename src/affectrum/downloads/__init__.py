"""Fetch openly licensed corpora: resumable, each file checked, nothing half-written.

>>> from affectrum.downloads import download, plan_download
>>> plan = plan_download("DENS", "corpora/DENS", subjects=["mit003"])  # doctest: +SKIP
>>> download(plan)  # doctest: +SKIP
"""

from __future__ import annotations

from affectrum.downloads.bucket import BUCKET, RemoteFile, list_files
from affectrum.downloads.corpus import (
    DownloadPlan,
    DownloadReport,
    download,
    open_corpora,
    plan_download,
)

__all__ = [
    "BUCKET",
    "DownloadPlan",
    "DownloadReport",
    "RemoteFile",
    "download",
    "list_files",
    "open_corpora",
    "plan_download",
]
