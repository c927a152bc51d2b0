"""A recogniser to metrics, plots and pictures; photos to names."""

KEYS = ("seed", "evaluate")
"""The parameters of params.yaml that the stage uses; dvc.yaml lists the same."""

PREDICT_KEYS = ("detector", "preprocess")
"""Those that predictions on photos use: what decides how a face is found, and whether it will do."""
