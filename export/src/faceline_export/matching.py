"""The matcher as code that TorchScript compiles: loops over as many maps as it is given."""

import torch
from torch import Tensor, nn

from faceline_core.models.batch_statistics import by_running
from faceline_core.models.qaconv import QAConv


class ExportedMatcher(nn.Module):
    """The scores of a QAConv in eval mode, of any number of faces against any number.

    Shapes: P probes, G galleries; K channels, L = h * w positions, q of a probe and r of a gallery. With a[q] and b[r]
    the best matches that QAConv speaks of, its two BatchNorms and its `fc` come down to

        score = scale * (sum over q of w[q] a[q] + sum over r of w[r] b[r]) + shift * (sum of these w) + constant

    Similarities are (G, r, q, P), probes innermost, so that maxima compare vectors; visibility is put on them rather
    than on the maps, which are ten times larger where there is one probe. A block of them at a time is in memory.

    Args:
        matcher: in eval mode; its parameters are copied.
    """

    weights: Tensor

    @torch.no_grad()
    def __init__(self, matcher: QAConv):
        super().__init__()
        (scale, shift), (of_score, constant) = by_running(matcher.bn), by_running(matcher.logit_bn)
        self.register_buffer("weights", matcher.fc.weight.flatten().clone())
        self.scale, self.shift = float(of_score * scale), float(of_score * shift)
        self.constant = float(of_score * 2 * matcher.fc.bias + constant)
        self.masked = matcher.visibility == "masked"
        self.channels, self.height, self.width = matcher.channels, matcher.height, matcher.width

    def forward(
        self, probe_maps: Tensor, gallery_maps: Tensor, probe_visibility: Tensor, gallery_visibility: Tensor
    ) -> Tensor:
        """Maps (P, K, h, w) and (G, K, h, w) of unit length over channels, and their visibility (P, 1, h, w) and
        (G, 1, h, w), to scores (P, G), float32."""
        self._check(probe_maps, probe_visibility)
        self._check(gallery_maps, gallery_visibility)
        if len(probe_maps) > len(gallery_maps):  # the same either way; reordering the fewer takes less time
            return self._scores(gallery_maps, probe_maps, gallery_visibility, probe_visibility)
        return self._scores(probe_maps, gallery_maps, probe_visibility, gallery_visibility).t().contiguous()

    def _check(self, maps: Tensor, visibility: Tensor) -> None:
        expected = [len(maps), self.channels, self.height, self.width]
        if list(maps.shape) != expected:
            raise ValueError(f"maps {expected} expected, found {list(maps.shape)}: give what embed returned")
        expected = [len(maps), 1, self.height, self.width]
        if list(visibility.shape) != expected:
            raise ValueError(f"visibility {expected} expected beside its maps, found {list(visibility.shape)}")

    def _scores(
        self, probe_maps: Tensor, gallery_maps: Tensor, probe_visibility: Tensor, gallery_visibility: Tensor
    ) -> Tensor:
        """As `forward`, but (G, P)."""
        of_probes, of_galleries = self._shown(probe_visibility), self._shown(gallery_visibility)
        probe_weights, gallery_weights = self._weights(probe_visibility), self._weights(gallery_visibility)
        sums = self._sums(
            probe_maps.flatten(2), gallery_maps.flatten(2), of_probes, of_galleries, probe_weights, gallery_weights
        )
        shares = gallery_weights.sum(1).unsqueeze(1) + probe_weights.sum(1)
        scores = self.scale * sums + self.shift * shares
        if self.masked:  # where a face shows nothing there is nothing to weigh
            matched = (of_galleries == 0).any(1).unsqueeze(1) & (of_probes == 0).any(1)
            scores = torch.where(matched, scores, torch.zeros_like(scores))
        return scores + self.constant

    def _sums(
        self,
        probes: Tensor,
        galleries: Tensor,
        of_probes: Tensor,
        of_galleries: Tensor,
        probe_weights: Tensor,
        gallery_weights: Tensor,
    ) -> Tensor:
        """The weighted sums (G, P) of best matches between maps (P, K, L) and (G, K, L), with what `_shown` and
        `_weights` say of them, all (P, L) and (G, L)."""
        similarities = 1 << (26 if probes.is_cuda else 22)  # at a time; on a CPU they stay in its cache
        positions = self.height * self.width
        width = max(1, min([32, len(probes), similarities // (positions * positions)]))
        height = max(1, similarities // (positions * positions * width))
        sums = torch.empty([len(galleries), len(probes)], dtype=torch.float32, device=probes.device)
        for p in range(0, len(probes), width):
            columns = probes[p : p + width].permute(1, 2, 0).flatten(1)  # (K, q and P)
            shown, weights = of_probes[p : p + width].t(), probe_weights[p : p + width].t()
            for g in range(0, len(galleries), height):
                rows = galleries[g : g + height].transpose(1, 2)  # (G, r, K)
                similarity = torch.bmm(rows, columns.expand(len(rows), -1, -1))
                similarity = similarity.view(len(rows), positions, positions, -1)
                others = of_galleries[g : g + height].unsqueeze(2).unsqueeze(3)
                if self.masked:
                    similarity.add_(others).add_(shown)
                else:
                    similarity.mul_(others).mul_(shown)
                a = similarity.amax(1).float() * weights
                b = similarity.amax(2).float() * gallery_weights[g : g + height].unsqueeze(2)
                sums[g : g + height, p : p + width] = a.sum(1) + b.sum(1)
        return sums

    def _shown(self, visibility: Tensor) -> Tensor:
        """Visibility (N, 1, h, w) to (N, L): factors of similarities, or with `masked` what is added to them, 0 where a
        position counts, else far more than the product of two unit vectors."""
        visibility = visibility.flatten(1)
        return ((visibility > 0.5).to(visibility.dtype) - 1) * 16384 if self.masked else visibility

    def _weights(self, visibility: Tensor) -> Tensor:
        """Visibility (N, 1, h, w) to what each position's best match weighs (N, L), float32."""
        if not self.masked:
            return self.weights.expand(len(visibility), -1)
        visible = (visibility.flatten(1) > 0.5).float()
        return self.weights * visible * (visible.shape[1] / visible.sum(1, keepdim=True).clamp_min(1))
