"""The losses on feature maps within a run: they reach the backbone, are logged, and cost nothing where they are off."""

import cv2
import numpy as np
import pytest
import torch

from faceline_core.data.verification_set import write_verification_set
from faceline_core.errors import FacelineError
from faceline_core.models import pair_scores
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.models.recogniser import Recogniser
from faceline_core.verification.combining import statistics_from
from faceline_train.loading import Batch
from faceline_train.parts import MapLosses, parts_of
from faceline_train.validating import validate

NETWORK = {"model_name": "ir_18", "img_size": 32, "head": "adaface"}
WHOLE = {
    "loss_weights__identity": 0.1,
    "loss_weights__local": 0.7,
    "loss_weights__occlusion": 0.3,
    "augment__occlude": 0.5,
    "validation__split": "unseen_val",
}


def weights(**given):
    every = {"identity": 0.0, "local": 0.0, "occlusion": 0.0} | given
    held_back = {} if every["identity"] else {"validation__split": "unseen_val"}  # nobody is named
    return {f"loss_weights__{name}": value for name, value in every.items()} | held_back


@pytest.fixture
def masks(processed):
    """White masks for the training faces of the first two people, of which one face has a black upper half."""
    for person in ("person_00", "person_01"):
        for face in sorted((processed / "train" / person).iterdir()):
            mask = np.full((32, 32), 255, np.uint8)
            if face.stem == "0":
                mask[:16] = 0
            path = processed / "masks/train" / person / f"{face.stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), mask)
    return processed / "masks"


@pytest.mark.parametrize("part", ["identity", "local", "occlusion"])
@pytest.mark.parametrize("detach", [False, True])
def test_each_part_alone_moves_the_first_convolution(settings, part, detach):
    torch.manual_seed(0)
    parameters = settings(**NETWORK, **weights(**{part: 1.0}), occlusion__detach=detach)
    recogniser = Recogniser("ir_18", 32, ["a", "b"], head="adaface", parts=parts_of(parameters)).train()
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 1, 1])
    if part == "identity":
        loss = torch.nn.functional.cross_entropy(recogniser(images, labels), labels)
    else:
        _, maps = recogniser.features_and_map(images)
        masks = torch.zeros(4, 32, 32, dtype=torch.uint8)
        found = MapLosses(parameters)(recogniser, maps, labels, masks, torch.ones(4, dtype=torch.bool), epoch=0)
        assert list(found) == [part]
        loss = found[part]
    if part == "occlusion" and detach:
        loss.backward()
        assert recogniser.backbone.input_layer[0].weight.grad is None
        assert recogniser.occlusion_head.conv.weight.grad.abs().sum() > 0
        return
    loss.backward()
    assert recogniser.backbone.input_layer[0].weight.grad.abs().sum() > 0


