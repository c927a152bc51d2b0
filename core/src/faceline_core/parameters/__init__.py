"""params.yaml: its schema, and how a stage reads its part of it."""

from faceline_core.parameters.reading import StageParameters, read_parameters

__all__ = ["StageParameters", "read_parameters"]
