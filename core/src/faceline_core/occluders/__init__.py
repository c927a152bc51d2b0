"""Things that hide a part of a face: drawn over photos, and over aligned faces while training."""

from faceline_core.occluders.drawing import KINDS, occlude

__all__ = ["KINDS", "occlude"]
