"""Figures are the same bytes on every run, whole or absent, and nothing in them collides."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib
import pytest
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.text import Annotation
from PIL import Image

from paper_code.companion import figures
from paper_code.compressors import registry

ROOT = Path(__file__).parents[2]
DRAW = """
import sys
from pathlib import Path
from paper_code.companion import figures
figure, axes = figures.new()
axes.plot([1, 2], [3, 4], label="top-k")
axes.plot([1, 2], [2, 3], label="lower bound", **figures.BOUND)
figures.label_ends(axes)
figures.write(figure, Path(sys.argv[1]), "05_test")
"""


def draw_in_another_process(folder: Path, hash_seed: str) -> dict[str, bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    subprocess.run([sys.executable, "-c", DRAW, folder], env=environment, check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_runs_give_identical_bytes(tmp_path: Path) -> None:
    one = draw_in_another_process(tmp_path / "one", "1")
    assert sorted(one) == ["05_test.png", "05_test.svg"]
    assert one == draw_in_another_process(tmp_path / "two", "2")


@pytest.mark.parametrize("style", ["normal", "italic"])
@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_letters_come_from_the_font_that_matplotlib_brings(style: str, weight: str) -> None:
    family = figures.STYLE["font.family"]
    path = findfont(
        FontProperties(family=family, style=style, weight=weight), fallback_to_default=False
    )
    assert path.startswith(matplotlib.get_data_path())
    assert matplotlib.rcParams["font.family"] == [family]


def test_the_library_does_not_load_matplotlib() -> None:
    code = "import sys, paper_code; sys.exit('matplotlib' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )


def test_a_figure_that_cannot_be_drawn_leaves_the_old_files(tmp_path: Path) -> None:
    figure, axes = figures.new()
    picture = figures.write(figure, tmp_path, "05_test")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before["05_test.png"] == picture.png == picture._repr_png_()
    axes.set_title(r"$\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        figures.write(figure, tmp_path, "05_test")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_labels_of_lines_that_end_together_do_not_overlap() -> None:
    figure, axes = figures.new()
    labels = sorted({compressor.look.label for compressor in registry.every()})
    for label in labels:
        axes.plot([0, 1], [len(label), 0], label=label)
    figures.label_ends(axes)
    figure.draw_without_rendering()
    notes = [child for child in axes.get_children() if isinstance(child, Annotation)]
    boxes = [note.get_window_extent() for note in notes if note.get_text()]
    assert len(boxes) == len(labels)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_png_says_in_words_what_it_shows(tmp_path: Path) -> None:
    figure, (left, right) = figures.new(columns=2)
    left.plot([1, 2], [3, 4], label="top-k, α")
    left.set(title="Error", xlabel="bytes\nsent", ylabel="distortion")
    right.axis("off")
    figures.write(figure, tmp_path, "05_test")
    with Image.open(tmp_path / "05_test.png") as image:
        assert image.info["Description"] == "Error: distortion against bytes sent; top-k, α."
