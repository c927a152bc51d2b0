"""Training speed beside the plain way, on the same faces and network, in one run.

The textbook loop: ImageFolder, torchvision transforms on PIL images, contiguous fp32, Adam as it comes, batch after
batch in one process. Ours: the train stage as people run it, with `trainer.precision: auto`.

    .venv/bin/python benchmarks/train.py                                        # after make repro, on data/processed
    .venv/bin/python benchmarks/train.py --processed P --model ir_50 --size 112 --batch 16
    .venv/bin/python benchmarks/train.py --processed P --model mobilenet_v3_small --size 224 --batch 16 --freeze 0.7
    .venv/bin/python benchmarks/train.py --processed P --model mobilefacenet --size 112 --freeze 1 --epochs 20 --whole

P is a folder like data/processed with faces of that size. Without --whole an epoch is timed, the first left out; with
it the run from the network to the files, of ours also with the backbone run every epoch.
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
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the stages set it, for both

import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

import faceline_train
from faceline_core.models.backbones import find_backbone
from faceline_core.models.freezing import freeze
from faceline_core.parameters.reading import StageParameters
from faceline_core.parameters.schema import Parameters
from faceline_train.training import train


def textbook(processed: Path, options: argparse.Namespace) -> list[float]:
    """Seconds of each epoch of training and validation."""
    augment = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomRotation(10),
        transforms.ColorJitter(0.2, 0.2, 0.2),
    ]
    whole = options.freeze == 1
    plain = [
        transforms.Resize((options.size, options.size)),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    training = transforms.Compose([plain[0], *([] if whole else augment), *plain[1:]])
    faces = ImageFolder(str(processed / "train"), training)
    loaders = [
        DataLoader(faces, options.batch, shuffle=True, drop_last=True),
        DataLoader(ImageFolder(str(processed / "val"), transforms.Compose(plain)), options.batch),
    ]
    spec = find_backbone(options.model, options.size)
    backbone = spec.build()
    freeze(backbone, options.freeze, options.size)  # their gradients; such loops leave BatchNorm in training mode
    head = nn.Linear(spec.dim, len(faces.classes))
    network = nn.Sequential(backbone, head)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    took = []
    for _ in range(options.epochs):
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
    return took


def ours(processed: Path, options: argparse.Namespace, reuse: bool = True) -> tuple[list[float], float]:
    """Seconds of each epoch of training and validation, as history.csv tells them, and of the whole run."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {
        "model_name": options.model,
        "img_size": options.size,
        "batch_size": options.batch,
        "epochs": options.epochs,
        "freeze_ratio": options.freeze,
        "weights": "none",
    }
    values["dataset"]["path"] = str(processed)
    values["augment"]["preset"] = "none" if options.freeze == 1 else "light"
    values["trainer"] |= {"precision": "auto", "reuse_embeddings": reuse}
    parameters = StageParameters(Parameters.model_validate(values), faceline_train.KEYS)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        found = train(parameters, Path(folder))
        return [row["seconds"] for row in found.history], time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processed", type=Path, default=ROOT / "data/processed")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=64, help="the img_size of the faces in --processed")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--freeze", type=float, default=0.0)
    parser.add_argument("--whole", action="store_true", help="time whole runs instead of an epoch")
    options = parser.parse_args()
    processed = options.processed.resolve()
    faces = {split: len(list((processed / split).glob("*/*.jpg"))) for split in ("train", "val")}
    plain = textbook(processed, options)  # first: ours changes how the process keeps memory
    rows, total = ours(processed, options)
    print(
        f"{options.model}, {options.size} px, batch {options.batch}, freeze {options.freeze:g}, "
        f"{faces['train']} training and {faces['val']} validation faces"
    )
    if not options.whole:
        slow, fast = min(plain[1:]), min(rows[1:])
        seen = faces["train"] // options.batch * options.batch  # the textbook's loop leaves the rest out
        print(f"textbook  {slow:.2f} s an epoch, {seen / slow:.0f} training faces a second")
        print(f"ours      {fast:.2f} s an epoch, {faces['train'] / fast:.0f} training faces a second")
        print(f"ratio     {faces['train'] / fast / (seen / slow):.2f}")
        return
    _, every_epoch = ours(processed, options, reuse=False)
    print(f"{options.epochs} epochs")
    print(f"textbook                         {sum(plain):.1f} s  ratio {sum(plain) / total:.1f}")
    print(f"ours, the backbone every epoch   {every_epoch:.1f} s  ratio {every_epoch / total:.1f}")
    print(f"ours                             {total:.1f} s")


if __name__ == "__main__":
    main()
