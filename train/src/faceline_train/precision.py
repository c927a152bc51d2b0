"""`trainer.precision: auto`: what trains fastest on this machine, and is safe, by measurement."""

import copy
import hashlib
import json
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters.training import Trainer
from faceline_core.stage.files import write_json
from faceline_core.training.trainer import Precision, processes
from faceline_train.embeddings import autocast

_GAIN = 1.1
"""How much faster lower precision must be to be taken: below that the clock decides by chance."""
_ALIKE = 0.98
"""The least mean cosine between a network's embeddings in full and in lower precision."""
_FACES = 16
_STEPS = 3


def decide(recogniser: Recogniser, settings: Trainer, batch_size: int, memory: Path) -> Precision:
    """The precision to train with.

    A few steps are timed in float32 and in the mixed precisions that the device has, and the fastest is taken: a mixed
    one only where it is a tenth faster and gives embeddings like those of float32. What was found is kept in `memory`,
    so that the same network on the same machine trains alike from then on. Several processes have to agree without
    measuring: bf16 where the GPU has it, else 16; 32 on a CPU.

    Args:
        recogniser: as it will be trained; it is left as it is.
        settings: `precision` other than auto is returned as it is.
        batch_size: of the run.
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
    key = _key(recogniser, settings.channels_last, batch_size, device)
    if key not in known:
        known[key] = _measured(recogniser, min(batch_size, _FACES), device, mixed)
        write_json(memory, known)
    return known[key]["precision"]  # type: ignore[no-any-return]


def _of_gpu() -> Precision:
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else 16


def _measured(
    recogniser: Recogniser, faces: int, device: torch.device, mixed: list[Precision]
) -> dict[str, Precision | dict[str, float]]:
    state = torch.get_rng_state()
    network = copy.deepcopy(recogniser).to(device)
    side = recogniser.img_size
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (faces, side, side, 3), dtype=torch.uint8, generator=generator)
    images = images.permute(0, 3, 1, 2).to(device)
    seconds = {precision: _seconds(network, images, precision) for precision in (32, *mixed)}
    best: Precision = 32
    for precision in mixed:
        if seconds[precision] * _GAIN < seconds[best] and _alike(recogniser, images, precision):
            best = precision
    torch.set_rng_state(state)
    return {"precision": best, "seconds": {str(name): round(took, 5) for name, took in seconds.items()}}


def _seconds(network: Recogniser, images: torch.Tensor, precision: Precision) -> float:
    """Of a training step, the fastest of a few."""
    labels = torch.arange(len(images), device=images.device) % len(network.classes)
    took = []
    for _ in range(1 + _STEPS):
        began = time.perf_counter()
        with autocast(images.device, precision):
            loss = F.cross_entropy(network(images, labels).float(), labels)
        loss.backward()
        network.zero_grad(set_to_none=True)
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - began)
    return min(took[1:])


@torch.no_grad()
def _alike(recogniser: Recogniser, images: torch.Tensor, precision: Precision) -> bool:
    network = copy.deepcopy(recogniser).to(images.device)  # in training mode, as its BatchNorm may know nothing yet
    torch.manual_seed(0)
    full = network.features(images).float()
    torch.manual_seed(0)
    with autocast(images.device, precision):
        low = network.features(images).float()
    return bool(F.cosine_similarity(full, low).mean() >= _ALIKE)


def _key(recogniser: Recogniser, channels_last: bool, batch_size: int, device: torch.device) -> str:
    machine = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    trained = sum(parameter.numel() for parameter in recogniser.parameters() if parameter.requires_grad)
    network = (recogniser.spec.as_dict(), trained, channels_last)
    facts = (network, batch_size, machine, torch.get_num_threads(), torch.__version__)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
