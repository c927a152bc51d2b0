"""What a finished run leaves: checkpoints, head, history, and a copy under its own name."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.data.face_set import FaceSet
from faceline_core.models.checkpoint import (
    describe,
    load_recogniser,
    read_checkpoint,
    save_head,
    write_checkpoint,
)
from faceline_core.models.recogniser import Recogniser, unit_and_norm
from faceline_core.stage.files import replaced_folder
from faceline_core.stage.progress import say
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_train.classifier import Classifier
from faceline_train.embeddings import weights_hash
from faceline_train.verifying import Verifying

_FACES_A_PERSON, _FACES = 20, 20_000
"""The most faces of a person, and about the most of all, that the mean embeddings are made of."""
_BATCH = 64


def hand_over(
    trainer: lightning.Trainer,
    classifier: Classifier,
    state: Callable[[], dict[str, Any]],
    faces: FaceSet,
    features: NDArray[np.float32] | None,
    verifying: Verifying | None,
    folder: Path,
    artifacts: Path,
    run_name: str | None,
) -> None:
    """Puts the checkpoints and the history of a run in their places, and removes what it would have gone on from.

    Args:
        trainer: as fit left it.
        classifier: with the weights to keep.
        state: what a checkpoint holds besides the recogniser.
        faces: those trained on.
        features: (N, D) of them, where the backbone was frozen and ran before.
        verifying: of whose pairs the statistics of the scores are taken, where there is a matcher.
        folder: of the run.
        artifacts: where its outputs go.
        run_name: of a copy; None keeps none.
    """
    checkpoints, progress = folder / "checkpoints", folder / "progress.ckpt"
    recogniser = classifier.recogniser.cpu()
    resume = read_tensor_file(progress)
    raw = {name.removeprefix("recogniser."): value for name, value in resume["state_dict"].items()}
    if all(torch.equal(raw[name], value) for name, value in recogniser.state_dict().items() if name in raw):
        # else the running mean is kept as the weights, and what it is of as the state
        resume["state_dict"] = {
            n: value for n, value in resume["state_dict"].items() if not n.startswith("recogniser.")
        }
    final = {**describe(recogniser), "state_dict": recogniser.state_dict(), **state(), "resume": resume}
    write_checkpoint(checkpoints / "final_model.pth", final)
    _make_whole(checkpoints, recogniser)
    means: dict[Any, Tensor] = {}  # a frozen backbone sees every face alike, and so do checkpoints of one epoch
    for path in sorted(set(checkpoints.glob("*.pth")) - {checkpoints / "head.pth"}):
        trained, content = load_recogniser(path)
        if recogniser.head_name != "softmax":
            seen: Any = path  # each has columns of its own
        else:
            seen = 0 if recogniser.frozen else weights_hash(trained)
        if seen not in means:
            means[seen] = person_embeddings(trained, faces, features, trainer.strategy.root_device)
        content["person_embeddings"] = means[seen]
        if trained.matcher is not None and verifying is not None:
            statistics = verifying.statistics(trained.to(trainer.strategy.root_device))
            if statistics and content["epoch"] <= classifier.settings.local.start_epoch:
                statistics = statistics.weighted(1.0, 0.0)  # its matcher has not been trained
            content["score_statistics"] = statistics and statistics.as_dict()
        write_checkpoint(path, content)
        if path.name == "best_model.pth":
            save_head(checkpoints / "head.pth", trained.cpu())
    for name in ("checkpoints", "train"):
        with replaced_folder(artifacts / name) as beside:
            shutil.copytree(folder / name, beside, dirs_exist_ok=True)
    shutil.rmtree(folder)
    if run_name is not None:
        kept = _run_folder(artifacts / "runs", run_name)
        for name in ("checkpoints", "train"):
            shutil.copytree(artifacts / name, kept / name)
        say("train", f"a copy of the run -> {kept}")


def _make_whole(folder: Path, recogniser: Recogniser) -> None:
    """Adds the backbone to the checkpoints of a run in which it was frozen, and saved with none of them."""
    if not recogniser.frozen:
        return
    for path in set(folder.glob("*.pth")) - {folder / "head.pth"}:
        content = read_checkpoint(path)
        write_checkpoint(path, content | {"state_dict": {**recogniser.state_dict(), **content["state_dict"]}})


@torch.inference_mode()
def person_embeddings(
    recogniser: Recogniser, faces: FaceSet, features: NDArray[np.float32] | None, device: torch.device
) -> Tensor:
    """Whom a face is most like: (C, D) unit float32, the mean embedding of each known person's first faces.

    A margin head's columns are just that, learnt, and are taken as they are.
    """
    if recogniser.head_name != "softmax":
        return torch.nn.functional.normalize(recogniser.head.weight.detach().float(), dim=0).T.contiguous().cpu()
    most = max(1, min(_FACES_A_PERSON, _FACES // len(faces.classes)))
    chosen: list[int] = []
    taken = [0] * len(faces.classes)
    for index, label in enumerate(faces.labels):
        if taken[label] < most:
            taken[label] += 1
            chosen.append(index)
    sums = torch.zeros(len(faces.classes), recogniser.dim)
    recogniser.to(device, memory_format=torch.channels_last)
    for start in range(0, len(chosen), _BATCH):
        part = chosen[start : start + _BATCH]
        if features is None:
            images = torch.stack([torch.from_numpy(faces.face(index)) for index in part]).permute(0, 3, 1, 2)
            unit, _ = recogniser.embed(images.to(device))
        else:
            unit, _ = unit_and_norm(torch.from_numpy(features[part]))
        sums.index_add_(0, torch.tensor([faces.labels[index] for index in part]), unit.float().cpu())
    return torch.nn.functional.normalize(sums, dim=1)


def _run_folder(root: Path, run_name: str) -> Path:
    """`<run_name>_<month>-<day>_<counter>`, the first that is not taken."""
    today = datetime.now().astimezone()
    counter = 1
    while True:
        folder = root / f"{run_name}_{today:%m-%d}_{counter}"
        if not folder.exists():
            folder.mkdir(parents=True)
            return folder
        counter += 1
