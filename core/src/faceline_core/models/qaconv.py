"""QAConv: how alike two faces are, by the best matches between positions of their feature maps.

Liao and Shao, arXiv 1904.10424 and 2104.01546. Shapes: P probes, G galleries, N pairs; C channels, L = h * w positions,
q of a probe and r of a gallery.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from faceline_core.models.batch_statistics import by_batch, by_running
from faceline_core.models.best_matches import best_matches, weighted_matches

_OUT_OF_REACH = 2.0**14
"""Taken off the matches of occluded positions: far beyond those of unit vectors, and twice that is a float16."""


class _Faces(NamedTuple):
    """One side of a comparison: B groups of N faces."""

    maps: Tensor
    """(B, N, C, L), what is known of visibility already in it."""
    weights: Tensor
    """(B, N, L) of their best matches in the sum."""
    visible: Tensor
    """(B, N, L) 1.0 where a position counts, else 0.0."""


class QAConv(nn.Module):
    """Scores pairs of feature maps; each position looks for its best match anywhere in the other map.

    With S[r, q] the scalar product of the gallery's vector at r and the probe's at q, a[q] = max over r and
    b[r] = max over q, the score is logit_bn(fc(bn(a)) + fc(bn(b))): the same whichever of the two is the probe.

    Args:
        channels: C.
        height: h.
        width: w.
        visibility: what visibility maps do. "scaling" multiplies S with those of both sides, before the maxima. With
            "masked" what is not above 0.5 is nobody's best match, its own leaves the sum, and the rest of the sum is
            rescaled by L / visible positions; where a face shows nothing at all the pair has no matches to weigh, and
            gets the score of one whose every match is average, logit_bn(2 * fc.bias). "masked" has no gradient by
            visibility, "scaling" has.
        max_bytes: bounds the memory for similarities; on a CPU less is used. Besides it there are copies of the maps,
            and, where gradients or training ask for them, the (P, G, L) best matches of both sides.

    In training `bn` normalises with the statistics of the best matches of both sides together, and `logit_bn` with
    those of the scores. Comparisons of an image with itself stay out, as do occluded positions under "masked" and pairs
    without matches. Fewer than two values have no statistics: the running ones then stand in, and stay as they are.
    Where several processes train together each normalises with its own, and the running ones follow those of all.

    Sums and statistics are float32 (float64 where the maps are), the scalar products in the dtype of the maps, or of
    autocast.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        visibility: Literal["scaling", "masked"] = "scaling",
        max_bytes: int = 256 << 20,
    ):
        super().__init__()
        if visibility not in ("scaling", "masked"):
            raise ValueError(f"visibility must be scaling or masked, found {visibility!r}")
        self.channels, self.height, self.width = channels, height, width
        self.visibility, self.max_bytes = visibility, max_bytes
        self.fc = nn.Linear(height * width, 1)
        self.bn = nn.BatchNorm1d(1)
        self.logit_bn = nn.BatchNorm1d(1)
        nn.init.constant_(self.fc.weight, 1 / (height * width))
        nn.init.zeros_(self.fc.bias)

    def forward(
        self,
        probe_maps: Tensor,
        gallery_maps: Tensor,
        probe_visibility: Tensor | None = None,
        gallery_visibility: Tensor | None = None,
        *,
        left_out: Tensor | None = None,
    ) -> Tensor:
        """The score of each probe against each gallery.

        Args:
            probe_maps: (P, C, h, w), unit length over channels.
            gallery_maps: (G, C, h, w), likewise.
            probe_visibility: (P, 1, h, w) in [0, 1], 1 is visible; None where all is.
            gallery_visibility: (G, 1, h, w), likewise.
            left_out: (P, G) bool, True for pairs that stay out of the statistics in training, as an image with itself.
                None leaves the diagonal out where `gallery_maps` is the very tensor `probe_maps`, else nothing.

        Returns:
            (P, G), float32, or float64 where the maps are.

        Raises:
            ValueError: where maps are of another shape than the matcher's, or visibility of another than theirs.
        """
        if left_out is None and gallery_maps is probe_maps:
            left_out = torch.eye(len(probe_maps), dtype=torch.bool, device=probe_maps.device)
        self._check(probe_maps, gallery_maps, probe_visibility, gallery_visibility)
        maps = [maps.flatten(2).unsqueeze(0) for maps in (probe_maps, gallery_maps)]
        shown = [None if v is None else v.flatten(1).unsqueeze(0) for v in (probe_visibility, gallery_visibility)]
        return self._scores(maps, shown, None if left_out is None else left_out.unsqueeze(0)).squeeze(0)

    def pairs(
        self,
        maps_a: Tensor,
        maps_b: Tensor,
        visibility_a: Tensor | None = None,
        visibility_b: Tensor | None = None,
    ) -> Tensor:
        """The score of each face against the one at the same place: in eval the diagonal of what `forward` gives.

        Args:
            maps_a: (N, C, h, w), unit length over channels.
            maps_b: (N, C, h, w), likewise.
            visibility_a: (N, 1, h, w) in [0, 1], 1 is visible; None where all is.
            visibility_b: (N, 1, h, w), likewise.

        Returns:
            (N,), float32, or float64 where the maps are. In training the statistics are those of these N pairs.

        Raises:
            ValueError: as `forward`, and where there are more of one than of the other.
        """
        self._check(maps_a, maps_b, visibility_a, visibility_b)
        if len(maps_a) != len(maps_b):
            raise ValueError(f"as many maps on both sides expected, found {len(maps_a)} and {len(maps_b)}")
        maps = [maps.flatten(2).unsqueeze(1) for maps in (maps_a, maps_b)]
        shown = [None if v is None else v.flatten(1).unsqueeze(1) for v in (visibility_a, visibility_b)]
        return self._scores(maps, shown, None).flatten()

    def _check(self, probes: Tensor, galleries: Tensor, *visibility: Tensor | None) -> None:
        own = (self.channels, self.height, self.width)
        if probes.shape[1:] != own or galleries.shape[1:] != own:
            raise ValueError(
                f"the matcher compares maps (N, {self.channels}, {self.height}, {self.width}), found probe maps "
                f"{tuple(probes.shape)} and gallery maps {tuple(galleries.shape)}"
            )
        for maps, shown in zip((probes, galleries), visibility, strict=True):
            expected = (len(maps), 1, self.height, self.width)
            if shown is not None and shown.shape != expected:
                raise ValueError(f"visibility {expected} expected beside its maps, found {tuple(shown.shape)}")

    def _scores(self, maps: list[Tensor], visibility: list[Tensor | None], left_out: Tensor | None) -> Tensor:
        """Maps of probes (B, P, C, L) and galleries (B, G, C, L), visibility (B, N, L), left_out (B, P, G) to scores
        (B, P, G)."""
        count, others = maps[0].shape[1], maps[1].shape[1]
        if 1 < count < others or others == 1 < count:  # as `best_matches` is fast: many probes, or a single one
            return self._scores(maps[::-1], visibility[::-1], None if left_out is None else left_out.mT).mT
        device = maps[0].device.type
        dtype = torch.promote_types(maps[0].dtype, maps[1].dtype)
        if dtype != torch.float64 and torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        if self.visibility == "masked" and any(shown is not None for shown in visibility):
            visibility = [
                m.new_ones(m.shape[0], m.shape[1], m.shape[3]) if shown is None else shown
                for m, shown in zip(maps, visibility, strict=True)
            ]
        with torch.autocast(device, enabled=False):
            probes = self._faces(maps[0], visibility[0], dtype, 1)
            galleries = self._faces(maps[1], visibility[1], dtype, -1)
            return self._compared(probes, galleries, left_out).mT

    def _faces(self, maps: Tensor, visibility: Tensor | None, dtype: torch.dtype, order: int) -> _Faces:
        """One side, with its visibility in it; the `order`, 1 or -1, of two more channels tells the sides apart."""
        weights = self.fc.weight.to(torch.promote_types(dtype, torch.float32)).expand(*maps.shape[:2], -1)
        visible = torch.ones_like(weights, requires_grad=False)
        if visibility is not None and self.visibility == "scaling":
            maps = maps * visibility.unsqueeze(2)
        elif visibility is not None:
            visible = (visibility > 0.5).to(weights.dtype)
            weights = weights * visible * (visible.shape[2] / visible.sum(2, keepdim=True).clamp_min(1))
            # an occluded position's product with anything is 0, and with the other side's ones out of reach
            told = torch.stack([(visible - 1) * _OUT_OF_REACH, torch.ones_like(visible)][::order], dim=2)
            maps = torch.cat([maps.masked_fill(visible.unsqueeze(2) == 0, 0), told.to(maps.dtype)], dim=2)
        return _Faces(maps.to(dtype), weights, visible)

    def _compared(self, probes: _Faces, galleries: _Faces, left_out: Tensor | None) -> Tensor:
        """Scores (B, G, P). With bn as `scale * x + shift`, fc's sum comes first, and blocks need not be kept."""
        matched = galleries.visible.any(2).unsqueeze(2) & probes.visible.any(2).unsqueeze(1)
        counted = matched if left_out is None else matched & ~left_out.mT
        shares = galleries.weights.sum(2).unsqueeze(2) + probes.weights.sum(2).unsqueeze(1)
        if self.bn.training or (torch.is_grad_enabled() and self._learns(probes, galleries)):
            a, b = best_matches(probes.maps, galleries.maps, self.max_bytes)
            sums = (a * probes.weights.mT.unsqueeze(1)).sum(2) + (b * galleries.weights.unsqueeze(3)).sum(2)
        else:
            sums = weighted_matches(probes.maps, galleries.maps, probes.weights, galleries.weights, self.max_bytes)
        if self.bn.training:
            visible = probes.visible.mT.unsqueeze(1).expand_as(a), galleries.visible.unsqueeze(3).expand_as(b)
            scale, shift = by_batch(self.bn, torch.cat([a, b], 2), torch.cat(visible, 2) * counted.unsqueeze(2))
        else:
            scale, shift = by_running(self.bn)
        scores = torch.where(matched, scale * sums + shift * shares, 0) + 2 * self.fc.bias
        if self.logit_bn.training:
            scale, shift = by_batch(self.logit_bn, scores, counted.to(scores.dtype))
        else:
            scale, shift = by_running(self.logit_bn)
        return scale * scores + shift

    def _learns(self, probes: _Faces, galleries: _Faces) -> bool:
        return any(part.requires_grad for part in (probes.maps, galleries.maps, *self.parameters()))
