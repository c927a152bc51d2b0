"""What a label file holds, counted."""

from faceline_detect.annotations import Annotations, summarise


def test_summary(label_set):
    counted = summarise(label_set)
    assert (counted.images, counted.empty_images, counted.faces, counted.ignored) == (4, 1, 10, 5)
    assert counted.by_height == (0, 0, 0, 5, 0, 0)
    assert (counted.without_landmarks, counted.most_faces, counted.most_in) == (3, 4, "9--Press/one.jpg")
    assert counted.lines() == [
        "4 images, 1 of them without a face",
        "10 faces, 4 at most (9--Press/one.jpg); 5 of them ignored",
        "the others by height: 0 of < 10, 0 of 10-16, 0 of 16-32, 5 of 32-64, 0 of 64-128, 0 of >= 128 px; "
        "3 without all five landmarks",
        "0 labels or images were wrong",
    ]


def test_heights_are_counted_where_they_belong(labelled):
    heights = (9.99, 10, 15.9, 16, 31, 32, 63, 64, 127, 128, 500)
    picture = labelled("a.jpg", [[0, 0, 5, height] for height in heights], (1000, 1000))
    counted = summarise(Annotations([picture], None, None))
    assert counted.by_height == (1, 2, 2, 2, 2, 2)
    assert summarise(Annotations([], None, None)).lines()[1] == "0 faces; 0 of them ignored"


def test_one_of_each(labelled):
    four_points = [[10, 10], [20, 10], [15, 15], [11, 20], [float("nan")] * 2]
    picture = labelled("a.jpg", [[0, 0, 30, 40]], landmarks=[four_points])
    lines = summarise(Annotations([picture], None, None, ("a.jpg:1: ...",))).lines()
    assert lines[0] == "1 image, 0 of them without a face"
    assert lines[1] == "1 face, 1 at most (a.jpg); 0 of them ignored"
    assert lines[2].endswith("; 1 without all five landmarks")
    assert lines[3] == "1 label or image was wrong"
