"""Photos to aligned, checked, split faces."""

KEYS = ("seed", "data", "detector", "img_size", "preprocess")
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
