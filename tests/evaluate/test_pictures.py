"""ROC and spread of scores as pictures: what is drawn lies where it can be seen, and says what it is."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from faceline_core.verification.pairs import all_pairs
from faceline_evaluate import pictures
from faceline_evaluate.verification import Verification
from faceline_evaluate.written_pairs import write_pairs

NOTHING_CHOSEN = {score: {"far_1e-2": None} for score in ("embedding", "local", "combined")}


@pytest.fixture
def drawn(monkeypatch):
    """Figures by the name of their file, instead of files."""
    figures = {}
    monkeypatch.setattr(pictures, "save", lambda path, figure: figures.update({path.stem: figure}))
    yield figures
    plt.close("all")


def verification(noise, scale=1.0, shift=0.0):
    """Six people with four photos; the less noise, the better they are told apart."""
    rng = np.random.default_rng(0)
    faces = rng.normal(size=(6, 1, 16)) + noise * rng.normal(size=(6, 4, 16))
    faces = (faces / np.linalg.norm(faces, axis=2, keepdims=True)).reshape(24, 16).astype(np.float32)
    pairs = all_pairs(faces, np.repeat(range(6), 4).tolist(), [str(number) for number in range(24)])
    return Verification(pairs.scored(scale * pairs.genuine + shift, scale * pairs.impostor + shift), 24, 6)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_what_the_lines_of_a_roc_are_stands_beside_them(drawn, tmp_path, noise):
    by = {"embedding": verification(noise), "local": verification(1.2 * noise), "combined": verification(0.9 * noise)}
    write_pairs(tmp_path, by, NOTHING_CHOSEN, ("test", verification(0.5 * noise)), [0.1, 0.01])
    figure = drawn["roc"]
    figure.canvas.draw()
    (axes,), (legend,) = figure.axes, figure.legends
    assert axes.get_legend() is None
    assert not legend.get_window_extent().overlaps(axes.get_tightbbox())
    assert figure.bbox.containsx(legend.get_window_extent().x0)
    assert figure.bbox.containsx(legend.get_window_extent().x1)
    said = [text.get_text().split(":")[0] for text in legend.get_texts()]
    assert said == ["unseen, by embedding", "unseen, by matcher", "unseen, by both", "test, by embedding"]
    dashed = {line.get_label().split(":")[0] for line in axes.get_lines() if line.get_linestyle() == "--"}
    assert dashed == {"test, by embedding"}


@pytest.mark.parametrize(("scale", "shift", "threshold"), [(0.01, 0.98, 0.983), (8.0, -3.0, -12.5), (0.0, 1.0, None)])
def test_scores_fill_their_picture_whatever_their_range(drawn, tmp_path, scale, shift, threshold):
    chosen = {**NOTHING_CHOSEN, "embedding": {"far_1e-2": threshold}}
    shown = verification(1.0, scale, shift)
    write_pairs(tmp_path, {"embedding": shown, "local": verification(1.0)}, chosen, None, [0.1, 0.01])
    (axes,) = drawn["scores"].axes
    left, right = axes.get_xlim()
    assert left < shown.scores.min() <= shown.scores.max() < right
    assert threshold is None or left < threshold < right
    if scale == 0.01:
        bars = [bar for bar in axes.patches if bar.get_height()]
        assert len({round(bar.get_x(), 6) for bar in bars}) > 20, "a bar for all of them tells nothing"
    titles = [drawn[name].axes[0].get_title() for name in ("scores", "scores_local")]
    assert titles == [
        f"{of}: people never trained on" for of in ("Cosine similarity of embeddings", "Score of the matcher")
    ]
