"""EMOD: one backbone for every electrode set, rate and length, guided by valence and arousal."""
