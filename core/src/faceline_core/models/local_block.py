"""The matcher's scores of ranges of faces, for all pairs of a set."""

import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.models.qaconv import QAConv
from faceline_core.models.recogniser import Seen
from faceline_core.verification.pairs import Block

_COLUMNS = 512
"""Faces of the second range whose maps are float32 at once: 50 MB of 512 x 7 x 7."""


def local_block(matcher: QAConv, seen: Seen) -> Block:
    """Scores faces with faces, for `pairs_by`.

    Args:
        matcher: in eval mode.
        seen: the faces; maps in float16 do, and are made float32 as they are needed.
    """

    @torch.inference_mode()
    def block(rows: slice, columns: slice) -> NDArray[np.floating]:
        maps, visibility = seen.maps[rows].float(), None if seen.visibility is None else seen.visibility[rows]
        parts = []
        for start in range(columns.start, columns.stop, _COLUMNS):
            part = slice(start, min(start + _COLUMNS, columns.stop))
            other = None if seen.visibility is None else seen.visibility[part]
            parts.append(matcher(maps, seen.maps[part].float(), visibility, other).cpu().numpy())
        return np.concatenate(parts, axis=1)

    return block
