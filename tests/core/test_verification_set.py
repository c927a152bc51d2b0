"""Verification sets: every form in which they are passed on, and files that would do harm."""

import pickle
import struct

import cv2
import numpy as np
import pytest

from faceline_core.data import plain_unpickling
from faceline_core.data.verification_set import open_verification_set, write_verification_set
from faceline_core.errors import FacelineError

SIZE = 16


def face(seed, size=SIZE):
    return cv2.resize(np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8), (size, size))


def encoded(picture, kind=".png"):
    return cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


FACES = [face(seed) for seed in range(8)]
PICTURES = [encoded(picture) for picture in FACES]
ARRAYS = [np.frombuffer(picture, np.uint8) for picture in PICTURES]
SAME = [True, False, False, True]


def python2(pictures, flags, protocol):
    """As Python 2 wrote them: checked against files of Python 2.7."""
    if protocol == 0:
        strings = [b"S" + repr(picture)[1:].encode() + b"\n" for picture in pictures]
        truths = [b"I0%d\n" % flag for flag in flags]
        lists = [b"(lp%d\n" % number + b"".join(item + b"a" for item in items) for number, items in
                 enumerate((strings, truths), 1)]  # fmt: skip
        return b"(" + b"".join(lists) + b"tp0\n."
    strings = [b"T" + struct.pack("<i", len(picture)) + picture + b"q\x05" for picture in pictures]
    truths = [b"\x88" if flag else b"\x89" for flag in flags]
    return b"\x80\x02]q\x01(" + b"".join(strings) + b"e]q\x02(" + b"".join(truths) + b"e\x86q\x03."


def as_numpy_1(content):
    """Its modules by the names that they had before NumPy 2, in text and behind a length."""
    for module in (b"numpy._core.multiarray", b"numpy._core.numeric"):
        earlier = module.replace(b"_core", b"core")
        content = content.replace(b"c" + module, b"c" + earlier)
        content = content.replace(bytes([0x8C, len(module)]) + module, bytes([0x8C, len(earlier)]) + earlier)
    return content


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "set.bin"
        path.write_bytes(content)
        return path

    return write


def test_what_is_written_is_what_the_field_reads(tmp_path):
    path = tmp_path / "new/set.bin"
    write_verification_set(path, (picture for picture in PICTURES), SAME)
    for options in ({}, {"encoding": "bytes"}, {"encoding": "latin1"}):
        with path.open("rb") as file:
            assert pickle.load(file, **options) == (PICTURES, SAME)  # noqa: S301
    assert path.read_bytes()[:2] == b"\x80\x02", "newer protocols are not for Python 2"
    found = open_verification_set(path, SIZE)
    assert (found.path, len(found), found.same.tolist()) == (path, 4, SAME)
    assert found.same.dtype == bool
    assert all((found.face(index) == FACES[index]).all() for index in range(8))
    for pictures, flags in ((PICTURES[:7], SAME), ([], []), ([*PICTURES[:7], b""], SAME)):
        with pytest.raises(ValueError, match=r"pictures \(\d empty\) for \d pairs, expected two each"):
            write_verification_set(path, pictures, flags)
    assert len(open_verification_set(path, SIZE)) == 4, "the earlier file stays"


FORMS = {
    **{f"lists, protocol {number}": pickle.dumps((PICTURES, SAME), number) for number in range(6)},
    **{f"Python 2, protocol {number}": python2(PICTURES, SAME, number) for number in (0, 2)},
    **{f"arrays, protocol {number}": pickle.dumps((ARRAYS, np.array(SAME)), number) for number in range(6)},
    **{f"numpy.bool, protocol {number}": pickle.dumps((PICTURES, list(np.array(SAME))), number) for number in range(6)},
    "tuples and numbers": pickle.dumps((tuple(PICTURES), [int(flag) for flag in SAME])),
    "numbers of NumPy": pickle.dumps((PICTURES, np.array(SAME, ">i4"))),
    "a list of both": pickle.dumps([PICTURES, SAME]),
    "one array twice": pickle.dumps(([ARRAYS[0]] * 2, [True]), 2),
}  # fmt: skip


