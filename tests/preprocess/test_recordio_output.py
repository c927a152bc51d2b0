"""`preprocess.format: recordio` on drawn people: the same faces as in folders, and what trains on them."""

import numpy as np
import pytest
import torch

import faceline_preprocess
import faceline_train
from faceline_core.data.processed import open_processed
from faceline_core.data.recordio import RecordFile
from faceline_preprocess.preprocessing import preprocess
from faceline_preprocess.splitting import KNOWN, SPLITS, hold_back
from faceline_sample.dataset import draw_dataset
from faceline_train.training import train

SIZE = 32
PREPROCESS = {
    "seed": 42,
    "data": "data/sample",
    "img_size": SIZE,
    "preprocess.num_workers": 0,
    "preprocess.blur_levels": [0.0, 1.0],
    "preprocess.unseen_identities": 0.67,
    "preprocess.val_ratio": 0.25,
    "preprocess.test_ratio": 0.25,
}
TRAIN = {
    "model_name": "mobilenet_v3_small",
    "img_size": SIZE,
    "epochs": 1,
    "batch_size": 4,
    "dataset.num_workers": 0,
    "trainer.accelerator": "cpu",
    "loss_weights.occlusion": 0.3,  # which the masks are for
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, parameters_with):
    """Six people of four photos, of whom the first to train on keeps two, too few for val, and one mask less."""
    root = tmp_path_factory.mktemp("drawn")
    draw_dataset(6, 4, 0, 3, root / "data/sample", processes=1)
    people = sorted((root / "data/sample/recognition/people").iterdir())
    unseen, seed = PREPROCESS["preprocess.unseen_identities"], PREPROCESS["seed"]
    held_back = hold_back([person.name for person in people], unseen, seed)
    first = next(person for person in people if person.name not in held_back)
    kept, *_, third, fourth = sorted(first.iterdir())
    third.unlink()
    fourth.unlink()
    (root / f"data/sample/recognition/masks/{first.name}/{kept.stem}.png").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for form in ("folder", "recordio"):
            preprocess(parameters_with(faceline_preprocess.KEYS, PREPROCESS | {"preprocess.format": form}))
            (root / "data/processed").rename(root / form)
    return {form: root / form for form in ("folder", "recordio")}


def test_few_files_and_the_same_manifest(outputs):
    files = {path.relative_to(outputs["recordio"]).as_posix() for path in outputs["recordio"].rglob("*")}
    assert files == {"manifest.csv", "property"} | {
        f"{split}{end}" for split in SPLITS for end in (".rec", ".idx", ".names", "_masks.rec", "_masks.idx")
    }
    assert len({(folder / "manifest.csv").read_bytes() for folder in outputs.values()}) == 1
    people = len(open_processed(outputs["folder"], "train", SIZE).classes)
    assert (outputs["recordio"] / "property").read_text() == f"{people},{SIZE},{SIZE}\n"


def test_every_split_has_the_same_faces_people_and_masks(outputs):
    unknown = 0
    for split in SPLITS:
        plain, packed = (open_processed(outputs[form], split, SIZE) for form in ("folder", "recordio"))
        assert (packed.classes, packed.labels) == (plain.classes, plain.labels)
        assert list(packed.sources) == list(plain.sources)
        for index in range(len(plain)):
            assert np.array_equal(packed.face(index), plain.face(index))
            mine, theirs = packed.mask(index), plain.mask(index)
            assert np.array_equal(mine, theirs) if theirs is not None else mine is None
            unknown += mine is None
    assert unknown == 2, "the photo whose mask was taken away, and its blurred copy"


def test_labels_run_from_0_and_are_the_same_in_train_val_and_test(outputs):
    numbers = {}
    for split in KNOWN:
        labels = RecordFile(outputs["recordio"] / f"{split}.rec").labels().tolist()
        faces = open_processed(outputs["recordio"], split, SIZE)
        numbers[split] = dict(zip([faces.classes[label] for label in faces.labels], labels, strict=True))
    assert sorted(numbers["train"].values()) == list(range(len(numbers["train"])))
    assert len(numbers["val"]) == 1
    assert numbers["val"].items() | numbers["test"].items() <= numbers["train"].items()


def test_training_on_either_gives_the_same_weights(outputs, tmp_path, parameters_with):
    weights = {}
    for form, folder in outputs.items():
        settings = TRAIN | {"dataset.format": form, "dataset.path": str(folder)}
        train(parameters_with(faceline_train.KEYS, settings), tmp_path / form)
        content = torch.load(tmp_path / form / "checkpoints/final_model.pth", weights_only=True)
        weights[form] = content["state_dict"]
        assert content["classes"] == open_processed(folder, "train", SIZE).classes
    assert weights["folder"].keys() == weights["recordio"].keys()
    for name, tensor in weights["folder"].items():
        torch.testing.assert_close(weights["recordio"][name], tensor, atol=0, rtol=0)