def test_the_local_loss_does_not_train_the_occlusion_head(settings):
    torch.manual_seed(0)
    parameters = settings(**NETWORK, **weights(local=1.0, occlusion=1.0))
    recogniser = Recogniser("ir_18", 32, ["a", "b"], parts=parts_of(parameters)).train()
    _, maps = recogniser.features_and_map(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    masks, known = torch.zeros(4, 32, 32, dtype=torch.uint8), torch.ones(4, dtype=torch.bool)
    MapLosses(parameters)(recogniser, maps, torch.tensor([0, 0, 1, 1]), masks, known, 0)["local"].backward()
    assert all(parameter.grad is None for parameter in recogniser.occlusion_head.parameters())
    assert recogniser.matcher.fc.weight.grad.abs().sum() > 0


def test_the_whole_method_runs_and_its_checkpoint_has_everything(run, masks, content_of, assert_same):  # noqa: ARG001
    artifacts = run(**NETWORK, **WHOLE)
    content = content_of(artifacts, "best_model.pth")
    assert content["parts"] == {
        "matcher": True,
        "occlusion_head": True,
        "feature_map": 7,
        "visibility": "scaling",
        "max_bytes": 256 << 20,
    }
    recogniser, _ = load_recogniser(artifacts / "checkpoints/best_model.pth")
    assert_same(recogniser.state_dict(), content["state_dict"])
    statistics = statistics_from(content["score_statistics"])
    assert statistics.embedding_weight + statistics.local_weight == 1
    assert statistics.local_std > 0
    header, *rows = (artifacts / "train/history.csv").read_text().splitlines()
    columns = dict(zip(header.split(","), map(float, rows[-1].split(",")), strict=True))
    total = sum(
        weight * columns[f"train_{name}_loss"]
        for name, weight in (("identity", 0.1), ("local", 0.7), ("occlusion", 0.3))
    )
    assert columns["train_loss"] == pytest.approx(total, rel=1e-4)
    assert content["best"] in {float(row.split(",")[header.split(",").index("val_acc")]) for row in rows}
    assert {"val_acc", "val_embedding_acc", "val_local_acc", "val_known_acc", "val_loss"} <= set(columns)


def test_what_is_off_is_not_there(run, content_of):
    artifacts = run(**NETWORK)
    content = content_of(artifacts)
    assert not [name for name in content["state_dict"] if name.startswith(("matcher", "occlusion_head"))]
    assert content.get("score_statistics") is None
    header = (artifacts / "train/history.csv").read_text().splitlines()[0]
    assert header == "epoch,train_loss,train_acc,train_f1,val_loss,val_acc,val_f1,lr,seconds,data_seconds"


def test_the_local_part_joins_later(run, monkeypatch):
    """And an untrained matcher, here noise, has no say in which epoch is best."""
    noise = np.random.default_rng(0)
    monkeypatch.setattr(pair_scores, "local_scores", lambda _matcher, _seen, a, _b: noise.normal(size=len(a)))
    held_back = {"validation__split": "unseen_val"}
    artifacts = run(**NETWORK, **weights(identity=1.0, local=1.0), **held_back, local__start_epoch=1)
    header, first, second = (line.split(",") for line in (artifacts / "train/history.csv").read_text().splitlines())
    place = header.index("train_local_loss")
    assert float(first[place]) == 0
    assert float(second[place]) > 0
    together, embedding = header.index("val_acc"), header.index("val_embedding_acc")
    assert first[together] == first[embedding]
    assert second[together] != second[embedding]


@pytest.mark.parametrize("precision", [32, "bf16"])
def test_faces_that_a_part_leaves_out_are_counted(run, rows_of, monkeypatch, precision):
    """And the class memory is kept in what the backbone works in."""
    epochs: dict[int, list[list[int]]] = {}
    original = MapLosses.forward

    def forward(self, recogniser, maps, labels, *others):
        epochs.setdefault(others[-1], []).append(labels.tolist())
        assert self.memory.maps.dtype == {32: torch.float32, "bf16": torch.bfloat16}[precision]
        return original(self, recogniser, maps, labels, *others)

    monkeypatch.setattr(MapLosses, "forward", forward)
    given = NETWORK | weights(identity=1.0, local=1.0) | {"local__class_memory": True, "batch_size": 3, "epochs": 2}
    rows = rows_of(run(**given, trainer__precision=precision))
    seen: set[int] = set()
    for epoch, row in enumerate(rows):
        alone = first = 0
        for labels in epochs[epoch]:
            alone += sum(labels.count(label) in (1, len(labels)) for label in labels)
            first += sum(label not in seen for label in labels)
            seen.update(labels)
        assert (row["train_triplet_left_out"], row["train_memory_left_out"]) == (alone, first)
    assert rows[0]["train_triplet_left_out"] > 0
    assert rows[0]["train_memory_left_out"] > 0


@pytest.mark.parametrize(("memory", "sampler"), [(False, "pk"), (True, "graph")])
def test_a_stopped_run_of_the_whole_method_goes_on_to_the_same_weights(
    run,
    masks,  # noqa: ARG001
    weights_of,
    assert_same,
    memory,
    sampler,
):
    class StoppedError(Exception):
        pass

    def stop(epoch, _row):
        if epoch == 2:
            raise StoppedError

    given = NETWORK | WHOLE | {"local__class_memory": memory, "dataset__sampler": sampler, "batch_size": 8, "epochs": 3}
    expected = weights_of(run("whole", **given))
    with pytest.raises(StoppedError):
        run("stopped", stop, **given)
    assert_same(weights_of(run("stopped", **given)), expected)


def test_a_finished_run_of_the_whole_method_goes_on_from_its_file(run, masks, rows_of):  # noqa: ARG001
    given = NETWORK | WHOLE | {"local__class_memory": True, "dataset__sampler": "pk", "batch_size": 8}
    first = run("first", **given, epochs=1)
    rows = rows_of(run("more", **given, epochs=2, ckpt_path=str(first / "checkpoints/final_model.pth")))
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["train_memory_left_out"] == 0, "the memory came along"
    with pytest.raises(
        FacelineError, match=r"does not fit ir_18 .*first: \S*(matcher|occlusion_head).*, feature_map, and"
    ):
        run("other", **given, epochs=2, ckpt_path=str(first / "checkpoints/final_model.pth"), feature_map=14)


def test_batches_tell_what_is_visible(run, masks, monkeypatch):  # noqa: ARG001
    seen: list[Batch] = []
    original = MapLosses.forward

    def forward(self, recogniser, maps, labels, shown, known, epoch):
        seen.append((labels, shown, known))
        return original(self, recogniser, maps, labels, shown, known, epoch)

    monkeypatch.setattr(MapLosses, "forward", forward)
    run(**NETWORK, **weights(identity=1.0, occlusion=1.0), augment__preset="none", epochs=1, batch_size=16)
    ((labels, shown, known),) = seen
    assert torch.equal(known, labels < 2)  # the other two people have no masks
    upper = (shown[:, :16] == 0).flatten(1).all(1)
    assert upper.sum() == 2
    assert (shown[:, 16:] == 255).all()


def test_drawn_occluders_multiply_the_mask_on_file(settings):
    from faceline_train.augmentation import Augmentation

    parameters = settings(augment__occlude=1.0, augment__occluders=["medical_mask"], augment__preset="none")
    augmentation = Augmentation(parameters.augment, seed=0, img_size=112)
    face, mask = np.full((112, 112, 3), 128, np.uint8), np.full((112, 112), 255, np.uint8)
    mask[:, :20] = 0
    _, drawn = augmentation.with_mask(face, np.full((112, 112), 255, np.uint8), 0, 0)
    seen, both = augmentation.with_mask(face, mask, 0, 0)
    assert np.array_equal(both, np.minimum(drawn, mask))
    assert (drawn == 0).any()
    assert np.array_equal(seen, augmentation(face, 0, 0))
    assert (seen[drawn == 255] == 128).mean() > 0.95  # but for the occluder's soft edge


def test_a_mask_moves_with_its_face(settings):
    from faceline_train.augmentation import Augmentation

    augmentation = Augmentation(settings(augment__preset="standard").augment, seed=0, img_size=64)
    face = np.zeros((64, 64, 3), np.uint8)
    face[10:40, 5:30] = 255
    mask = np.where(face[..., 0] > 0, 0, 255).astype(np.uint8)
    for index in range(20):
        seen, shown = augmentation.with_mask(face, mask, 0, index)
        hidden, bright = shown == 0, seen[..., 0] > 100
        assert (hidden & bright).sum() / (hidden | bright).sum() > 0.85, index


def test_nothing_to_see_is_told(run):
    with pytest.raises(FacelineError, match=r"the training faces have no masks.*augment.occlude: 0.5"):
        run(**NETWORK, **weights(identity=1.0, occlusion=1.0))


def test_nobody_held_back_is_told(run, processed):
    import shutil

    shutil.rmtree(processed / "unseen_val")
    with pytest.raises(FacelineError, match=r"validation.split: unseen_val, but .* has no unseen_val"):
        run(**NETWORK, validation__split="unseen_val")


def test_a_mask_of_another_size_is_told(run, masks):
    cv2.imwrite(str(masks / "train/person_00/1.png"), np.zeros((20, 20), np.uint8))
    with pytest.raises(FacelineError, match=r"person_00/1.png is a mask of 20 x 20 px, its face has 32 x 32"):
        run(**NETWORK, **weights(identity=1.0, occlusion=1.0))


def test_a_part_that_is_no_number_is_named(run, monkeypatch):
    monkeypatch.setattr(
        "faceline_train.parts.pairwise_matching_loss", lambda scores, _labels: scores.sum() * float("nan")
    )
    with pytest.raises(FacelineError, match=r"the local loss is nan in epoch 1, step 1 .*The weights at that moment"):
        run(**NETWORK, **weights(identity=1.0, local=1.0))


def test_a_checkpoint_chosen_before_the_matcher_was_trained_does_without_it(run, content_of):
    given = {"checkpoint__monitor": "train_local_loss", "checkpoint__mode": "min"}  # 0 in the epoch that waits
    artifacts = run(**NETWORK, **weights(identity=1.0, local=1.0), **given, local__start_epoch=1, epochs=2)
    best = content_of(artifacts, "best_model.pth")
    assert best["epoch"] == 1
    statistics = statistics_from(best["score_statistics"])
    assert (statistics.embedding_weight, statistics.local_weight) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_weights__triplet": 0.0}, "was trained with loss_weights.triplet: above 0, found 0"),
        ({"local__class_memory": True}, "was trained with local.class_memory: False, found True"),
        ({"validation__split": "unseen_val"}, "was trained with validation.split: val, found unseen_val"),
    ],
)
def test_a_state_goes_on_with_the_parts_that_it_is_of(run, changes, message):
    given = NETWORK | weights(identity=1.0, local=1.0)
    first = run("first", **given, epochs=1)
    with pytest.raises(FacelineError) as caught:
        run("next", **given | changes, epochs=2, ckpt_path=str(first / "checkpoints/final_model.pth"))
    assert message in str(caught.value)


