"""RecordIO, against files put together here byte by byte from the format's definition."""

import os
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceline_core import recordio
from faceline_core.data.recordio import RecordFile, write_records
from faceline_core.errors import FacelineError

MAGIC = struct.pack("<I", 0xCED7230A)


def part(kind, payload):
    return MAGIC + struct.pack("<I", kind << 29 | len(payload)) + payload + b"\0" * (-len(payload) % 4)


def header(flag, label, key, *labels):
    return struct.pack("<IfQQ", flag, label, key, 0) + struct.pack(f"<{len(labels)}f", *labels)


RECORDS = [
    part(0, header(2, 0, 0, 5, 8)),  # images 1 to 4, records 0 to 7
    part(0, header(0, 3, 1) + b"jpeg one"),
    part(0, header(0, 3, 2) + b"jpeg two!"),
    part(0, header(3, 0, 3, 7, 0.25, -1) + b"three has three labels"),
    part(1, header(0, 9, 4) + b"four") + part(2, b"") + part(2, b"more") + part(3, b"end"),
    part(0, header(2, 0, 5, 1, 3)),
    part(0, header(2, 0, 6, 3, 4)),
    part(0, header(2, 0, 7, 4, 5)),
]
IMAGES = [(3, b"jpeg one"), (3, b"jpeg two!"), (7, b"three has three labels")]
IMAGES += [(9, b"four" + MAGIC + MAGIC + b"more" + MAGIC + b"end")]


@pytest.fixture
def write(tmp_path):
    def write(records, index=None):
        starts = [sum(map(len, records[:key])) for key in range(len(records))]
        lines = [f"{key}\t{start}\n" for key, start in enumerate(starts)] if index is None else index
        (tmp_path / "a.rec").write_bytes(b"".join(records))
        (tmp_path / "a.idx").write_text("".join(lines))
        return tmp_path / "a.rec"

    return write


def offsets(path):
    return [int(line.split("\t")[1]) for line in path.with_suffix(".idx").read_text().splitlines()]


def read_everything(path):
    file = RecordFile(path)
    return list(file), file.labels().tolist()


def test_the_short_name_is_the_same():
    assert recordio.RecordFile is RecordFile
    assert recordio.write_records is write_records


def test_a_file_by_the_definition(write):
    assert list(RecordFile(str(write(RECORDS)))) == IMAGES
    file = RecordFile(write(RECORDS))
    assert len(file) == 4
    assert [file[index] for index in range(4)] == IMAGES
    assert list(file) == IMAGES
    assert (file[-1], file[-4]) == (IMAGES[3], IMAGES[0])
    assert file.labels().tolist() == [3, 3, 7, 9]
    assert file.classes == 3
    for index in (4, -5):
        with pytest.raises(IndexError):
            file[index]


def test_the_index_may_come_in_another_order(write):
    lines = write(RECORDS).with_suffix(".idx").read_text().splitlines(keepends=True)
    assert list(RecordFile(write(RECORDS, lines[::-1]))) == IMAGES


def test_what_is_written_is_what_the_definition_says(write, tmp_path):
    images = [(3, b"jpeg one"), (3, b"jpeg two!"), (9, b"four" + MAGIC + MAGIC + b"more" + MAGIC + b"end")]
    records = [part(0, header(2, 0, 0, 4, 6)), *RECORDS[1:3]]
    records += [part(1, header(0, 9, 3) + b"four") + part(2, b"") + part(2, b"more") + part(3, b"end")]
    records += [part(0, header(2, 0, 4, 1, 3)), part(0, header(2, 0, 5, 3, 4))]
    write_records(tmp_path / "b.rec", iter(images), img_size=112)
    expected = write(records)
    assert (tmp_path / "b.rec").read_bytes() == expected.read_bytes()
    assert (tmp_path / "b.idx").read_text() == expected.with_suffix(".idx").read_text()
    assert (tmp_path / "property").read_text() == "2,112,112\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.idx", "a.rec", "b.idx", "b.rec", "property"]


def test_round_trip_with_the_magic_anywhere(tmp_path):
    images = [
        (label, os.urandom(size) + MAGIC * times + b"x") for label in (5, 2) for size in range(9) for times in (0, 1, 3)
    ]
    write_records(tmp_path / "a.rec", images)
    assert list(RecordFile(tmp_path / "a.rec")) == images
    assert RecordFile(tmp_path / "a.rec").labels().tolist() == [label for label, _ in images]
    assert not (tmp_path / "property").exists()
    write_records(tmp_path / "none.rec", [])
    assert len(RecordFile(tmp_path / "none.rec")) == 0


