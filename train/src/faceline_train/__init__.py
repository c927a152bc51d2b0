"""Faces to a recogniser."""

KEYS = (
    "seed",
    "img_size",
    "model_name",
    "weights",
    "weights_strict",
    "head",
    "epochs",
    "batch_size",
    "lr",
    "freeze_ratio",
    "classes",
    "ckpt_path",
    "only_weights_load",
    "run_name",
    "dataset",
    "optimizer",
    "scheduler",
    "loss",
    "augment",
    "trainer",
    "early_stopping",
    "checkpoint",
    "logging",
)
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
