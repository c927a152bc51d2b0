"""Where a run starts: at the beginning, where it was stopped, or at a checkpoint that was named."""

import os
from pathlib import Path
from typing import Any

import torch

import faceline_core
import faceline_train
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import FORMAT, HEAD_FORMAT, load_head, read_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import code_hash, sha256_of, written_beside
from faceline_core.stage.progress import say
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_core.training.trainer import Precision

# What changes nothing about the weights: a stopped run goes on where only these differ.
_WITHOUT_EFFECT = {
    "run_name": None,
    "dataset": ("cache", "num_workers", "prefetch"),
    "trainer": ("checkpoint_minutes",),
    "local": ("max_bytes",),
    "logging": ("loggers", "wandb_project", "offline", "refresh_rate"),
}


def run_key(
    parameters: StageParameters, recogniser: Recogniser, data: list[str], precision: Precision
) -> dict[str, Any]:
    """What the weights depend on: a run goes on only where all of it is the same."""
    core = Path(faceline_core.__file__).parent
    packages = (
        Path(faceline_train.__file__).parent,
        core / "data",
        core / "models",
        core / "occluders",
        core / "training",
        core / "verification",
    )
    files = [Path(name) for name in (parameters.weights, parameters.ckpt_path) if name and Path(name).is_file()]
    return {
        "parameters": _with_effect(parameters),
        "backbone": recogniser.spec.as_dict(),
        "data": data,
        "files": [sha256_of(file) for file in files],
        "precision": precision,
        "code": code_hash(Path(faceline_train.__file__).parent, *packages),
    }


def _with_effect(parameters: StageParameters) -> dict[str, Any]:
    values = parameters.as_dict()
    for section, names in _WITHOUT_EFFECT.items():
        if names is None:
            del values[section]
        else:
            values[section] = {name: value for name, value in values[section].items() if name not in names}
    return values


def prepare_resume(parameters: StageParameters, recogniser: Recogniser, progress: Path) -> Path | None:
    """The state for Lightning to go on from; None starts at epoch 1.

    A run that was stopped goes on from `progress`. Else `ckpt_path` is taken: with `only_weights_load` its weights go
    into the recogniser, without it is turned into such a state.

    Raises:
        FacelineError: where `ckpt_path` is missing, of another network or other people, or holds no state to go on
            from.
    """
    if parameters.trainer.fast_dev_run:
        return None
    if progress.is_file():
        say("train", f"goes on where it was stopped ({progress.parent})")
        return progress
    if parameters.ckpt_path is None:
        return None
    path = Path(parameters.ckpt_path)
    if not path.is_file():
        gone = ", and DVC removes artifacts/checkpoints before it trains: copy the file out of it" if _in_dvc() else ""
        raise FacelineError(f"ckpt_path: {path} is not there{gone}. Name a checkpoint, or set ckpt_path: null")
    content = read_tensor_file(path)
    if isinstance(content, dict) and "pytorch-lightning_version" in content:
        if "run" not in content or not _own(content["state_dict"]):
            raise FacelineError(
                f"ckpt_path: {path} was not written by Faceline. Take its backbone alone with weights: {path}"
            )
        state = content
    else:
        content = read_checkpoint(path, (FORMAT, HEAD_FORMAT))
        if parameters.only_weights_load:
            _take_weights(recogniser, content, path)
            return None
        _check_same(recogniser, content, path)
        if "resume" not in content:
            raise FacelineError(
                f"ckpt_path: {path} holds weights without the optimizer's state. "
                "Give final_model.pth to go on, or set only_weights_load: true to start from the weights"
            )
        state = content["resume"]
        rest = state.get("state_dict", {})
        if not _own(rest):  # the weights stand there once, where they are those of the optimizer
            weights = {f"recogniser.{name}": value for name, value in content["state_dict"].items()}
            state["state_dict"] = {**weights, **rest}
    if parameters.only_weights_load:
        taken = {
            "state_dict": _own(state["state_dict"]),
            "normalisation": {"channel_order": state["run"]["channel_order"]},
        }
        _take_weights(recogniser, {"format": FORMAT, **taken}, path)
        return None
    _check_fits(recogniser, _own(state["state_dict"]), path)
    _check_run(parameters, recogniser, state["run"], path)
    _check_epochs(state, parameters.epochs, path)
    for callback in ("Best", "Patience", "TopK"):  # they saw another run's epochs: this one chooses among its own
        state["callbacks"].pop(callback, None)
    with written_beside(progress) as beside, beside.open("wb") as file:
        torch.save(state, file)
    say("train", f"goes on from {path}")
    return progress


