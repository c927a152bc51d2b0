"""What does not do is told in one line, and costs nothing."""

from pathlib import Path

import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.models.recogniser import Recogniser
from faceline_train.classifier import Classifier


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["person_00", "nobody"]}, "no faces of nobody"),
        ({"classes": ["person_00", "person_09"]}, "no faces of person_09 (person_09: held back as unseen)"),
        ({"classes": ["person_00"]}, "a classifier needs two"),
        ({"classes": ["nobody"]}, "holds no faces of the 1 people asked for"),
        ({"img_size": 96}, "is 32 x 32 px, expected 96 x 96"),
        ({"model_name": "resnet81"}, "did you mean"),
        ({"model_name": "mobilefacenet"}, "takes faces of 112 px"),
        ({"weights": "none.pth"}, "none.pth is not there"),
        ({"batch_size": 64}, "batch_size: 64 faces a batch, but train has 16"),
        (
            {"batch_size": 16, "dataset__sampler": "pk", "dataset__instances_per_identity": 2},
            "batch_size: 16 takes 8 people of 2 faces (dataset.instances_per_identity), and there are 4",
        ),
        (
            {"dataset__min_images": 5},
            "dataset.min_images: 5, but in",
        ),
        ({"dataset__path": "nowhere"}, "nowhere"),
        ({"dataset__format": "foldr"}, "did you mean folder"),
        ({"augment__transforms": [{"name": "GausianBlur"}]}, "GaussianBlur"),
        ({"augment__transforms": [{"name": "GaussianBlur", "blur_limits": 3}]}, "blur_limit"),
        ({"trainer__strategy": "dpp"}, "trainer.strategy: dpp is unknown; did you mean ddp"),
        ({"trainer__precision": 16}, "trainer.precision: 16 needs a GPU"),
        ({"trainer__accelerator": "tpu"}, "sees no TPU"),
        ({"trainer__limit_train_batches": 0.01}, "trainer.limit_train_batches: 0.01 of 3 batches is none"),
        ({"trainer__limit_val_batches": 0.1}, "trainer.limit_val_batches: 0.1 of 1 batches is none"),
        ({"trainer__limit_train_batches": 2, "trainer__val_check_interval": 3}, "3 batches, but an epoch has 2"),
        ({"trainer__strategy": "ddp_spawn"}, "trainer.strategy: ddp_spawn is for notebooks"),
        ({"trainer__sync_batchnorm": True}, "trainer.sync_batchnorm: true needs GPUs"),
        ({"trainer__val_check_interval": 50}, "val_check_interval"),
    ],
)
def test_what_does_not_do_is_told_and_earlier_outputs_stay(run, changes, message):
    artifacts = run(epochs=1)
    before = (artifacts / "checkpoints/best_model.pth").read_bytes()
    with pytest.raises(FacelineError) as caught:
        run(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (artifacts / "checkpoints/best_model.pth").read_bytes() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_person_with_one_face_is_told_before_anything_that_takes_time(run, processed, capsys):
    for face in sorted((processed / "train/person_01").iterdir())[1:]:
        face.unlink()
    given = {"dataset__sampler": "pk", "batch_size": 8, "epochs": 1}
    with pytest.raises(FacelineError, match=r"dataset\.sampler: person_01 has one face to train on.*min_images to 2"):
        run(**given)
    assert "parameters" not in capsys.readouterr().out
    run(**given, dataset__min_images=2)
    assert "3 people, 12 training" in capsys.readouterr().out


def test_a_class_memory_that_would_not_fit_is_told_before_the_first_step(run, monkeypatch, stop_at_step):
    monkeypatch.setattr("faceline_train.losses.class_memory.free_bytes", lambda _device: 10_000)
    steps = stop_at_step(99)
    with pytest.raises(FacelineError, match=r"local\.class_memory: true: maps of 512 x 2 x 2 of 4 people are 0\.0 MB"):
        run(model_name="ir_18", loss_weights__local=1.0, local__class_memory=True)
    assert steps == []


def test_a_gpu_that_is_not_there_is_told(run):
    with pytest.raises(FacelineError, match="sees no CUDA device"):
        run(trainer__accelerator="gpu")


def test_a_diverged_run_says_what_to_change_and_keeps_its_weights(run):
    with pytest.raises(FacelineError) as caught:
        run(lr=1e30, epochs=2, scheduler__name="multistep")
    message = str(caught.value)
    assert "training diverged. Lower lr (now 1e+30)" in message
    assert "loss is nan in epoch 1" in message
    recogniser, content = load_recogniser(Path(message.rsplit(" ", 1)[1]))
    assert content["parameters"]["lr"] == 1e30
    assert len(recogniser.classes) == 4


@pytest.fixture
def nan_at_step(monkeypatch):
    """Lets the loss of the given training steps be NaN."""

    def arrange(*wanted: int) -> list[bool]:
        seen: list[bool] = []
        original = Classifier.features

        def features(self, batch):
            found = original(self, batch)
            if not self.training:
                return found
            seen.append(len(seen) + 1 in wanted)
            return found * float("nan") if seen[-1] else found

        monkeypatch.setattr(Classifier, "features", features)
        return seen

    return arrange


def test_a_nan_is_told_with_its_part_step_and_faces(run, nan_at_step):
    nan_at_step(5)
    with pytest.raises(
        FacelineError, match=r"the identity loss is nan in epoch 2, step 2 \(faces .*person_\d\d/\d.jpg"
    ):
        run(epochs=3)


def test_a_batch_with_a_nan_is_left_out_and_counted(run, nan_at_step, weights_of, rows_of, capsys):
    seen = nan_at_step(2, 5)
    artifacts = run(epochs=2, loss__on_nan="skip", head="adaface")
    assert seen == [False, True, False, False, True, False]
    assert all(tensor.isfinite().all() for tensor in weights_of(artifacts).values())
    assert all(row["train_loss"] == row["train_loss"] for row in rows_of(artifacts))
    assert "2 batches left out (NaN)" in capsys.readouterr().out


@pytest.mark.parametrize("on_nan", ["stop", "skip"])
def test_a_gradient_that_is_not_finite_moves_nothing(run, monkeypatch, weights_of, on_nan, capsys):
    """With a sound loss: as where a square root is 0."""
    original, seen = Recogniser.features, []

    def features(self, images):
        found = original(self, images)
        if self.training and found.requires_grad:
            seen.append(len(images))
            if len(seen) == 2:
                found.register_hook(lambda gradient: gradient * float("inf"))
        return found

    monkeypatch.setattr(Recogniser, "features", features)
    if on_nan == "skip":
        artifacts = run(epochs=1, loss__on_nan=on_nan)
        assert all(tensor.isfinite().all() for tensor in weights_of(artifacts).values())
        assert "1 batches left out" in capsys.readouterr().out
        return
    with pytest.raises(FacelineError, match="the gradient of the identity loss is not finite in epoch 1") as caught:
        run(epochs=1)
    recogniser, _ = load_recogniser(Path(str(caught.value).rsplit(" ", 1)[1]))
    assert all(tensor.isfinite().all() for tensor in recogniser.state_dict().values())


def test_a_nan_within_the_network_does_not_stay_in_its_statistics(run, monkeypatch, weights_of):
    """Where it begins before the first BatchNorm."""
    original, seen = Recogniser.features, []

    def features(self, images):
        if not self.training:
            return original(self, images)
        seen.append(len(images))
        return original(self, images.float() * float("nan") if len(seen) == 2 else images)

    monkeypatch.setattr(Recogniser, "features", features)
    artifacts = run(epochs=2, loss__on_nan="skip")
    assert all(tensor.isfinite().all() for tensor in weights_of(artifacts).values())


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "4"}, "4 processes were started, and 1 on each of 1 machines are asked for"),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}, "2 processes were started"),
    ],
)
def test_processes_that_were_not_asked_for_are_told(run, monkeypatch, environment, message):
    """They would each train for themselves, into one folder."""
    torchrun = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "x",
        "MASTER_ADDR": "localhost",
    }
    for name, value in {**torchrun, "MASTER_PORT": "1", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FacelineError, match=message):
        run(epochs=1)


