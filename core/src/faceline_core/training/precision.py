"""`trainer.precision: auto`: what trains fastest on this machine, and is safe, by measurement."""

import copy
import hashlib
import json
import time
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.parameters.training import Trainer
from faceline_core.stage.files import write_json
from faceline_core.stage.progress import say
from faceline_core.training.trainer import Precision, processes

_GAIN = {"cpu": 1.25, "cuda": 1.1}
"""How many times as fast mixed precision must be to be taken: below that the clock decides by chance. On a core shared
with six other processes, nine in ten results of three rounds lay within 14 % of the middle one (ResNet-18,
MobileNetV3); of the fastest steps of three rounds, within 50 %."""
_ALIKE = 0.98
"""The least mean cosine between a network's outputs in full and in lower precision."""
_ROUNDS, _AT_LEAST, _ENOUGH = 11, 3, 4.0
"""Of a step in each precision: so many, but no more of them once they have taken so many seconds. A long step evens out
by itself what short ones need rounds for."""


class Trial(Protocol):
    """What precisions are tried on.

    Attributes:
        network: as it will be trained; it is left as it is.
        facts: what the speed of a step depends on besides the machine: the network's kind and size, the batch.
    """

    network: nn.Module
    facts: tuple[object, ...]

    def inputs(self, device: torch.device) -> Tensor:
        """A batch of the size of a run's, or of a part of it; the same each time."""
        ...

    def loss(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """() of a training step with `network`, a copy of its own."""
        ...

    def outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, D), whose directions must be the same in every precision."""
        ...


def decide(trial: Trial, settings: Trainer, memory: Path, stage: str | None = None) -> Precision:
    """The precision to train with.

    A few steps are timed in float32 and in the mixed precision that the device has, by turns, so that other work on
    the machine slows both. The round whose ratio is the middle one decides: the mixed one is taken where it is clearly
    faster in it and gives outputs like those of float32. What was found is kept in `memory`, so that the same network
    on the same machine trains alike from then on. Several processes have to agree without measuring: bf16 where the
    GPU has it, else 16; 32 on a CPU.

    Args:
        trial: the network and a batch.
        settings: `precision` other than auto is returned as it is.
        memory: a JSON file.
        stage: says what was measured, the first time; None says nothing.
    """
    if settings.precision != "auto":
        return settings.precision
    cuda = torch.cuda.is_available() and settings.accelerator != "cpu"
    if not cuda and settings.accelerator != "cpu" and torch.backends.mps.is_available():
        return 32  # on Apple's GPU nobody has measured
    if processes(settings) > 1:
        return _of_gpu() if cuda else 32
    device = torch.device("cuda" if cuda else "cpu")
    known = json.loads(memory.read_text()) if memory.is_file() else {}
    key = _key(trial, settings.channels_last, device)
    if key not in known:
        known[key] = _measured(trial, device, _of_gpu() if cuda else "bf16")
        write_json(memory, known)
        if stage is not None:
            say(stage, _line(known[key], _GAIN[device.type], memory))
    return known[key]["precision"]  # type: ignore[no-any-return]


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The mixed precision that Lightning trains with."""
    if precision == 32:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def _of_gpu() -> Precision:
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else 16


def _measured(trial: Trial, device: torch.device, mixed: Precision) -> dict[str, Any]:
    state = torch.get_rng_state()
    network = copy.deepcopy(trial.network).to(device)
    inputs = trial.inputs(device)
    rounds = sorted(_rounds(trial, network, inputs, mixed), key=lambda took: took[0] / took[1])
    full, low = rounds[(len(rounds) - 1) // 2]
    taken = full >= low * _GAIN[device.type] and _alike(trial, inputs, mixed)
    torch.set_rng_state(state)
    return {
        "precision": mixed if taken else 32,
        "seconds": {"32": round(full, 5), str(mixed): round(low, 5)},
    }


def _line(found: dict[str, Any], gain: float, memory: Path) -> str:
    chosen, seconds = str(found["precision"]), found["seconds"]
    (other,) = set(seconds) - {chosen}
    line = f"precision: {chosen} ({seconds[chosen]:.3g} s a step, {other} {seconds[other]:.3g} s"
    if chosen == "32":
        fast = seconds["32"] >= gain * seconds[other]
        line += ", but its outputs are not those of 32" if fast else f": taken where {gain:g} times as fast"
    return f"{line}; measured once, {memory})"


def _rounds(trial: Trial, network: nn.Module, inputs: Tensor, mixed: Precision) -> list[tuple[float, float]]:
    """Seconds of a step in float32 and of one in mixed precision, a few times; they take turns at going first."""
    for precision in (32, mixed):  # the first steps take longer
        _seconds(trial, network, inputs, precision)
    rounds: list[tuple[float, float]] = []
    while len(rounds) < _AT_LEAST or (len(rounds) < _ROUNDS and sum(chain(*rounds)) < _ENOUGH):
        order: list[Precision] = [mixed, 32] if len(rounds) % 2 else [32, mixed]
        took = {precision: _seconds(trial, network, inputs, precision) for precision in order}
        rounds.append((took[32], took[mixed]))
    return rounds


def _seconds(trial: Trial, network: nn.Module, inputs: Tensor, precision: Precision) -> float:
    """Of a training step."""
    began = time.perf_counter()
    with autocast(inputs.device, precision):
        loss = trial.loss(network, inputs)
    torch.autograd.backward(loss)
    network.zero_grad(set_to_none=True)
    if inputs.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


@torch.no_grad()
def _alike(trial: Trial, inputs: Tensor, precision: Precision) -> bool:
    network = copy.deepcopy(trial.network).to(inputs.device)  # in training mode: its BatchNorm may know nothing yet
    torch.manual_seed(0)
    full = trial.outputs(network, inputs).float()
    torch.manual_seed(0)
    with autocast(inputs.device, precision):
        low = trial.outputs(network, inputs).float()
    return bool(F.cosine_similarity(full, low).mean() >= _ALIKE)


def _key(trial: Trial, channels_last: bool, device: torch.device) -> str:
    machine = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    trained = sum(parameter.numel() for parameter in trial.network.parameters() if parameter.requires_grad)
    gain = _GAIN[device.type]  # what was decided by another is decided anew
    facts = (*trial.facts, trained, channels_last, machine, torch.get_num_threads(), torch.__version__, gain)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
