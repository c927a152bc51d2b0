"""The recogniser as applications call it."""

import torch
from torch import Tensor, nn

from faceline_core.models.recogniser import Recogniser
from faceline_core.verification.combining import ScoreStatistics
from faceline_export.matching import ExportedMatcher


class ExportedRecogniser(nn.Module):
    """Faces as image libraries hold them, straight to answers.

    `forward(images)`: aligned faces (N, H, W, 3), uint8 or float, RGB in [0, 255], to probabilities (N, C), unit
    embeddings (N, D) and the norms (N, 1) that the embeddings had. Normalisation is inside.
    """

    def __init__(self, recogniser: Recogniser):
        super().__init__()
        self.recogniser = recogniser

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.recogniser.recognise(images.permute(0, 3, 1, 2))


class Answers(nn.Module):
    """All that a recogniser with a matcher or an occlusion head makes of faces, to be traced once.

    `forward(images)`: faces as for ExportedRecogniser to probabilities (N, C), unit embeddings (N, D), norms (N, 1),
    feature maps (N, K, h, w) of unit length over channels, and visibility (N, 1, h, w) in [0, 1], 1 where there is no
    occlusion head.
    """

    visible: Tensor

    def __init__(self, recogniser: Recogniser):
        super().__init__()
        assert recogniser.tap is not None
        self.recogniser = recogniser
        side = recogniser.tap.side
        self.register_buffer("visible", torch.ones(1, 1, side, side))  # ones made while tracing would stay on the CPU

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        unit, norm, maps, visibility = self.recogniser.see(images.permute(0, 3, 1, 2))
        if visibility is None:
            visibility = self.visible.repeat(images.shape[0], 1, 1, 1)
        return self.recogniser.probabilities(unit, norm), unit, norm, maps.contiguous(), visibility.contiguous()


class WithMaps(nn.Module):
    """What an exported recogniser with an occlusion head answers; `answers` are `Answers`, compiled.

    A method pays for what it returns: the compiler leaves out the rest.
    """

    def __init__(self, answers: nn.Module):
        super().__init__()
        self.answers = answers

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        probabilities, unit, norm, _maps, _visibility = self.answers(images)
        return probabilities, unit, norm

    @torch.jit.export
    def embed(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        _probabilities, unit, norm, maps, visibility = self.answers(images)
        return unit, norm, maps, visibility


class WithMatcher(WithMaps):
    """One that scores pairs of what `embed` returned as well."""

    def __init__(self, answers: nn.Module, matcher: ExportedMatcher):
        super().__init__(answers)
        self.matcher = matcher

    @torch.jit.export
    def match(
        self, probe_maps: Tensor, gallery_maps: Tensor, probe_visibility: Tensor, gallery_visibility: Tensor
    ) -> Tensor:
        scores: Tensor = self.matcher(probe_maps, gallery_maps, probe_visibility, gallery_visibility)
        return scores


class WithCombination(WithMatcher):
    """One that knows how its two scores are made one as well."""

    def __init__(self, answers: nn.Module, matcher: ExportedMatcher, statistics: ScoreStatistics):
        super().__init__(answers, matcher)
        self.embedding_mean, self.embedding_std = statistics.embedding_mean, statistics.embedding_std
        self.local_mean, self.local_std = statistics.local_mean, statistics.local_std
        self.embedding_weight, self.local_weight = statistics.embedding_weight, statistics.local_weight

    @torch.jit.export
    def combine(self, embedding_scores: Tensor, local_scores: Tensor) -> Tensor:
        combined = self.embedding_weight * (embedding_scores - self.embedding_mean) / self.embedding_std
        return combined + self.local_weight * (local_scores - self.local_mean) / self.local_std
