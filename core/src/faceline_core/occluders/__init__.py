"""Things that hide a part of a face, drawn over it: by its landmarks, or, in `occluders.aligned`, by the template's.

`occluders.aligned` is imported by that name: who draws over photos needs nothing of alignment.
"""

from faceline_core.occluders.drawing import KINDS, occlude

__all__ = ["KINDS", "occlude"]
