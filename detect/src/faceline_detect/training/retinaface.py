"""A run that trains RetinaFace, or goes on with one that was stopped."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

import faceline_core
import faceline_detect
from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import Detect
from faceline_core.parameters.training import EarlyStopping, Trainer
from faceline_core.stage.files import code_hash, forget_scratch, scratch_folder, sha256_of
from faceline_core.stage.processes import is_first
from faceline_core.stage.progress import say
from faceline_core.training.history import History
from faceline_core.training.precision import decide
from faceline_core.training.resume import KeepProgress
from faceline_core.training.selection import Best, Patience
from faceline_core.training.trainer import build_trainer, check_machine
from faceline_detect import TRAINER
from faceline_detect.retinaface import RetinaFace, anchors, normalised
from faceline_detect.retinaface.checkpoint import load_retinaface, save
from faceline_detect.retinaface.searching import Search
from faceline_detect.retinaface.weights import load_weights
from faceline_detect.scenes import STAGE, Scenes, sha256_of_part
from faceline_detect.training.choosing import Choosing
from faceline_detect.training.detection import LOGGED, Detection
from faceline_detect.training.feeding import Feeding
from faceline_detect.training.losses import DetectionLoss
from faceline_detect.training.targets import Target

WEIGHTS = Path("data/.scratch/weights")
"""Where downloaded weights are kept."""
_WITHOUT_EFFECT = ("checkpoint_minutes", "fast_dev_run")
_LIBRARIES = ("torch", "lightning", "albumentations", "opencv-python-headless", "numpy")
_CODE = ("faces", "tensors", "training")  # of core


@dataclass(frozen=True)
class TrainedRetinaFace:
    """What a run left in its scratch folder.

    Attributes:
        model: the checkpoint of the best epoch.
        history: a row an epoch; None where nothing was trained.
        sheet: the squares of the first batch; likewise.
    """

    model: Path
    history: Path | None
    sheet: Path | None


def train_retinaface(
    settings: Detect, trainer: Trainer, seed: int, scenes: Scenes, artifacts: Path = Path("artifacts")
) -> TrainedRetinaFace:
    """Trains a RetinaFace on squares of scenes, and keeps the epoch that finds most on the scenes to choose with.

    Args:
        settings: `detect`.
        trainer: devices, precision, limits: the same as the recogniser's.
        seed: of everything that is drawn.
        scenes: of the run.
        artifacts: its scratch folder lies in here.

    Raises:
        FacelineError: where weights, machine or parameters do not do, or the loss is not finite.
    """
    own = settings.retinaface
    check_machine(trainer)
    if own.epochs == 0:
        return _as_it_is(settings, artifacts)
    if not scenes.train.with_landmarks:
        say(STAGE, "no face to train with has landmarks: this RetinaFace gives boxes alone, and cannot align faces")
    lightning.seed_everything(seed, verbose=False)
    network = RetinaFace(own.backbone)
    line = load_weights(network, own.weights, WEIGHTS)
    search = search_of(settings)
    trial = _Trial(network, settings)
    always = trainer.model_copy(update={"channels_last": True})  # as its squares lie
    precision = decide(trial, always, artifacts / ".scratch/precision.json", STAGE)
    key = _run_key(settings, trainer, seed, scenes, precision)
    dry = trainer.fast_dev_run
    folder = scratch_folder(artifacts, "retinaface-dry" if dry else "retinaface", key, keep_others=True)
    trained = TrainedRetinaFace(folder / "model.pth", folder / "history.csv", folder / "first_batch.jpg")
    assert trained.history is not None
    assert trained.sheet is not None

    done = folder / "done"
    if done.is_file():
        say(STAGE, f"RetinaFace was trained before ({folder})")
        return trained
    choosing = Choosing(scenes.val, search)
    module = Detection(network, own, trainer.gradient_clip_val > 0, choosing)
    feeding = Feeding(scenes, own, trainer, seed, trained.sheet)

    def keep() -> None:
        state = {"side": own.side, "epoch": best.epoch, "parameters": own.model_dump(mode="json")}
        save(trained.model, network, search, landmarks=scenes.train.with_landmarks, **state)

    def announce(row: dict[str, float]) -> None:
        mark = "  best" if best.epoch == row["epoch"] else ""
        say(STAGE, _epoch_line(row, own.epochs) + mark)

    best = Best("val_ap", "max", keep)
    patience = Patience(EarlyStopping(monitor="val_ap", mode="max", patience=own.patience))
    history = History(trained.history, LOGGED, feeding.waited, announce)
    progress = KeepProgress(folder / "progress.ckpt", trainer.checkpoint_minutes)
    callbacks = [] if dry else [best, patience, history, progress]
    runner = build_trainer(trainer, precision, own.epochs, callbacks)
    size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    say(STAGE, f"RetinaFace {own.backbone}, {size:.1f} M parameters, {own.loss}, in {precision}: {line}")
    resumed = progress.path if progress.path.is_file() else None
    if resumed:
        say(STAGE, f"goes on where it was stopped ({folder})")
    _fit(runner, module, feeding, resumed)
    if not dry and is_first():
        done.touch()
        progress.path.unlink(missing_ok=True)
        forget_scratch(folder)
        say(STAGE, f"RetinaFace: best average precision {best.value:.3f} at epoch {best.epoch}")
    return trained


def _as_it_is(settings: Detect, artifacts: Path) -> TrainedRetinaFace:
    """`weights` as the detector. Runs that were stopped stay where they are."""
    own, path = settings.retinaface, Path(settings.retinaface.weights)
    if not path.is_file():
        raise FacelineError(
            f"detect.retinaface.weights: {path} is not there. Put the file there, or set epochs above 0 to train"
        )
    network, content = load_retinaface(path, own.backbone)
    folder = scratch_folder(artifacts, "retinaface-as-it-is", None)
    kept = {name: content[name] for name in ("side", "epoch", "parameters", "landmarks") if name in content}
    save(folder / "model.pth", network, search_of(settings), **kept)
    say(STAGE, f"RetinaFace {own.backbone}: {path} as it is; epochs: 0, nothing is trained")
    return TrainedRetinaFace(folder / "model.pth", None, None)


def _fit(runner: lightning.Trainer, module: Detection, feeding: Feeding, resumed: Path | None) -> None:
    try:
        runner.fit(module, datamodule=feeding, ckpt_path=resumed, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C
        if runner.interrupted:
            raise KeyboardInterrupt from None
        raise


def search_device(trainer: Trainer) -> str:
    """Where detectors are to search: as torch calls it."""
    return "cuda" if trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu"


def search_of(settings: Detect) -> Search:
    """`detect.test` as a search for everything that may be a face."""
    test = settings.test
    return Search(
        test.confidence, test.nms, test.short_side, test.long_side, tuple(test.scales), test.flip, test.precision
    )


class _Trial:
    """What precisions are tried on: squares of noise, with a face in each."""

    def __init__(self, network: RetinaFace, settings: Detect):
        self.network = network
        self.settings = settings.retinaface
        self.count = min(4, self.settings.batch_size)
        self.facts = ("retinaface", network.backbone, self.settings.side, self.settings.batch_size)
        self.criterion = DetectionLoss(self.settings)

    def inputs(self, device: torch.device) -> Tensor:
        side = self.settings.side
        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (self.count, 3, side, side), dtype=torch.uint8, generator=generator).to(device)

    def loss(self, network: nn.Module, inputs: Tensor) -> Tensor:
        side = self.settings.side
        box = torch.tensor([[0.2, 0.2, 0.4, 0.4]], device=inputs.device) * side
        points = torch.full((1, 5, 2), 0.3 * side, device=inputs.device)
        target = Target(box, points, torch.zeros(1, dtype=torch.bool, device=inputs.device))
        grid = anchors(side, side).to(inputs.device)
        total: Tensor = self.criterion(network(normalised(inputs)), grid, [target] * len(inputs))["total"]
        return total

    def outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        outputs: Any = network(normalised(inputs))
        return torch.cat([part.flatten(1) for part in outputs], 1)


def _run_key(settings: Detect, trainer: Trainer, seed: int, scenes: Scenes, precision: object) -> dict[str, Any]:
    """What the weights depend on: a run goes on only where all of it is the same."""
    core = Path(faceline_core.__file__).parent
    weights = Path(settings.retinaface.weights)
    return {
        "settings": settings.retinaface.model_dump(mode="json"),
        "search": asdict(search_of(settings)),
        "trainer": {name: getattr(trainer, name) for name in TRAINER if name not in _WITHOUT_EFFECT},
        "seed": seed,
        "data": [sha256_of_part(part) for part in (scenes.train, scenes.val)],
        "weights": sha256_of(weights) if weights.is_file() else None,
        "precision": precision,
        "versions": [version(name) for name in _LIBRARIES],
        "code": code_hash(Path(faceline_detect.__file__).parent, *(core / name for name in _CODE)),
    }


def _epoch_line(row: dict[str, float], epochs: int) -> str:
    parts = " ".join(f"{name} {row[name]:.3f}" for name in LOGGED if name.startswith("train_"))
    return (
        f"epoch {int(row['epoch'])}/{epochs}  {parts}  val_loss {row['val_loss']:.3f} val_ap {row['val_ap']:.3f}  "
        f"lr {row['lr']:.1e}  {row['seconds']:.1f} s (waited {row['data_seconds']:.1f} s for data)"
    )
