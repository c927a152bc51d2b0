"""What the best epoch is chosen by: average precision on whole pictures, shared out over processes."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.faces import read_photo
from faceline_detect.average_precision import evaluate
from faceline_detect.measuring import by_height
from faceline_detect.retinaface import RetinaFace
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search
from faceline_detect.scenes import Part

_AT_A_TIME = 8


class Choosing:
    """The mean of easy, medium and hard average precision, by the height of faces, of a network as it is.

    Args:
        part: the pictures to choose with.
        search: how they are searched.
    """

    def __init__(self, part: Part, search: Search):
        self.part, self.search = part, search
        # what is found where there is no face counts as wrong only beside a box: one of no size, that does not count
        bare = np.zeros((1, 4))
        self.truths = [picture.boxes if len(picture.boxes) else bare for picture in part.pictures]
        levels = by_height(part.pictures).values()
        self.counted = [[marks if len(marks) else np.zeros(1, bool) for marks in level] for level in levels]

    def __call__(self, network: RetinaFace) -> float:
        found = self._found(network)
        return float(np.mean([evaluate(found, self.truths, level)[0] for level in self.counted]))

    def _found(self, network: RetinaFace) -> list[NDArray[np.float64]]:
        """(D, 5) a picture."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
        device = next(network.parameters()).device
        searcher = RetinaFaceSearch(network, self.search, str(device))
        paths = self.part.paths
        mine = list(range(rank, len(paths), world))
        found: dict[int, NDArray[np.float64]] = {}
        for start in range(0, len(mine), _AT_A_TIME):
            chosen = mine[start : start + _AT_A_TIME]
            for index, faces in zip(chosen, searcher.detect([read_photo(paths[i]) for i in chosen]), strict=True):
                found[index] = np.array([[*face.box, face.score] for face in faces], float).reshape(-1, 5)
        if distributed:
            gathered: list[Any] = [None] * world
            torch.distributed.all_gather_object(gathered, found)
            found = {index: rows for part in gathered for index, rows in part.items()}
        return [found[index] for index in range(len(paths))]
