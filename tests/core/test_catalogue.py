import pytest
import yaml

from faceline_core.errors import FacelineError
from faceline_core.models import torchvision_networks
from faceline_core.models.backbones import find_backbone
from faceline_core.models.catalogue import read_catalogue
from faceline_core.models.listing import describe_models


def error(call, *arguments, **named) -> str:
    with pytest.raises(FacelineError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CATALOGUE = """
mine: {constructor: torchvision/resnet18, img_size: 96, weights: data/mine.pth, mean: [0.1, 0.2, 0.3],
       std: [0.5, 0.5, 0.25], channel_order: bgr}
plain: {constructor: mobilefacenet}
resnet18: {constructor: ir/ir_18}
"""


def test_the_catalogue_names_networks_and_changes_what_is_usual(tmp_path):
    file = tmp_path / "models.yaml"
    file.write_text(CATALOGUE)
    mine = find_backbone("mine", 64, file)
    assert (mine.constructor, mine.img_size, mine.dim) == ("torchvision/resnet18", 64, 512)
    assert mine.weights == "data/mine.pth"
    assert mine.normalisation.mean == (0.1, 0.2, 0.3)
    assert mine.normalisation.std == (0.5, 0.5, 0.25)
    assert (mine.normalisation.channel_order, mine.order_declared) == ("bgr", True)
    assert find_backbone("resnet18", 64, file).constructor == "ir/ir_18"
    assert find_backbone("resnet34", 64, file).constructor == "torchvision/resnet34"
    plain = find_backbone("plain", 112, file)
    assert (plain.normalisation, plain.order_declared) == (find_backbone("mobilefacenet", 112).normalisation, False)
    assert "did you mean plain" in error(find_backbone, "plane", 112, file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {constructr: mobilefacenet}", "a.constructr: unknown key; did you mean constructor?"),
        ("a: {img_size: 112}", "a.constructor is missing"),
        ("a: {constructor: tensorflow/x}", "a.constructor: tensorflow/x is of no known family"),
        ("a: {constructor: ir/ir_51}", "did you mean ir/ir_50"),
        ("a: {constructor: torchvision/resnet17}", "did you mean resnet"),
        ("a: {constructor: ir/ir_18, mean: [0.5, 0.5]}", "a.mean"),
        ("a: {constructor: ir/ir_18, std: [0.5, 0.5, 0]}", "a.std.2: should be greater than 0, found 0"),
        ("a: {constructor: ir/ir_18, channel_order: gbr}", "a.channel_order: should be 'rgb' or 'bgr', found 'gbr'"),
        ("a: {constructor: ir/ir_18, img_size: true}", "a.img_size"),
        ("a: ir/ir_18", "expected a name with a constructor below it"),
        ("a: {constructor: ir/ir_18}\na: {constructor: ir/ir_34}", "a stands there twice (line 2)"),
        ("a: {constructor: ir/ir_18, img_size: 64, img_size: 112}", "img_size stands there twice"),
        ("a: [", "is not YAML"),
        ("- a", "expected names of networks, found list"),
    ],
)
def test_a_catalogue_that_does_not_do_is_told_by_file_entry_and_key(tmp_path, text, expected):
    file = tmp_path / "models.yaml"
    file.write_text(text)
    message = error(find_backbone, "a", 112, file)
    assert expected in message
    assert str(file) in message or "did you mean" in message


def test_without_a_catalogue_the_families_names_are_known(tmp_path):
    assert read_catalogue(tmp_path / "none.yaml") == {}
    assert find_backbone("ir_18", 112, tmp_path / "none.yaml").constructor == "ir/ir_18"


def test_every_entry_of_the_shipped_catalogue_is_a_network(request):
    file = request.config.rootpath / "models.yaml"
    entries = read_catalogue(file)
    assert len(entries) >= 15
    for name, entry in entries.items():
        assert find_backbone(name, entry.img_size, file).constructor == entry.constructor


def test_the_table_of_networks(tmp_path):
    file = tmp_path / "models.yaml"
    entries = {"ir_18": "ir/ir_18", "small": "torchvision/mobilenet_v3_small", "wrong": "torchvision/resnet17"}
    file.write_text(yaml.safe_dump({name: {"constructor": constructor} for name, constructor in entries.items()}))
    lines = describe_models(file)
    assert lines[1].split() == ["ir_18", "112", "512", "24.02", "2.60", "-"]
    assert lines[2].split() == ["small", "224", "576", "0.93", "0.05", "mobilenet_v3_small-047dcff4.pth"]
    assert lines[3].split(maxsplit=1)[0] == "wrong"
    assert "did you mean resnet" in lines[3]
    assert f"{len(torchvision_networks.names())} classification networks of torchvision" in lines[-1]
    assert "timm/<name>" in lines[-1]
    without = [line.split()[0] for line in describe_models(tmp_path / "none.yaml")[1:7]]
    assert without == ["ir_18", "ir_34", "ir_50", "ir_101", "mobilefacenet", "inception_resnet_v1"]
