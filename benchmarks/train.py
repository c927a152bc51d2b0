"""Training speed beside the plain way, on the same faces and network, in one run.

The textbook loop: ImageFolder, torchvision transforms on PIL images, contiguous fp32, Adam as it comes, batch
after batch in one process. Ours: the train stage's batches, augmentation, network and optimiser, as Lightning runs
them.

    .venv/bin/python benchmarks/train.py                                  # after make repro, on data/processed
    .venv/bin/python benchmarks/train.py --model mobilenet_v3_small --size 64 --epochs 3
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(path) for path in ROOT.glob("*/src")]
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

import faceline_train
from faceline_core.parameters.reading import StageParameters, read_parameters
from faceline_train.training import train


def textbook(processed: Path, model: str, size: int, batch: int, epochs: int, freeze: float) -> float:
    """Seconds an epoch of training and validation, after the first."""
    augment = transforms.Compose(
        [
            transforms.Resize((size, size)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(10),
            transforms.ColorJitter(0.2, 0.2, 0.2),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    plain = transforms.Compose([augment.transforms[0], *augment.transforms[4:]])
    loaders = [
        DataLoader(ImageFolder(str(processed / "train"), augment), batch, shuffle=True, drop_last=True),
        DataLoader(ImageFolder(str(processed / "val"), plain), batch),
    ]
    network = torchvision.models.get_model(model, weights=None, num_classes=len(loaders[0].dataset.classes))
    parameters = list(network.parameters())
    for parameter in parameters[: int(freeze * len(parameters))]:
        parameter.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], lr=1e-3)
    took = []
    for _ in range(epochs):
        began = time.perf_counter()
        network.train()
        for images, labels in loaders[0]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            for images, _labels in loaders[1]:
                network(images).argmax(1)
        took.append(time.perf_counter() - began)
    return min(took[1:])


def ours(processed: Path, parameters: StageParameters) -> float:
    """Seconds an epoch of training and validation, after the first, as history.csv tells them."""
    with tempfile.TemporaryDirectory(dir=ROOT / "artifacts") as folder:
        train(parameters, processed, Path(folder))
        rows = (Path(folder) / "train/history.csv").read_text().splitlines()[2:]
    return min(float(row.rsplit(",", 1)[1]) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processed", type=Path, default=ROOT / "data/processed")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=64, help="the img_size of the faces in --processed")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--freeze", type=float, default=0.0)
    options = parser.parse_args()
    faces = len(list((options.processed / "train").glob("*/*.jpg")))
    text = (ROOT / "params.yaml").read_text()
    changes = {
        "model_name": options.model,
        "img_size": options.size,
        "batch_size": options.batch,
        "epochs": options.epochs,
        "freeze_ratio": options.freeze,
    }
    lines = []
    for line in text.splitlines():
        key = line.split(":")[0]
        lines.append(f"{key}: {changes[key]}" if key in changes else line)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("\n".join(lines))
        file.flush()
        parameters = read_parameters(Path(file.name), faceline_train.KEYS)
    arguments = (options.processed, options.model, options.size, options.batch, options.epochs, options.freeze)
    plain, fast = textbook(*arguments), ours(options.processed, parameters)
    print(
        f"{options.model}, {options.size} px, batch {options.batch}, freeze {options.freeze:g}, {faces} training faces"
    )
    print(f"textbook  {plain:.2f} s an epoch, {faces / plain:.0f} faces a second")
    print(f"ours      {fast:.2f} s an epoch, {faces / fast:.0f} faces a second")
    print(f"ratio     {plain / fast:.2f}")


if __name__ == "__main__":
    main()
