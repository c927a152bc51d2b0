"""The parts of the loss besides naming people: matching feature maps, and seeing what is hidden."""

import torch
from torch import Tensor, nn
from torchmetrics import SumMetric

from faceline_core.models.feature_maps import unit_over_channels
from faceline_core.models.recogniser import Parts, Recogniser
from faceline_core.parameters import StageParameters
from faceline_train.losses.class_memory import ClassMemory
from faceline_train.losses.occlusion import occlusion_loss
from faceline_train.losses.pairwise import pairwise_matching_loss
from faceline_train.losses.triplet import hardest_triplet_loss

NAMES = ("identity", "local", "occlusion")


def parts_of(parameters: StageParameters) -> Parts:
    """The parts of a recogniser that the weights of the losses ask for."""
    weights, local = parameters.loss_weights, parameters.local
    return Parts(weights.local > 0, weights.occlusion > 0, parameters.feature_map, local.visibility, local.max_bytes)


def trained_parts(parameters: StageParameters) -> list[str]:
    """Which parts of the loss count: identity, local, occlusion."""
    return [name for name in NAMES if getattr(parameters.loss_weights, name)]


def counted_parts(parameters: StageParameters) -> list[str]:
    """Which parts of the local loss leave faces out, and count them: triplet, memory."""
    weights = parameters.loss_weights
    if not weights.local:
        return []
    return [*(["triplet"] if weights.triplet else []), *(["memory"] if parameters.local.class_memory else [])]


class MapLosses(nn.Module):
    """The losses on feature maps, each in its place of loss_weights.

    local = pairwise matching + triplet weight x hardest triplet [+ class memory]; occlusion = error of what the
    occlusion head takes to be visible. The matcher sees a visibility that its loss does not train.

    Args:
        parameters: loss_weights, local, occlusion.

    `left_out` counts the faces of an epoch that a part had nothing to say of: the triplet loss without another face of
    the person, or of another person, in the batch; the class memory at the first sight of a person.
    """

    def __init__(self, parameters: StageParameters):
        super().__init__()
        self.weights, self.local, self.detach = parameters.loss_weights, parameters.local, parameters.occlusion.detach
        self.memory: ClassMemory | None = None
        self.left_out = nn.ModuleDict({name: SumMetric(nan_strategy="disable") for name in counted_parts(parameters)})
        for count in self.left_out.values():
            count.persistent(True)  # for a state that is saved within an epoch

    def build_memory(self, recogniser: Recogniser, device: torch.device) -> None:
        """Makes room for the class memory, where one is asked for, on the device that trains and in the dtype that the
        backbone works in: that of autocast, where this is called within one.

        Raises:
            FacelineError: where there is not enough.
        """
        if recogniser.matcher is None or not self.local.class_memory:
            return
        assert recogniser.tap is not None
        autocast = torch.is_autocast_enabled(device.type)
        self.memory = ClassMemory(
            len(recogniser.classes),
            recogniser.tap.channels,
            recogniser.tap.side,
            recogniser.tap.side,
            k_nearest=self.local.k_nearest,
            momentum=self.local.memory_momentum,
            pooled=self.local.memory_pooled,
            dtype=torch.get_autocast_dtype(device.type) if autocast else torch.float32,
            device=device,
        )

    def forward(
        self,
        recogniser: Recogniser,
        maps: Tensor,
        labels: Tensor,
        masks: Tensor | None,
        known: Tensor | None,
        epoch: int,
    ) -> dict[str, Tensor]:
        """The parts () that count in an epoch, unweighted.

        Args:
            recogniser: whose matcher and head are trained.
            maps: (n, K, h, w) as the backbone gives them.
            labels: (n,) people.
            masks: (n, S, S) uint8, 255 visible; needed where there is an occlusion head.
            known: (n,) bool, whose mask is known.
            epoch: from 0.
        """
        parts: dict[str, Tensor] = {}
        visibility: Tensor | None = None
        if recogniser.occlusion_head is not None:
            assert masks is not None
            assert known is not None
            visibility = recogniser.occlusion_head(maps.detach() if self.detach else maps)
            parts["occlusion"] = occlusion_loss(visibility, masks, known)
            visibility = visibility.detach()
        if recogniser.matcher is not None and epoch >= self.local.start_epoch:
            parts["local"] = self._local(recogniser, unit_over_channels(maps), labels, visibility)
        return parts

    def _local(self, recogniser: Recogniser, maps: Tensor, labels: Tensor, visibility: Tensor | None) -> Tensor:
        assert recogniser.matcher is not None
        scores = recogniser.matcher(maps, maps, visibility, visibility)
        loss = pairwise_matching_loss(scores, labels)
        if self.weights.triplet:
            triplet, without = hardest_triplet_loss(scores, labels, self.local.triplet_margin)
            self.left_out["triplet"].update(without)
            loss = loss + self.weights.triplet * triplet
        if self.memory is not None:
            columns = recogniser.head.columns.detach()
            told_apart, unseen = self.memory.loss(recogniser.matcher, maps, labels, columns, visibility)
            self.left_out["memory"].update(unseen)
            loss = loss + told_apart
        return loss

    @torch.no_grad()
    def remember(self, maps: Tensor, labels: Tensor, epoch: int) -> None:
        """Moves the class memory towards the maps (n, K, h, w) of a step whose loss was finite."""
        if self.memory is not None and epoch >= self.local.start_epoch:
            self.memory.update(unit_over_channels(maps), labels)
