"""Faces to a recogniser."""

KEYS = (
    "seed",
    "img_size",
    "model_name",
    "weights",
    "epochs",
    "batch_size",
    "lr",
    "freeze_ratio",
    "classes",
    "optimizer",
    "scheduler",
    "augment",
    "trainer",
)
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
