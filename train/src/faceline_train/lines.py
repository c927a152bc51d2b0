"""The lines that a run prints."""

from collections.abc import Sequence

import lightning

from faceline_core.models.recogniser import Recogniser
from faceline_core.training.trainer import Precision


def epoch_line(row: dict[str, float], epochs: int, sets: Sequence[str] = ()) -> str:
    """`epoch 5/18  train_loss 1.635 train_acc 0.650  val_loss 1.065 val_acc 0.694  lr 9.1e-04  3.9 s (data 0.2 s)`.

    Counts of faces left out are shown where there are any, and of each of the verification sets, by name, the accuracy
    by all that the recogniser has: `lfw_acc`, not `lfw_embedding_acc`."""
    figures = {
        name: f"{value:.0f}" if name.endswith("_left_out") else f"{value:.3f}"
        for name, value in row.items()
        if value or not name.endswith("_left_out")
    }
    parts = [
        " ".join(f"{name} {value}" for name, value in figures.items() if name.startswith(split))
        for split in ("train_", "val_")
    ]
    parts += [" ".join(f"{name}_acc {figures[f'{name}_acc']}" for name in sets)] if sets else []
    return (
        f"epoch {int(row['epoch'])}/{epochs}  {'  '.join(parts)}  lr {row['lr']:.1e}  "
        f"{row['seconds']:.1f} s (waited {row['data_seconds']:.1f} s for data)"
    )


def size_line(recogniser: Recogniser) -> str:
    """`resnet18, 11.2 M parameters (11.2 M trained)`."""
    total = sum(p.numel() for p in recogniser.parameters())
    trained = sum(p.numel() for p in recogniser.parameters() if p.requires_grad)
    head = "" if recogniser.head_name == "softmax" else f" with {recogniser.head_name}"
    return f"{recogniser.model_name}{head}, {total / 1e6:.1f} M parameters ({trained / 1e6:.1f} M trained)"


def device_line(trainer: lightning.Trainer, precision: Precision) -> str:
    """`cpu in 32 bit`, `cuda:0 in bf16, 4 devices on 2 machines`."""
    kind = f"{trainer.strategy.root_device} in {precision}{' bit' if precision != 'bf16' else ''}"
    if trainer.world_size == 1:
        return kind
    machines = f" on {trainer.num_nodes} machines" if trainer.num_nodes > 1 else ""
    return f"{kind}, {trainer.world_size} processes{machines}"