def test_a_set_may_come_and_go_between_runs(run, tmp_path, processed):
    folder = tmp_path / "benchmarks"
    pictures = [path.read_bytes() for path in sorted((processed / "unseen_val").glob("*/*.jpg"))[:20]]
    write_verification_set(folder / "gone.bin", pictures, [True] * 5 + [False] * 5)
    given = {**NETWORK, "validation__benchmarks": str(folder)}
    first = run("first", **given, epochs=1)
    (folder / "gone.bin").rename(folder / "new.bin")
    artifacts = run("next", **given, epochs=2, ckpt_path=str(first / "checkpoints/final_model.pth"))
    lines = (artifacts / "train/history.csv").read_text().splitlines()
    header, before, after = (line.split(",") for line in lines)
    for name, empty, full in (("gone_acc", after, before), ("new_acc", before, after)):
        assert empty[header.index(name)] == ""
        assert 0 <= float(full[header.index(name)]) <= 1


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("val", 10, "taken for a figure of the run itself"),
        ("small", 9, "holds 9 pairs, and its accuracy is taken over 10"),
    ],
)
def test_a_set_that_does_not_do_is_told(run, tmp_path, processed, name, pairs, message):
    pictures = [path.read_bytes() for path in sorted((processed / "unseen_val").glob("*/*.jpg"))[: 2 * pairs]]
    write_verification_set(
        tmp_path / f"benchmarks/{name}.bin", pictures, [True, False] * (pairs // 2) + [True] * (pairs % 2)
    )
    with pytest.raises(FacelineError, match=message):
        run(**NETWORK, validation__benchmarks=str(tmp_path / "benchmarks"))


def test_validating_needs_nothing_to_train_on(run, settings, processed):
    artifacts = run(**NETWORK, **weights(identity=1.0, occlusion=1.0), augment__occlude=0.5, epochs=1)
    parameters = settings(dataset__path=str(processed), img_size=32)
    assert 0 <= validate(parameters, artifacts / "checkpoints/best_model.pth", artifacts)["val_acc"] <= 1
