"""The loaders of a run."""

from collections.abc import Iterable
from pathlib import Path

import albumentations
import lightning
import numpy as np
import torch
from numpy.typing import NDArray

import faceline_core.models
import faceline_core.occluders
import faceline_train
from faceline_core.data.caching import cached
from faceline_core.data.face_set import FaceSet
from faceline_core.data.masks import has_masks
from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import code_hash
from faceline_core.stage.progress import say
from faceline_core.training.epoch_batches import EpochBatches
from faceline_core.training.loading import workers
from faceline_core.training.pk_batches import GraphBatches, PKBatches, nearest_people
from faceline_core.training.trainer import Precision
from faceline_train.augmentation import Augmentation
from faceline_train.contact_sheet import contact_sheet
from faceline_train.embeddings import FeatureLoader, features_of, forget_others
from faceline_train.loading import Batch, FaceLoader

_SHEET = 64
_KEPT_FEATURES = 6
"""Files of features that are kept for later runs: of training and validation faces, of three sets or networks."""


class Feeding(lightning.LightningDataModule):
    """Faces, or where the whole backbone is frozen what it makes of them, in batches.

    Features take the place of faces where `trainer.reuse_embeddings` is on, the backbone is frozen as a whole, and
    training faces are not augmented or `augment.views` says how many augmented views of each there are to be.

    Args:
        recogniser: the network.
        faces: of training and of validation.
        augmentation: what a training face goes through.
        parameters: seed, img_size, batch_size, dataset, augment, loss, trainer.
        precision: in which the frozen backbone runs.
        shared: what several runs use again is kept below: `faces`, `embeddings`.
        folder: where first_batch.png goes.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        faces: tuple[FaceSet, FaceSet],
        augmentation: Augmentation,
        parameters: StageParameters,
        precision: Precision,
        shared: Path,
        folder: Path,
    ):
        super().__init__()
        self.recogniser, self.augmentation, self.parameters = recogniser, augmentation, parameters
        self.precision, self.shared, self.folder = precision, shared, folder
        self.faces = faces
        self.views = 1 if augmentation.does_nothing else parameters.augment.views
        whole = recogniser.frozen and recogniser.tap is None  # else feature maps are needed as well
        self.by_features = parameters.trainer.reuse_embeddings and whole and self.views > 0
        self.masked = recogniser.occlusion_head is not None
        if parameters.loss_weights.occlusion and not augmentation.occlude and not has_masks(faces[0]):
            raise FacelineError(
                "loss_weights.occlusion is above 0, but the training faces have no masks and none are drawn over them: "
                "there is nothing to learn from. Set augment.occlude: 0.5, or loss_weights.occlusion: 0"
            )
        self.plain_features: NDArray[np.float32] | None = None
        """(N, D) of the training faces as they are, once the loaders are made, where features take their place."""
        self._loaders: list[FaceLoader | FeatureLoader] = []
        self._neighbours: torch.Tensor | None = None

    def waited(self) -> float:
        """Seconds that steps have waited for data since this was last asked."""
        waited = sum(loader.waited for loader in self._loaders)
        for loader in self._loaders:
            loader.reset_waited()
        return waited

    def train_dataloader(self) -> Iterable[Batch]:
        faces = self._decoded(self.faces[0])
        sampler = self._sampler(faces, training=True)
        settings = self.parameters.trainer
        batches = _limited(sampler, settings.limit_train_batches, "train")
        if isinstance(settings.val_check_interval, int) and settings.val_check_interval > batches:
            raise FacelineError(
                f"trainer.val_check_interval: {settings.val_check_interval} batches, but an epoch has {batches}. "
                "Lower it, or set 1.0"
            )
        sampler.limit(batches)
        if self.trainer is not None and self.trainer.is_global_zero:
            self._draw_first_batch(faces, sampler)
        return self._loader(faces, sampler, training=True)

    def val_dataloader(self) -> Iterable[Batch]:
        faces = self._decoded(self.faces[1])
        sampler = self._sampler(faces, training=False)
        _limited(sampler, self.parameters.trainer.limit_val_batches, "val")
        return self._loader(faces, sampler, training=False)

    def _decoded(self, faces: FaceSet) -> FaceSet:
        how = "none" if self.by_features else self.parameters.dataset.cache
        return cached(faces, how, self.parameters.img_size, self.shared / "faces")

    def _sampler(self, faces: FaceSet, training: bool) -> EpochBatches:
        assert self.trainer is not None
        settings, data = self.parameters, self.parameters.dataset
        shared = {"rank": self.trainer.global_rank, "world": self.trainer.world_size}
        if training:
            shared["accumulate"] = settings.trainer.accumulate_grad_batches
        if training and data.sampler != "shuffle":
            kind = PKBatches if data.sampler == "pk" else GraphBatches
            return kind(
                faces.labels,
                settings.batch_size,
                settings.seed,
                data.instances_per_identity,
                classes=faces.classes,
                **shared,
            )
        balanced = training and settings.loss.balance == "sampling"
        return EpochBatches(
            faces.labels, settings.batch_size, settings.seed, shuffle=training, balanced=balanced, **shared
        )

    def _loader(self, faces: FaceSet, sampler: EpochBatches, training: bool) -> FaceLoader | FeatureLoader:
        position = (lambda: self._position(sampler)) if training else _beginning
        augmentation = self.augmentation if training and not self.augmentation.does_nothing else None
        loader: FaceLoader | FeatureLoader
        assert self.trainer is not None
        if self.by_features:
            features = self._features(faces, augmentation, self.views if training else 1)
            loader = FeatureLoader(features, faces.labels, sampler, position)
            if training and augmentation is None:
                self.plain_features = features[0]
        else:
            settings = self.parameters.dataset
            count = workers(settings.num_workers, self.trainer.num_devices)
            masked = training and self.masked
            loader = FaceLoader(faces, sampler, position, augmentation, count, settings.prefetch, masked)
        if training:
            self._loaders = [loader]
        return loader

    def _position(self, sampler: EpochBatches) -> tuple[int, int]:
        """The epoch that begins or goes on, and how many of its batches are done."""
        assert self.trainer is not None
        epoch, done = self.trainer.current_epoch, self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if isinstance(sampler, GraphBatches):
            if epoch and not done:  # of a head that has learnt
                self._neighbours = torch.from_numpy(nearest_people(self.recogniser.head.columns, sampler.people - 1))
            sampler.follow(None if self._neighbours is None else self._neighbours.numpy())
        return epoch, done

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Who was alike when the epoch began: a run that goes on within it has the same batches."""
        return {} if self._neighbours is None else {"neighbours": self._neighbours}

    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> None:
        self._neighbours = state_dict.get("neighbours")

    def _features(self, faces: FaceSet, augmentation: Augmentation | None, views: int) -> NDArray[np.float32]:
        assert self.trainer is not None
        settings = self.parameters
        drawn = [settings.augment.model_dump(), settings.seed] if augmentation else None
        code = code_hash(
            *(
                Path(str(package.__file__)).parent
                for package in (faceline_core.models, faceline_core.occluders, faceline_train)
            )
        )
        libraries = [torch.__version__, albumentations.__version__]
        key = [faces.sha256(), drawn, views, self.precision, code, libraries]
        folder = self.shared / "embeddings"
        device = self.trainer.strategy.root_device
        features = features_of(self.recogniser, faces, augmentation, views, device, self.precision, folder, key)
        forget_others(folder, _KEPT_FEATURES)
        return features

    def _draw_first_batch(self, faces: FaceSet, sampler: EpochBatches) -> None:
        """The faces of the first batch as the network sees them, into first_batch.png."""
        indices, _ = next(sampler.shares(0))
        chosen = [int(index) for index in indices[:_SHEET]]
        pictures = np.stack([self.augmentation(faces.face(index), 0, index) for index in chosen])
        captions = [faces.classes[faces.labels[index]] for index in chosen]
        path = self.folder / "first_batch.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(path, pictures, captions)
        say(
            "train", f"the first batch as the network sees it -> {path} (with the other outputs when the run has ended)"
        )


def _limited(sampler: EpochBatches, limit: float, split: str) -> int:
    """Batches of an epoch that are used: a count, or a fraction of them."""
    batches = min(limit, len(sampler)) if isinstance(limit, int) else int(limit * len(sampler))
    if batches == 0:
        raise FacelineError(
            f"trainer.limit_{split}_batches: {limit:g} of {len(sampler)} batches is none. Raise it, or give a count"
        )
    return batches


def _beginning() -> tuple[int, int]:
    return 0, 0