@pytest.fixture
def leaves(monkeypatch):
    """Byte strings and texts from so many bytes on are left in the file."""
    return lambda size: monkeypatch.setattr(plain_unpickling, "_LEFT_FROM", size)


@pytest.mark.parametrize("left_from", [40, 1_000_000])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_faces(write, form, leaves, left_from):
    leaves(left_from)
    for content in {FORMS[form], as_numpy_1(FORMS[form])}:
        found = open_verification_set(write(content), SIZE)
        wanted = [FACES[0]] * 2 if form == "one array twice" else FACES
        assert found.same.tolist() == SAME[: len(wanted) // 2]
        assert all((found.face(index) == picture).all() for index, picture in enumerate(wanted))


def test_faces_of_another_size_are_resized(write):
    picture = face(1, 32)
    content = pickle.dumps(([encoded(picture), encoded(face(2, 8))], [False]))
    found = open_verification_set(write(content), SIZE)
    assert found.found_size == 32
    means = picture.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(found.face(0) - means).max() <= 1
    assert found.face(1).shape == (SIZE, SIZE, 3)
    assert np.abs(found.face(1)[::15, ::15].astype(int) - face(2, 8)[::7, ::7]).max() == 0
    assert open_verification_set(write(FORMS["lists, protocol 4"]), SIZE).found_size == SIZE


def test_colours_are_rgb(write):
    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[..., 0] = 200
    found = open_verification_set(write(pickle.dumps(([encoded(red, ".jpg")] * 2, [True]))), SIZE)
    assert np.abs(found.face(0).mean(axis=(0, 1)) - [200, 0, 0]).max() < 3


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ((PICTURES[:7], SAME), "it holds 7 pictures and 4 truth values, expected two for one"),
        ((PICTURES, SAME[:3]), "it holds 8 pictures and 3 truth values"),
        (([], []), "it holds 0 pictures"),
        (([*PICTURES[:7], "text"], SAME), "picture 7 is of type str, expected bytes"),
        (([*PICTURES[:7], None], SAME), "picture 7 is of type NoneType"),
        (([*PICTURES[:7], [PICTURES[7]]], SAME), "picture 7 is a list of 1"),
        (([*PICTURES[:7], FACES[7]], SAME), r"picture 7 is an array \(16, 16, 3\) of uint8"),
        ((PICTURES, [True, 2, True, True]), "truth value 1 is 2, expected True or False"),
        ((PICTURES, [True, None, True, True]), "truth value 1 is of type NoneType"),
        ((PICTURES, [True, 1 << 99, True, True]), "truth value 1 is of type int"),
        ((PICTURES, np.array([SAME])), r"truth values are an array \(1, 4\) of bool, expected a list"),
        ((PICTURES, b"1001"), "truth values are of type bytes"),
        ((b"".join(PICTURES), SAME), "pictures are of type bytes"),
        ((PICTURES, SAME, SAME), "it holds a tuple of 3, expected pictures and truth values"),
        (PICTURES[0], "it holds of type bytes"),
        (([PICTURES[0], b"no picture"], [True]), r"pair 0 \(picture 1\) does not decode"),
        (([PICTURES[0], encoded(FACES[0][:8])], [True]), r"\(picture 1\) is 16 x 8 px, expected a square"),
        (([b"no picture", PICTURES[0]], [True]), r"pair 0 \(picture 0\) does not decode"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("left_from", [40, 1_000_000])
def test_what_does_not_fit_is_one_line_with_the_file_and_the_place(write, value, what, leaves, left_from):
    leaves(left_from)
    with pytest.raises(FacelineError, match=what) as caught:
        open_verification_set(write(pickle.dumps(value)), SIZE).face(1)
    assert "set.bin" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_picture_of_too_many_pixels_is_refused(write, huge_picture):
    with pytest.raises(FacelineError, match=r"pair 0 \(picture 1\) does not decode"):
        open_verification_set(write(pickle.dumps(([PICTURES[0], huge_picture], [True]))), SIZE).face(1)


def test_a_missing_file(tmp_path):
    with pytest.raises(FacelineError, match=r"none\.bin is not there"):
        open_verification_set(tmp_path / "none.bin", SIZE)


TOUCH = b"touch the-file-was-run"
NUMPY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
HARM = {
    "os.system": (b"cos\nsystem\n(S'%b'\ntR." % TOUCH, r"it names 'os\.system'"),
    "posix, protocol 4": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93C\x16" + TOUCH + b"\x85R.", r"names 'posix\.sys"),
    "a name with dots": (b"\x80\x04\x8c\x05numpy\x8c\x10test.os.system.x\x93.", r"names 'numpy\.test\.os"),
    "a class made": (b"(S'%b'\nios\nsystem\n." % TOUCH, "the instruction INST"),
    "a class made, protocol 1": (b"(cos\nsystem\nS'%b'\no." % TOUCH, r"it names 'os\.system'"),
    "OBJ": (b"(cnumpy\nndarray\nI1\no.", "the instruction OBJ"),
    "NEWOBJ": (b"cnumpy\nndarray\n(t\x81.", "the instruction NEWOBJ"),
    "NEWOBJ_EX": (b"cnumpy\nndarray\n)}\x92.", "EMPTY_DICT"),
    "extension": (b"\x82\x01.", "the instruction EXT1"),
    "extension, 4 bytes": (b"\x84\x01\x00\x00\x00.", "the instruction EXT4"),
    "persistent": (b"Pme\n.", "the instruction PERSID"),
    "persistent, on the stack": (b"S'me'\nQ.", "the instruction BINPERSID"),
    "out of band": (b"\x80\x05\x97.", "the instruction NEXT_BUFFER"),
    "a dict": (b"}.", "the instruction EMPTY_DICT"),
    "a set": (b"\x8f.", "the instruction EMPTY_SET"),
    "a float": (b"F1.5\n.", "the instruction FLOAT"),
    "builtins": (b"cbuiltins\neval\n(S'1'\ntR.", r"it names 'builtins\.eval'"),
    "codecs": (b"c_codecs\nencode\n(V1\nVrot13\ntR.", "bytes in 'rot13'"),
    "text is called": (b"S'os.system'\n(S'1'\ntR.", "it calls what is no function"),
    "an array is called": (b"cnumpy\nndarray\n(I99\ntR.", r"it calls numpy\.ndarray"),
    "a function is changed": (b"cnumpy\nndarray\n(S'function'\ntb.", "it changes what is no array"),
    "a list is changed": (b"](I1\ntb.", "it changes what is no array"),
    "an array of objects": (pickle.dumps(([np.array([b"a", [1]], object)], [True]), 2), "an array of type 'O8'"),
    "objects, protocol 5": (pickle.dumps((np.array([b"a"], object), [True]), 5), "an array of type 'O8'"),
    "text in an array": (pickle.dumps((np.array(["a"]), [True])), "an array of type 'U1'"),
    "floats": (pickle.dumps((PICTURES, np.ones(4)), 4), "an array of type 'f8'"),
    "a compound type": (pickle.dumps(np.zeros(2, [("a", "u1"), ("b", "O")])), "an array of type 'V9'"),
    "objects behind bytes": (
        NUMPY + b"(I1\n(I1\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\nt(I1\ntI-1\nI-1\nI0\ntbI00\nS'x'\ntb.",
        "a compound type",
    ),
    "a shape beyond its bytes": (
        NUMPY + b"(I1\n(I1000000000000\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntRI00\nS'x'\ntb.",
        "whose bytes are not those of its shape",
    ),
    "a negative shape": (
        NUMPY + b"(I1\n(I-1\nI-1\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntRI00\nS'x'\ntb.",
        "whose bytes are not those of its shape",
    ),
    "a type that is none": (NUMPY + b"(I1\n(I1\ntS'u1'\nI00\nS'x'\ntb.", "an array of no type"),
    "truth values of 7": (pickle.dumps(np.array([7], np.uint8).view(bool), 4), "neither 0 nor 1"),
    "more than there is": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b"x.", "the file ends early"),
    "more than there is, Python 2": (b"T" + struct.pack("<i", 2**31 - 1) + b"x.", "the file ends early"),
    "more than there is, a bytearray": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.", "the file ends early"),
    "a large frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 50) + b"].", "it holds a list of 0"),
    "lists in lists": (b"]" + b"]\x94a" * 100_000 + b".", "far more pieces than faces and flags have"),
    "many marks": (b"(" * 200_000, "far more pieces"),
    "a list that holds itself": (b"]\x94h\x00ah\x00a.", "pictures are a list of 2|picture 0 is a list"),
    "a long number": (b"I" + b"9" * 10_000 + b"\n.", "damaged, or no pickle"),
    "doubled again and again": (b"]\x94" + b"(h\x00h\x00l\x94" * 3 + b".", "it holds a list of 2|pictures"),
    "no pickle": (b"PK\x03\x04" + bytes(50), "the instruction PERSID|no pickle"),
    "zeros": (bytes(50), "it holds what no pickle holds"),
    "nothing": (b"", "before byte 0 it is damaged, or no pickle|the file ends early"),
}  # fmt: skip