def test_the_writer_refuses_what_the_format_cannot_say(tmp_path):
    for images, what in (
        ([(1, b"x"), (2, b"x"), (1, b"x")], "image 3: label 1 comes back"),
        ([(-1, b"x")], "no whole number"),
        ([(2**24 + 1, b"x")], "no whole number"),
        ([(1, b"")], "empty"),
    ):
        with pytest.raises(ValueError, match=what):
            write_records(tmp_path / "a.rec", images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".rec", ".idx"])
def test_truncated_anywhere_it_is_refused_at_once(write, suffix):
    path = write(RECORDS)
    whole = path.with_suffix(suffix).read_bytes()
    ends_of_lines = 1 if suffix == ".idx" else 0  # the last line needs no end
    for size in range(len(whole) - ends_of_lines):
        path.with_suffix(suffix).write_bytes(whole[:size])
        with pytest.raises(FacelineError) as caught:
            RecordFile(path)
        assert "\n" not in str(caught.value)
        assert "byte" in str(caught.value) or suffix == ".idx"


@pytest.mark.parametrize("suffix", [".rec", ".idx"])
def test_damaged_anywhere_it_gives_no_other_error(write, suffix):
    path = write(RECORDS)
    whole = path.with_suffix(suffix).read_bytes()
    refused = 0
    for at in range(len(whole)):
        for value in {0, 0x39, 0xFF, whole[at] ^ 0x80} - {whole[at]}:
            path.with_suffix(suffix).write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                read_everything(path)
            except FacelineError:
                refused += 1
    assert refused > len(whole)


def test_what_is_wrong_is_said_with_the_byte(write):
    first, second, *rest = RECORDS
    bad_label = part(0, header(0, 0.5, 1) + b"jpeg one")
    for records, index, what in (
        (
            [b"PK\3\4" + bytes(60)],
            None,
            r"a\.rec: byte 0 \(record key 0\): expected the start .*, found 504b0304",
        ),
        ([first, MAGIC[::-1] + second[4:], *rest], None, r"byte 40 \(record key 1\): expected the start of a part"),
        ([first, bad_label, *rest], None, r"byte 40 \(record key 1\): the label is 0\.5, expected a whole number"),
        ([second, first, *rest], None, r"byte 0 .*no table of contents \(1 labels"),
        ([first, second, *rest[1:]], None, "ends the images at key 5, found 4"),
        ([first, part(0, b"short"), *rest], None, r"byte 40 .*5 bytes, too few for its header"),
        ([first, part(0, header(9, 0, 1)), *rest], None, r"byte 40 .*too few for 9 labels"),
        (RECORDS, ["0\t0\n", "1\t40\n"], r"byte 80 \(record key 1\): \d+ bytes follow here that are in no record"),
        (RECORDS, ["0\t0\n", "2\t40\n"], r"a\.idx: expected the keys 0 to 1, each once; key 1 is not there"),
        (RECORDS, ["0\t0\n", "1\t99999\n"], r"record key 1 cannot start at byte 99999 of a\.rec, which has \d+ bytes"),
        (RECORDS, ["0\t0\n", "1\tx\n"], r"a\.idx: expected lines of a key, a tab and an offset: .*'x'"),
        (RECORDS, [], r"a\.idx: expected lines"),
    ):
        with pytest.raises(FacelineError, match=what):
            read_everything(write(records, index))
        with pytest.raises(FacelineError, match=what):
            RecordFile(write(records, index)).labels()
    path = write(RECORDS)
    path.with_suffix(".idx").unlink()
    with pytest.raises(FacelineError, match=r"a\.idx is not there"):
        RecordFile(path)
    with pytest.raises(FacelineError, match=r"b\.rec is not there"):
        RecordFile(path.with_name("b.rec"))


def test_copies_threads_and_forked_processes_read_the_same(write):
    file = RecordFile(write(RECORDS))
    assert list(pickle.loads(pickle.dumps(file))) == IMAGES  # noqa: S301
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(file.__getitem__, [0, 1, 2, 3] * 50)) == IMAGES * 50
    child = os.fork()
    if child == 0:
        os._exit(0 if all(list(file) == IMAGES for _ in range(100)) else 1)
    assert all(list(file) == IMAGES for _ in range(100))
    assert os.waitpid(child, 0)[1] == 0
