"""What is in the images."""

import json
import subprocess
from itertools import takewhile

import pytest

CV2_ALONE = """
import ctypes.util, importlib.metadata, cv2
print(ctypes.util.find_library("GL"))
print([name for d in importlib.metadata.distributions() if (name := d.name).startswith("opencv")])
"""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_they_share_all_but_their_source(images):
    layers = [json.loads(run("docker", "image", "inspect", "-f", "{{json .RootFS.Layers}}", name)) for name in images]
    shared = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*layers, strict=False))))
    for name, own in zip(images, layers, strict=True):
        history = run("docker", "history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", name).splitlines()
        filled = [line.split(maxsplit=1) for line in history if "ENTRYPOINT" not in line][: len(own) - shared]
        assert all("/opt/faceline/" in created for _, created in filled), name
        assert sum(int(size) for size, _ in filled) < 2e6, name


@pytest.mark.parametrize("stage", ["sample", "detect", "preprocess", "train", "evaluate", "export"])
def test_the_baked_code_answers(images, stage):
    assert f"faceline-{stage}" in images
    assert run("docker", "run", "--rm", f"faceline-{stage}", "--version").startswith(f"faceline-{stage} ")


def test_opencv_is_the_headless_one_and_needs_no_libgl(images):
    output = run("docker", "run", "--rm", "--entrypoint", "python", images[0], "-c", CV2_ALONE)
    assert output.splitlines() == ["None", "['opencv-python-headless']"]


def test_gpus_are_reserved_by_the_second_compose_file(fresh_clone):
    both = "docker-compose.yml:compose.gpu.yaml"
    config = json.loads(fresh_clone.run("docker", "compose", "config", "--format", "json", COMPOSE_FILE=both))
    assert config["name"] == "faceline"
    for name, service in config["services"].items():
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        expected = [] if name == "sample" else [("nvidia", -1, ["gpu"])]
        assert [(device["driver"], device["count"], device["capabilities"]) for device in devices] == expected
        assert service["init"]
        assert int(service["shm_size"]) == 2 << 30