@pytest.mark.parametrize("left_from", [40, 1_000_000])
@pytest.mark.parametrize("name", HARM)
def test_harm_is_refused_and_nothing_is_run(write, name, monkeypatch, leaves, left_from):
    leaves(left_from)
    run = []
    monkeypatch.setattr("os.system", run.append)
    monkeypatch.setattr("posix.system", run.append)
    content, what = HARM[name]
    with pytest.raises(FacelineError, match=what) as caught:
        open_verification_set(write(content), SIZE)
    assert run == []
    assert "\n" not in str(caught.value)
    assert "set.bin is no verification set (a list of pictures and a list of truth values). Make one with" in str(
        caught.value
    )


SMALL = [b"a picture", b"another picture"]
SMALL_ARRAYS = [np.frombuffer(picture, np.uint8) for picture in SMALL]
DAMAGED = {
    "protocol 4": pickle.dumps((SMALL, [True]), 4),
    "protocol 2": pickle.dumps((SMALL, [True]), 2),
    "Python 2": python2(SMALL, [True], 0),
    "arrays": pickle.dumps((SMALL_ARRAYS, np.array([True])), 2),
    "arrays, protocol 5": pickle.dumps((SMALL_ARRAYS, np.array([True])), 5),
}


@pytest.mark.parametrize("form", DAMAGED)
def test_damaged_anywhere_it_gives_no_other_error(write, form, leaves):
    leaves(len(SMALL[1]))
    whole = DAMAGED[form]
    path = write(whole)
    rng = np.random.default_rng(0)
    with path.open("r+b", buffering=0) as file:
        for at in range(len(whole)):
            for value in {0, 0x28, 0x52, 0x62, 0xFF, int(rng.integers(256))}:
                file.seek(at)
                file.write(bytes([value]))
                with pytest.raises(FacelineError):  # at the latest since the pictures are none
                    open_verification_set(path, SIZE)
            file.seek(at)
            file.write(whole[at : at + 1])
        for size in reversed(range(len(whole))):
            file.truncate(size)
            with pytest.raises(FacelineError, match="before byte"):
                open_verification_set(path, SIZE)


def test_only_what_is_needed_can_be_named():
    assert set(plain_unpickling._CALLS) == {
        *("_codecs.encode", "numpy.dtype", "numpy.ndarray"),
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    }
