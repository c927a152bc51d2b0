"""Small photo sets, and the stage as a user runs it."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from faceline_core.parameters import read_parameters
from faceline_preprocess import KEYS

PARAMS = Path(__file__).parents[2] / "params.yaml"


class Project:
    """A folder with params.yaml and data/photos, in which the stage is run as its own process."""

    def __init__(self, folder):
        self.folder = folder
        self.people = folder / "data/photos/recognition/people"
        self.people.mkdir(parents=True)
        self.processed = folder / "data/processed"
        self.set()

    def set(self, **changes):
        """Writes params.yaml: the repository's, with `data` here and values of `preprocess` changed."""
        values = yaml.safe_load(PARAMS.read_text())
        values |= {"data": "data/photos", "img_size": 112}
        for key, value in changes.items():
            (values if key in values else values["preprocess"])[key] = value
        (self.folder / "params.yaml").write_text(yaml.safe_dump(values))
        return read_parameters(self.folder / "params.yaml", KEYS)

    def start(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
        environment.pop("DVC_STAGE", None)
        return subprocess.Popen(
            [sys.executable, "-m", "faceline_preprocess"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self):
        """Returns exit code, stdout and stderr."""
        process = self.start()
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def manifest(self):
        with (self.processed / "manifest.csv").open() as file:
            return list(csv.DictReader(file))

    def files(self):
        """Everything in data/processed: path to bytes."""
        paths = [path for path in self.processed.rglob("*") if path.is_file()]
        return {path.relative_to(self.processed).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def lfw(real_data):
    """A function that copies photos of real people into a project."""
    folders = sorted((real_data / "recognition/people").iterdir())

    def copy(project, people, photos):
        for folder in folders[:people]:
            (project.people / folder.name).mkdir()
            for photo in sorted(folder.iterdir())[:photos]:
                shutil.copy(photo, project.people / folder.name / photo.name)

    return copy
