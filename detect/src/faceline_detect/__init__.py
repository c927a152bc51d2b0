"""Scenes with labelled faces to detectors; the detectors that other stages call."""

TRAINER = (
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "precision",
    "sync_batchnorm",
    "deterministic",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "limit_train_batches",
    "limit_val_batches",
    "val_check_interval",
    "fast_dev_run",
    "checkpoint_minutes",
)
"""What of `trainer` has a say here; the rest is the recogniser's."""

KEYS = ("seed", "detect", *(f"trainer.{name}" for name in TRAINER))
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
