"""Each recipe trains: a dry run on a few faces of its size, from scratch where its weights would have to be fetched."""

from pathlib import Path

import pytest
import yaml

import faceline_train
from faceline_core.parameters.reading import StageParameters
from faceline_core.parameters.schema import Parameters
from faceline_train.training import train

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
RECIPES = [recipe for recipe in RECIPES if not recipe.stem.startswith("wider_")]  # for detectors: tests/detect


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains(recipe, tmp_path, write_processed, capsys):
    values = yaml.safe_load(recipe.read_text())
    alike = values["dataset"]["sampler"] == "shuffle"
    values |= {"weights": "none", "batch_size": min(values["batch_size"], 4 if alike else 16)}
    people, photos = (2, 4) if alike else (4, 6)
    values["dataset"]["path"] = str(write_processed(tmp_path, people, photos, values["img_size"]))
    values["trainer"] |= {"fast_dev_run": True, "precision": 32}
    train(StageParameters(Parameters.model_validate(values), faceline_train.KEYS), tmp_path / "artifacts")
    output = capsys.readouterr().out
    assert f"[train] {values['model_name']}" in output
    assert "fast_dev_run: a batch of training and one of validation went through" in output


def test_there_are_recipes():
    assert {recipe.stem for recipe in RECIPES} >= {
        *("frozen_head", "finetune_timm", "transfer_mobilenet", "transfer_efficientnet", "adaface_ir50"),
        *("occlusion_aware", "occlusion_aware_small"),
    }


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_searched_around_its_own_values(recipe):
    values = yaml.safe_load(recipe.read_text())
    for name, space in values["optuna"]["search_spaces"].items():
        own = values
        for part in name.split("."):
            own = own[part]
        inside = own in space["choices"] if "choices" in space else space["low"] <= own <= space["high"]
        assert inside, f"{name}: {own}"
