"""Draws the embedded data set: people and crowd scenes that nobody has to download."""

KEYS = ("seed", "sample")
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""

OCCLUDED = 0.2
"""The fraction of the photos that have an occluder, where nothing else is asked for."""

OCCLUDERS = ("medical_mask", "sunglasses", "scarf", "hand")
"""The occluders of photos where nothing else is asked for, and those of scenes: of faceline_core.occluders.KINDS."""