def test_people_with_few_faces_weigh_as_much_as_others(run, processed):
    """By the loss, each face by 1 / its person's number of faces; by sampling, each person as often."""
    for photo in sorted((processed / "train/person_00").glob("*.jpg"))[1:]:
        photo.unlink()
    seen = []
    original = Classifier.training_step

    def training_step(self, batch, index):
        seen.append((batch.labels.tolist(), self.face_weights))
        return original(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", training_step)
        run("loss", epochs=1, loss__balance="loss", batch_size=13)
        labels, weights = seen.pop()
        assert sorted(labels) == [0] + [1] * 4 + [2] * 4 + [3] * 4
        torch.testing.assert_close(weights, torch.tensor([13 / 4, 13 / 16, 13 / 16, 13 / 16]))
        run("sampling", epochs=1, loss__balance="sampling", batch_size=13)
    labels, weights = seen.pop()
    assert weights is None
    assert sorted(labels.count(label) for label in range(4)) == [3, 3, 3, 4]


def test_precision_auto_measures_once_and_keeps_to_it(run, monkeypatch, capsys):
    import faceline_core.training.precision as module

    timed = []

    def seconds(_trial, _network, _inputs, precision):
        timed.append(precision)
        return {32: 1.0, "bf16": took}[precision]

    monkeypatch.setattr(module, "_seconds", seconds)
    took = 0.5
    run("fast", epochs=1, trainer__precision="auto")
    took = 2.0
    run("fast", epochs=1, trainer__precision="auto", lr=0.002)
    assert timed == [32, "bf16", 32, "bf16", "bf16", 32, 32, "bf16"], "by turns, and the second run remembers"
    run("slow", epochs=1, trainer__precision="auto")
    took = 0.5
    with monkeypatch.context() as patch:
        patch.setattr(module, "_alike", lambda *_: False)
        run("unsafe", epochs=1, trainer__precision="auto")
    took = 0.85
    run("hardly", epochs=1, trainer__precision="auto")
    lines = capsys.readouterr().out.splitlines()
    found = [line.split(", cpu in ")[1].split(",")[0] for line in lines if "cpu in" in line]
    assert found == ["bf16", "bf16", "32 bit", "32 bit", "32 bit"]
    measured = [line.replace(line.rsplit(" ", 1)[1], "FILE") for line in lines if "precision: " in line]
    assert measured == [
        "[train] precision: bf16 (0.5 s a step, 32 1 s; measured once, FILE",
        "[train] precision: 32 (1 s a step, bf16 2 s: taken where 1.25 times as fast; measured once, FILE",
        "[train] precision: 32 (1 s a step, bf16 0.5 s, but its outputs are not those of 32; measured once, FILE",
        "[train] precision: 32 (1 s a step, bf16 0.85 s: taken where 1.25 times as fast; measured once, FILE",
    ]
