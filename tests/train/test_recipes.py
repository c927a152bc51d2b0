"""Each recipe trains: an epoch on a few faces of its size, from scratch where its weights would have to be fetched."""

from pathlib import Path

import pytest
import yaml

import faceline_train
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.parameters.reading import StageParameters
from faceline_core.parameters.schema import Parameters
from faceline_train.training import train

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains(recipe, tmp_path, write_processed):
    values = yaml.safe_load(recipe.read_text()) | {"weights": "none", "epochs": 1}
    processed = write_processed(tmp_path, people=2, photos=4, size=values["img_size"])
    train(StageParameters(Parameters.model_validate(values), faceline_train.KEYS), processed, tmp_path / "artifacts")
    recogniser, _ = load_recogniser(tmp_path / "artifacts/checkpoints/best_model.pth")
    assert recogniser.model_name == values["model_name"]


def test_there_are_recipes():
    assert {recipe.stem for recipe in RECIPES} >= {"transfer_mobilenet", "transfer_efficientnet"}
