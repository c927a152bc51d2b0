"""`epochs: 0`: weights that are there as the detector."""

import dataclasses

import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_detect.retinaface import RetinaFace
from faceline_detect.retinaface.checkpoint import save
from faceline_detect.retinaface.searching import Search
from faceline_detect.training.retinaface import train_retinaface


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RetinaFace("mobilenet0.25")


@pytest.fixture
def taken(parameters_with, tmp_path):
    """A function: the content of the checkpoint that a run makes of a file."""

    def take(path):
        changes = {"detect.retinaface.weights": str(path), "detect.retinaface.epochs": 0, "detect.test.nms": 0.3}
        given = parameters_with(("detect", "trainer"), changes)
        trained = train_retinaface(given.detect, given.trainer, 0, None, tmp_path / "artifacts")
        assert (trained.history, trained.sheet) == (None, None)
        return read_tensor_file(trained.model)

    return take


@pytest.mark.parametrize("landmarks", [True, False])
def test_a_checkpoint_keeps_what_it_says_of_itself(network, taken, tmp_path, landmarks):
    save(tmp_path / "own.pth", network, Search(nms=0.6), side=640, epoch=7, parameters={"lr": 1.0}, landmarks=landmarks)
    before, after = read_tensor_file(tmp_path / "own.pth"), taken(tmp_path / "own.pth")
    assert after.pop("search") == dataclasses.asdict(Search(nms=0.3))
    states = before.pop("state_dict"), after.pop("state_dict")
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0] | states[1])
    assert after == {name: value for name, value in before.items() if name != "search"}


def test_published_weights_become_a_checkpoint(network, taken, tmp_path):
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    assert taken(tmp_path / "bare.pth")["backbone"] == "mobilenet0.25"


def test_a_part_of_a_network_is_no_detector(network, taken, tmp_path):
    """Its heads would be drawn at random."""
    torch.save(network.body.state_dict(), tmp_path / "body.pth")
    state = network.state_dict()
    state.pop("ClassHead.0.conv1x1.weight")
    torch.save(state, tmp_path / "most.pth")
    for name in ("body.pth", "most.pth"):
        with pytest.raises(FacelineError, match=f"{name} is no whole RetinaFace") as error:
            taken(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_run_that_was_stopped_stays(network, taken, tmp_path):
    stopped = tmp_path / "artifacts/.scratch/retinaface-0123456789abcdef/progress.ckpt"
    stopped.parent.mkdir(parents=True)
    stopped.touch()
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    taken(tmp_path / "bare.pth")
    assert stopped.exists()
