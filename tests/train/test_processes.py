"""Several processes train as one does: started by Lightning itself, and by torchrun."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import faceline_train
from faceline_core.parameters import read_parameters
from faceline_train.training import train

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "lightning": [sys.executable, "-m", "faceline_train"],
    "torchrun": [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "faceline_train",
    ],
}


@pytest.fixture
def parameters(tmp_path, processed):
    """17 faces in batches of 6, 6 and 5, of which the processes get 3 and 2; nothing depends on the batch."""
    photo = processed / "train/person_00/0.jpg"
    shutil.copy(photo, photo.with_name("extra.jpg"))
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"model_name": "resnet18", "img_size": 32, "epochs": 2, "batch_size": 6, "lr": 0.005}
    values["optimizer"] |= {"name": "sgd"}
    values["scheduler"] |= {"name": "multistep", "milestones": [1]}
    values["augment"] |= {"preset": "none"}
    values["trainer"] |= {"accelerator": "cpu", "freeze_batchnorm": True}
    values["dataset"] |= {"path": str(processed), "num_workers": 0}
    values["logging"] |= {"metrics": ["acc", "f1"]}

    def write(folder: str, **sections) -> Path:
        place = tmp_path / folder
        place.mkdir()
        changed = {
            key: value | sections.get(key, {}) if isinstance(value, dict) else value for key, value in values.items()
        }
        changed |= {key: value for key, value in sections.items() if not isinstance(value, dict)}
        (place / "params.yaml").write_text(yaml.safe_dump(changed))
        return place

    return write


def train_in(folder: Path, command: list[str]) -> str:
    environment = os.environ | {"PYTHONPATH": ":".join(str(path) for path in ROOT.glob("*/src"))}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("launcher", "changes"),
    [
        ("lightning", {"head": "adaface", "trainer": {"devices": 2, "strategy": "ddp"}}),
        ("torchrun", {"head": "softmax", "trainer": {"devices": 2}, "loss": {"balance": "loss"}}),
    ],
)
def test_two_processes_end_in_the_weights_of_one(parameters, launcher, changes, weights_of, assert_same, rows_of):
    alone = parameters("alone", **changes | {"trainer": {}})
    train(read_parameters(alone / "params.yaml", faceline_train.KEYS), alone / "artifacts")
    together = parameters("together", **changes)
    output = train_in(together, COMMANDS[launcher])
    assert output.count("[train] epoch 1/2") == 1, "one of them speaks"
    assert "cpu in 32 bit, 2 processes" in output
    first, second = alone / "artifacts", together / "artifacts"
    assert_same(weights_of(first), weights_of(second), atol=1e-5)
    assert_same(weights_of(first, "best_model.pth"), weights_of(second, "best_model.pth"), atol=1e-5)
    for row, other in zip(rows_of(first), rows_of(second), strict=True):
        for name in ("train_loss", "train_acc", "train_f1", "val_loss", "val_acc", "val_f1", "lr"):
            assert row[name] == pytest.approx(other[name], rel=1e-5, abs=1e-5), name
    assert not list((second / ".scratch").glob("train-*"))


def test_a_batch_with_a_nan_is_left_out_by_all(parameters, weights_of, tmp_path):
    """A rank whose own share is sound leaves it out as well; else its gradients would wait for the others' for ever."""
    folder = parameters("together", trainer={"devices": 2, "strategy": "ddp"}, loss={"on_nan": "skip"}, epochs=1)
    script = tmp_path / "poisoned.py"
    script.write_text(
        "import sys\n"
        "from faceline_train import __main__\n"
        "from faceline_train.classifier import Classifier\n"
        "original = Classifier.features\n"
        "def features(self, batch):\n"
        "    found = original(self, batch)\n"
        "    poisoned = self.training and self.global_rank == 1 and self.trainer.global_step == 1\n"
        "    return found * float('nan') if poisoned and not self.skipped else found\n"
        "Classifier.features = features\n"
        "sys.exit(__main__.main())\n"
    )
    assert "1 batches left out (NaN)" in train_in(folder, [sys.executable, str(script)])
    assert all(tensor.isfinite().all() for tensor in weights_of(folder / "artifacts").values())


RECORDED = """
import sys
import torch
from faceline_train import __main__
from faceline_train.classifier import Classifier

original, steps = Classifier.training_step, []

def training_step(self, batch, index):
    loss = original(self, batch, index)
    state = self.recogniser.state_dict() | self.map_losses.memory.state_dict()
    own = ("backbone.", "occlusion_head.bn.")  # BatchNorm of each process alone, unless trainer.sync_batchnorm
    kept = {name: value.clone() for name, value in state.items() if not name.startswith(own)}
    steps.append({"labels": batch.labels, **kept})
    torch.save(steps, f"{self.global_rank}.pt")
    return loss

Classifier.training_step = training_step
sys.exit(__main__.main())
"""


def test_the_whole_method_agrees_across_processes(parameters, tmp_path):
    """Each rank has people of its own; class memory and running statistics are of the faces of all, as in one process.

    One process cannot have the same weights after a step: it compares faces with each other that two keep apart.
    """
    method = {
        "head": "adaface",
        "batch_size": 8,
        "epochs": 1,
        "dataset": {"sampler": "pk", "instances_per_identity": 2},
        "loss_weights": {"identity": 0.1, "local": 0.7, "occlusion": 0.3},
        "local": {"class_memory": True},
        "augment": {"occlude": 0.5},
        "feature_map": 14,
    }
    (tmp_path / "recorded.py").write_text(RECORDED)
    folders = [
        parameters("alone", **method),
        parameters("together", **method, trainer={"devices": 2, "strategy": "ddp"}),
    ]
    for folder in folders:
        train_in(folder, [sys.executable, str(tmp_path / "recorded.py")])
    (alone,), (first, second) = ([torch.load(path) for path in sorted(folder.glob("?.pt"))] for folder in folders)
    assert len(alone) == len(first) == len(second) >= 3
    for whole, mine, others in zip(alone, first, second, strict=True):
        a, b = mine.pop("labels"), others.pop("labels")
        assert set(a.tolist()).isdisjoint(b.tolist())
        assert sorted(whole.pop("labels").tolist()) == sorted([*a.tolist(), *b.tolist()])
        for name, value in mine.items():
            torch.testing.assert_close(others[name], value, rtol=0, atol=0, msg=lambda text, name=name: name + text)
    for name in ("maps", "seen", "head.batch_mean", "head.batch_std"):
        torch.testing.assert_close(first[0][name], alone[0][name], rtol=1e-5, atol=1e-6)
    assert first[0]["seen"].all()
    for name, value in (("matcher.bn.running_mean", 0), ("matcher.logit_bn.running_var", 1), ("head.batch_mean", 20)):
        assert (first[0][name] != value).all(), "it has moved"
