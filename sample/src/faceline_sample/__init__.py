"""Draws the embedded data set: people and crowd scenes that nobody has to download."""

KEYS = ("seed", "sample")
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
