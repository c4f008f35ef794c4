"""Methods for tests of engines; importing this registers them and those of `benchmark_helpers`."""

from __future__ import annotations

import os
import signal

import numpy as np
from benchmark_helpers import Centroid, SourceCentroid

from affectrum.methods import registry


class Broken(Centroid):
    """A method with a fault that nobody foresaw."""

    name = "test-broken"

    def fit(self, access, *, observer=None, pretrained=None, progress=None):
        self.check_access(access)
        return 1 / 0


class Deadly(Centroid):
    """A method that the system kills."""

    name = "test-deadly"

    def fit(self, access, *, observer=None, pretrained=None, progress=None):
        os.kill(os.getpid(), signal.SIGKILL)


class Where(Centroid):
    """A method that scores by the device it sees: class 0 on "7", class 1 on "fake"."""

    name = "test-where"

    def predict_proba(self, windows):
        device = ["7", "fake"].index(os.environ["CUDA_VISIBLE_DEVICES"])
        return np.tile(np.eye(3)[device], (len(windows), 1))


METHODS = {cls.name: cls for cls in (Centroid, SourceCentroid, Broken, Deadly, Where)}
registry._REGISTERED.update(METHODS)
