"""What docs/add_your_own.md shows works as it stands: it obeys the laws and is on the landscape."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import laws
import numpy as np
import pytest

from paper_code.messages import settings

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "add_your_own.md"
LAWS = [laws.round_trip, laws.zero_is_sent, laws.bits_within_promise, laws.error_within_guarantee]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The page's code, run from top to bottom; its figures are in the module's ``folder``."""
    module = ModuleType("add_your_own")
    module.folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPER_OUTPUT_DIR", str(module.folder))
        patch.setattr(settings, "_registered", settings.registered())  # and what was, afterwards
        patch.setitem(sys.modules, module.__name__, module)
        text = PAGE.read_text("utf-8")
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), module.__dict__)
        yield module


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_its_compressor_obeys_the_laws(
    page: ModuleType, law: Callable[..., None], size: int
) -> None:
    rng = np.random.default_rng(3)
    vectors = [rng.standard_normal(40), rng.standard_t(2, 41).astype(np.float32), np.ones((1, 1))]
    one_hot = np.eye(40, dtype=np.float16)[3]
    for x in (*vectors, one_hot):
        law(page.BlockSign(size), x, rng)


def test_its_settings_are_checked(page: ModuleType) -> None:
    with pytest.raises(ValueError, match="size is 0"):
        page.BlockSign(0)


def test_it_appears_in_the_landscape(page: ModuleType) -> None:
    axes = page.figure.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    ours = lines["block sign"]
    rates = [point.rate.value for point in page.measured[-1]]
    np.testing.assert_array_equal(ours.get_xdata(), rates)
    assert {text.get_text() for text in axes.texts} == {"8", "16", "32", "64", "256"}
    drawn = {path.name for path in (page.folder / "figures").iterdir()}
    assert drawn == {"05_landscape_yours.svg", "05_landscape_yours.png"}


def test_what_the_page_says_of_it_is_true(page: ModuleType) -> None:
    """One bit after a rotation promises far more, and blocks gain little."""
    rotated, blocks = page.promised[2][0], page.promised[-1]
    assert all(point.distortion.value > 2 * rotated.distortion.value for point in blocks)
    errors = [point.distortion.value for point in page.measured[-1]]
    assert max(errors) - min(errors) < 0.06
    assert (ROOT / "figures" / "05_landscape_yours.svg").exists()
