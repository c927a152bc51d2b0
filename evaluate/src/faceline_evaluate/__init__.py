"""A recogniser to metrics, plots and pictures."""

KEYS = ("seed", "evaluate")
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
