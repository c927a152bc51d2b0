"""Scenes with labelled faces to detectors; the detectors that other stages call."""

KEYS = ("seed", "trainer", "detect")
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