def _in_dvc() -> bool:
    return bool(os.environ.get("DVC_STAGE"))


def _own(state: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("recogniser."): value for name, value in state.items() if name.startswith("recogniser.")}


def _take_weights(recogniser: Recogniser, content: dict[str, Any], path: Path) -> None:
    if content["format"] == HEAD_FORMAT:
        load_head(recogniser, path)
        say("train", f"head of {path}")
        return
    _check_fits(recogniser, content["state_dict"], path)
    recogniser.load_state_dict(content["state_dict"], strict=False)
    recogniser.see_channels_as(content["normalisation"]["channel_order"])
    say("train", f"weights of {path}")


def _check_fits(recogniser: Recogniser, state: dict[str, Any], path: Path) -> None:
    own = recogniser.state_dict()
    misfits = [name for name, value in state.items() if name not in own or own[name].shape != value.shape]
    absent = [name for name in own if name not in state]
    if recogniser.frozen:  # a run with a frozen backbone keeps the head alone
        absent = [name for name in absent if not name.startswith("backbone.")]
    if misfits or absent:
        raise FacelineError(
            f"ckpt_path: {path} does not fit {recogniser.model_name} with {recogniser.head_name} over "
            f"{len(recogniser.classes)} people (first: {(misfits + absent)[0]}). "
            "Set model_name, head, classes, feature_map, and which loss_weights are 0, as it was trained, or take its "
            "backbone alone with weights: <file>"
        )


def _check_same(recogniser: Recogniser, content: dict[str, Any], path: Path) -> None:
    for what, own in (
        ("model_name", recogniser.model_name),
        ("img_size", recogniser.img_size),
        ("head", recogniser.head_name),
        ("classes", recogniser.classes),
    ):
        if content[what] != own:
            found = f"{len(content[what])} people" if what == "classes" else content[what]
            raise FacelineError(
                f"ckpt_path: {path} was trained with {what}: {found}, this run is not. Set {what} as it was trained"
            )


def describe_run(parameters: StageParameters, recogniser: Recogniser) -> dict[str, Any]:
    """What the state of a run is made for, and where it does not fit another's, its weights alone still may."""
    return {
        "channel_order": recogniser.normalisation.channel_order,
        "freeze_ratio": parameters.freeze_ratio,
        "logging.metrics": list(parameters.logging.metrics),
        "optimizer": parameters.optimizer.model_dump(mode="json"),
        "scheduler.name": parameters.scheduler.name,
        "lr": parameters.lr,
        "loss_weights": _counting(parameters),
        "local.class_memory": parameters.local.class_memory,
        "validation.split": parameters.validation.split,
    }


def _counting(parameters: StageParameters) -> dict[str, str]:
    """Which parts of the loss count, whatever their weights."""
    weights = parameters.loss_weights.model_dump()
    if not weights["local"]:
        weights["triplet"] = 0
    return {name: "above 0" if weight else "0" for name, weight in weights.items()}


def _check_run(parameters: StageParameters, recogniser: Recogniser, before: dict[str, Any], path: Path) -> None:
    """The optimizer's and the schedule's state fit only those they are of; learning rates are part of them."""
    recogniser.see_channels_as(before["channel_order"])
    now = describe_run(parameters, recogniser)
    for what, value in now.items():
        was = before.get(what, value)  # runs before there were such parts had none of them
        if was == value:
            continue
        if isinstance(value, dict):
            what, was, value = next(  # noqa: PLW2901
                (f"{what}.{name}", was[name], value[name]) for name in value if was[name] != value[name]
            )
        raise FacelineError(
            f"ckpt_path: {path} was trained with {what}: {was}, found {value}, and its state goes on only as it was. "
            f"Set {what} back, or set only_weights_load: true to start anew from its weights"
        )


def _check_epochs(state: dict[str, Any], epochs: int, path: Path) -> None:
    done = int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    if done >= epochs:
        raise FacelineError(f"ckpt_path: {path} has trained {done} epochs, and epochs is {epochs}. Raise epochs")
