"""Pictures from the bytes of their files."""

import cv2
import numpy as np
from numpy.typing import NDArray


def decoded(content: bytes | NDArray[np.uint8], how: int) -> NDArray[np.uint8] | None:
    """The picture (height, width) or (height, width, 3), in [0, 255]; None where the bytes are none.

    Args:
        content: of a JPEG, PNG, WebP or BMP.
        how: a flag of `cv2.imread`, as IMREAD_COLOR_RGB.
    """
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), how) if len(content) else None  # type: ignore[return-value]
    except cv2.error:  # more pixels than OpenCV opens
        return None
