"""A recogniser to TorchScript, proven equal to its checkpoint."""

KEYS = ()
"""The parameters of params.yaml that this stage uses; dvc.yaml lists the same."""
