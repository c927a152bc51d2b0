import math
import re
from pathlib import Path
from typing import get_args

import pytest

from faceline_core.errors import FacelineError
from faceline_core.occluders import KINDS
from faceline_core.parameters import read_parameters
from faceline_core.parameters.schema import Augment, Sample
from faceline_core.parameters.section import Occluder

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "params.yaml").read_text()
WEIGHTS_TO_START = TEXT[TEXT.index("loss_weights:") : TEXT.index("  visibility: ")]


def read(tmp_path: Path, old: str, new: str, keys: tuple[str, ...] = ("lr",)):
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    return read_parameters(path, keys)


@pytest.mark.parametrize(
    "path", [ROOT / "params.yaml", *sorted((ROOT / "recipes").glob("*.yaml"))], ids=lambda p: p.name
)
def test_every_complete_set_of_parameters_loads(path):
    assert read_parameters(path, ["seed"]).seed >= 0


@pytest.mark.parametrize("written", ["1e-05", "1e-5", "1E-05", "0.00001", ".1e-4", "1.e-05"])
def test_a_number_is_a_number_however_dvc_writes_it(tmp_path, written):
    lr = next(line for line in TEXT.splitlines() if line.startswith("lr:"))
    assert math.isclose(read(tmp_path, lr, f"lr: {written}").lr, 1e-5)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 42", "seed: 42\nlearning_rat: 1", "unknown key learning_rat"),
        ("\nlr: ", "\nlrr: ", "unknown key lrr: did you mean lr?"),
        ("  pick:", "  pik:", "unknown key preprocess.pik: did you mean preprocess.pick?"),
        ("\nepochs: 20\n", "\n", "epochs is missing"),
        ("seed: 42", "seed: .nan", "seed"),
        ("  val_ratio: 0.15", "  val_ratio: .nan", "preprocess.val_ratio: should be a finite number, found nan"),
        ("  val_ratio: 0.15", "  val_ratio: 0.9", "val_ratio + test_ratio is 1.1"),
        ("  exposure: [20, 240]", "  exposure: [240, 20]", "the lower bound 240 is not below the upper 20"),
        ("  occluded: 0.2", "  occluded: 1.2", "sample.occluded: should be less than or equal to 1, found 1.2"),
        ("  occluded: 0.2", "  occluded: true", "sample.occluded: should be a number or a word, not true or false"),
        (
            "  occluders: [medical_mask, sunglasses",
            "  occluders: [mask, sunglasses",
            "sample.occluders.0: should be 'med",
        ),
        (
            "  occluders: [medical_mask, sunglasses, scarf, hand]",
            "  occluders: []",
            "sample.occluders: List should have at least 1 item",
        ),
        ("  pick: central_largest", "  pick: biggest", "preprocess.pick: should be 'central_largest'"),
        ("seed: 42", "seed: [", "line"),
        ("seed: 42", "seed: {{seed}}", "near line 3 is not YAML: a key must be a word"),
        ("seed: 42", "seed: yes", "seed: should be a number or a word, not true or false, found True"),
        (
            "    lr: {distribution: loguniform, low:",
            "    lr: {distribution: loguniform, lo:",
            "unknown key optuna.search_spaces.lr.lo: did you mean optuna.search_spaces.lr.low?",
        ),
        (
            "loguniform, low: 0.000001",
            "loguniform, low: 0",
            "optuna.search_spaces.optimizer.weight_decay: loguniform needs a low above 0, found 0",
        ),
        (
            "  sampler: shuffle            # shuffle | pk | graph\n  instances_per_identity: 4",
            "  sampler: pk\n  instances_per_identity: 5",
            "batch_size 32 is no multiple of dataset.instances_per_identity 5. Set batch_size to 30 or 35",
        ),
        ("  min_images: 1", "  min_images: 0", "dataset.min_images: should be greater than or equal to 1, found 0"),
        ("only_weights_load: false", "only_weights_load: true", "takes the weights of ckpt_path, which is null"),
        ("  min_lr: 0.0000001", "  min_lr: 10", "scheduler.min_lr 10 is above lr 0.001"),
        ("  identity: 1.0 ", "  identity: 0.0 ", "identity, local and occlusion are all 0"),
        (
            "  identity: 1.0               # naming people\n  local: 0.0 ",
            "  identity: 0.0               # naming people\n  local: 1.0 ",
            "which loss_weights.identity: 0 leaves untrained. Set validation.split: unseen_val",
        ),
        (
            WEIGHTS_TO_START,
            WEIGHTS_TO_START.replace("local: 0.0 ", "local: 1.0 ").replace("start_epoch: 0 ", "start_epoch: 20 "),
            "local.start_epoch 20 is not below epochs 20: the matcher would never be trained",
        ),
        (
            WEIGHTS_TO_START,
            WEIGHTS_TO_START.replace("identity: 1.0 ", "identity: 0.0 ")
            .replace("local: 0.0 ", "local: 1.0 ")
            .replace("start_epoch: 0 ", "start_epoch: 1 "),
            "local.start_epoch 1 leaves nothing to train before it",
        ),
        ("run_name: null", "run_name: ../x", "run_name: should be up to 100 letters"),
        ("trainer:\n", "trainer:\n  deterministc: true\n", "did you mean trainer.deterministic?"),
        ("  milestones: [8, 12, 14]", "  milestones: [8, 8]", "each must be later than the one before it"),
        ("classes: null", "classes: [a, b, a]", "classes: a stands there twice"),
        ("seed: 42", "seed: 42\nseed: 43", "near line 4 is not YAML: the key 'seed' stands here a second time"),
    ],
)
def test_a_wrong_file_is_told_by_its_key(tmp_path, old, new, expected):
    with pytest.raises(FacelineError) as caught:
        read(tmp_path, old, new)
    assert expected in str(caught.value)
    assert str(tmp_path / "params.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_occluders_that_parameters_may_name_are_those_that_can_be_drawn():
    assert get_args(Occluder) == KINDS
    for section in (Sample, Augment):
        assert section.model_fields["occluders"].annotation == list[Occluder]


def test_a_misspelt_key_is_one_fault(tmp_path):
    with pytest.raises(FacelineError) as caught:
        read(tmp_path, "freeze_ratio:", "freze_ratio:")
    assert str(caught.value).endswith("params.yaml: unknown key freze_ratio: did you mean freeze_ratio?")


def test_a_missing_file_says_what_to_copy(tmp_path):
    with pytest.raises(FacelineError, match=r"recipes/\*\.yaml"):
        read_parameters(tmp_path / "params.yaml", ["lr"])


def test_a_stage_sees_only_what_it_declared(tmp_path):
    parameters = read(tmp_path, "seed: 42", "seed: 7", ("seed",))
    assert parameters.seed == 7
    assert parameters.as_dict() == {"seed": 7}
    with pytest.raises(AttributeError, match="'lr'"):
        _ = parameters.lr


@pytest.mark.parametrize("asked", ["class_memory: true", "sampler: graph"])
def test_the_nearest_people_need_columns_that_are_trained(tmp_path, asked):
    text = re.sub(rf"  {asked.split(':')[0]}: \w+", f"  {asked}", TEXT).replace("  local: 0.0 ", "  local: 1.0 ")
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert read_parameters(path, ["lr"]).lr > 0
    path.write_text(text.replace("  identity: 1.0 ", "  identity: 0.0 "))
    with pytest.raises(FacelineError, match=rf"{asked} takes the nearest people.*loss_weights.identity: 0"):
        read_parameters(path, ["lr"])
