import argparse
import pickle
import random
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models.mobilefacenet import MobileFaceNet
from faceline_core.tensors.tensor_file import read_tensor_file


def error(call, *arguments, **named) -> str:
    with pytest.raises(FacelineError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class _Evil:
    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


class _EvilState(dict):
    def __init__(self, trace: Path):
        super().__init__(a=_Evil(trace))

    def __reduce_ex__(self, _protocol):
        return (getattr, (_Evil(self["a"].trace), "__class__"), {"x": _Evil(self["a"].trace)})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", [_Evil, _EvilState])
def test_nothing_of_a_file_is_run(tmp_path, zipped, kind):
    source = MobileFaceNet().state_dict()
    trace = tmp_path / "was-here"
    content = {"evil": kind(trace), "state_dict": source, "again": [kind(trace)]}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    read = read_tensor_file(tmp_path / "evil.pth")["state_dict"]
    assert all(torch.equal(read[name], tensor) for name, tensor in source.items())
    assert not trace.exists()
    if kind is _Evil:
        torch.load(tmp_path / "evil.pth", weights_only=False)
        assert trace.exists()  # the file does what it is meant to do where code is run


def test_a_pickle_that_torch_did_not_write_is_not_run(tmp_path):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(_Evil(tmp_path / "was-here")))
    assert "of another kind" in error(read_tensor_file, tmp_path / "evil.pth")
    assert not (tmp_path / "was-here").exists()


def test_nothing_that_a_file_names_is_imported():
    from io import BytesIO

    from faceline_core.tensors import inert_unpickling

    read = inert_unpickling.load(BytesIO(b"(lp0\ncantigravity\nfly\n(I1\ntRp1\nacthis.that\nClass\np2\na."))
    assert [type(one).__name__ for one in read] == ["Placeholder", "type"]
    assert not {"antigravity", "this"} & set(sys.modules)


@pytest.mark.parametrize(
    "code",
    [
        # push a global that may be called, then a state that would change it
        b"ctorch._utils\n_rebuild_tensor_v2\nN}U\x0c__defaults__)s\x86b.",
        b"ccollections\nOrderedDict\nN}U\x04keysK\x01s\x86b.",
        b"cnumpy\ndtype\n(U\x02O8I0\nI1\ntR.",
        b"c_codecs\nencode\n(U\x01xU\x03hextR.",
    ],
)
def test_a_file_changes_no_function_and_builds_no_other_values(code):
    from io import BytesIO

    from faceline_core.tensors import inert_unpickling

    with pytest.raises(pickle.UnpicklingError):
        inert_unpickling.load(BytesIO(code))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == (None,)


def test_a_torchscript_archive_is_not_run(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    assert "of another kind" in error(read_tensor_file, tmp_path / "script.pt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("foreign", [True, False])
def test_a_damaged_file_is_told_whatever_the_damage(tmp_path, zipped, foreign):
    whole = tmp_path / "whole.pth"
    content = {"weight": torch.arange(50.0), "n": 3, "by": argparse.Namespace(a=1) if foreign else None}
    torch.save(content, whole, _use_new_zipfile_serialization=zipped)
    data = whole.read_bytes()
    rng = random.Random(0)  # noqa: S311
    told = 0
    for _ in range(150):
        changed = bytearray(data[: rng.randrange(1, len(data))] if rng.random() < 0.3 else data)
        for _ in range(rng.randrange(4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        (tmp_path / "damaged.pth").write_bytes(changed)
        try:
            read_tensor_file(tmp_path / "damaged.pth")
        except FacelineError:
            told += 1
    assert told > 50
