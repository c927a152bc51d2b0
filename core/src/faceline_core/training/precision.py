"""`trainer.precision: auto`: what trains fastest on this machine, and is safe, by measurement."""

import copy
import hashlib
import json
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.parameters.training import Trainer
from faceline_core.stage.files import write_json
from faceline_core.training.trainer import Precision, processes

_GAIN = 1.1
"""How much faster lower precision must be to be taken: below that the clock decides by chance."""
_ALIKE = 0.98
"""The least mean cosine between a network's outputs in full and in lower precision."""
_STEPS = 3


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


def decide(trial: Trial, settings: Trainer, memory: Path) -> Precision:
    """The precision to train with.

    A few steps are timed in float32 and in the mixed precisions that the device has, and the fastest is taken: a mixed
    one only where it is a tenth faster and gives outputs like those of float32. What was found is kept in `memory`, so
    that the same network on the same machine trains alike from then on. Several processes have to agree without
    measuring: bf16 where the GPU has it, else 16; 32 on a CPU.

    Args:
        trial: the network and a batch.
        settings: `precision` other than auto is returned as it is.
        memory: a JSON file.
    """
    if settings.precision != "auto":
        return settings.precision
    cuda = torch.cuda.is_available() and settings.accelerator != "cpu"
    if not cuda and settings.accelerator != "cpu" and torch.backends.mps.is_available():
        return 32  # on Apple's GPU nobody has measured
    if processes(settings) > 1:
        return _of_gpu() if cuda else 32
    device = torch.device("cuda" if cuda else "cpu")
    mixed: list[Precision] = [_of_gpu() if cuda else "bf16"]
    known = json.loads(memory.read_text()) if memory.is_file() else {}
    key = _key(trial, settings.channels_last, device)
    if key not in known:
        known[key] = _measured(trial, device, mixed)
        write_json(memory, known)
    return known[key]["precision"]  # type: ignore[no-any-return]


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The mixed precision that Lightning trains with."""
    if precision == 32:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def _of_gpu() -> Precision:
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else 16


def _measured(trial: Trial, device: torch.device, mixed: list[Precision]) -> dict[str, Precision | dict[str, float]]:
    state = torch.get_rng_state()
    network = copy.deepcopy(trial.network).to(device)
    inputs = trial.inputs(device)
    seconds = {precision: _seconds(trial, network, inputs, precision) for precision in (32, *mixed)}
    best: Precision = 32
    for precision in mixed:
        if seconds[precision] * _GAIN < seconds[best] and _alike(trial, inputs, precision):
            best = precision
    torch.set_rng_state(state)
    return {"precision": best, "seconds": {str(name): round(took, 5) for name, took in seconds.items()}}


def _seconds(trial: Trial, network: nn.Module, inputs: Tensor, precision: Precision) -> float:
    """Of a training step, the fastest of a few."""
    took = []
    for _ in range(1 + _STEPS):
        began = time.perf_counter()
        with autocast(inputs.device, precision):
            loss = trial.loss(network, inputs)
        torch.autograd.backward(loss)
        network.zero_grad(set_to_none=True)
        if inputs.device.type == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - began)
    return min(took[1:])


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
    facts = (*trial.facts, trained, channels_last, machine, torch.get_num_threads(), torch.__version__)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
