"""The data sets: content decides, every failure is one line, and the fallbacks are visible."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paper_code import Identity, SparseDithering, TopK
from paper_code.companion import data_sets, download
from paper_code.companion.data_sets import (
    Moments,
    load,
    logistic_problem,
    ridge_problem,
)
from paper_code.companion.download import (
    BODYFAT,
    BREAST_CANCER,
    DataUnavailable,
    find_table,
    parse_table,
)
from paper_code.companion.files import ROOT
from paper_code.descent.one_worker import CompressedGradientDescent, descend, normal_start
from paper_code.descent.problems import Ridge

PUBLISHED = Path(os.environ.get("PAPER_DATA_DIR") or ROOT.parent / "shared" / "data")
needs_the_data = pytest.mark.skipif(
    not (PUBLISHED / "bodyfat.csv").exists(), reason="the paper's data sets are not at hand"
)

TINY = "a,b,c\n1,0.5,2\n3,0,4\n"
TABLE = download.Table(
    name="tiny",
    columns=3,
    label_last=False,
    digest=download.content_digest(np.array([[1, 0.5, 2], [3, 0, 4]])),
    files=("tiny.csv",),
    mirrors=("https://one.invalid/tiny", "https://two.invalid/tiny"),
)


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder, an empty cache, no network, and nothing said yet."""
    monkeypatch.delenv("PAPER_DATA_DIR", raising=False)
    monkeypatch.setenv("PAPER_OFFLINE", "1")
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    download.say.cache_clear()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPER_DATA_DIR", str(PUBLISHED))


def serve(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str | Exception]) -> list[str]:
    """Let the mirrors give these answers; return the list of addresses that are asked."""
    asked = []

    def retrieve(url: str, known_hash: None, fname: str, path: Path, downloader: object) -> None:
        asked.append(url)
        if isinstance(answers[url], Exception):
            raise answers[url]
        path.mkdir(exist_ok=True)
        (path / fname).write_text(answers[url])

    monkeypatch.delenv("PAPER_OFFLINE")
    monkeypatch.setattr("pooch.retrieve", retrieve)
    return asked


@pytest.mark.parametrize(
    "text",
    [
        TINY,
        "1 1:0.5 2:2\n3 2:4\n",
        "1.000000  1:0.500000 2:2.000000 \n3 1:0 2:4\n",
        "1,0.5,2\r\n7,?,2\r\n3,0,4\r\n",
        "Prose: of 3 lines.\nOn 2 men\n\n 1  .5   2\n 3  0.0  4.\n",
    ],
    ids=["csv", "libsvm without zeros", "libsvm", "missing value", "prose"],
)
def test_content_decides_whatever_the_layout(text: str) -> None:
    assert download.content_digest(parse_table(text, TABLE)) == TABLE.digest


def test_a_label_can_be_the_last_column() -> None:
    values = parse_table("2 1:7 2:8\n", replace(TABLE, label_last=True))
    assert values.tolist() == [[7, 8, 2]]


def test_the_folder_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PAPER_DATA_DIR", str(tmp_path))
    (tmp_path / "tiny.csv").write_text(TINY)
    values, origin = find_table(TABLE)
    assert values.shape == (2, 3) and origin == "tiny.csv in PAPER_DATA_DIR"
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "holds none of tiny.csv"),
        (b"a,b,c\n1,0.5,2\n3,0,5\n", "does not hold the data set (its content digest differs)"),
        (b"", "its content digest differs"),
        (b"\x00\xff\xfe" * 50, "its content digest differs"),
        ("folder", "cannot be read (Is a directory)"),
    ],
)
def test_a_bad_folder_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    content: bytes | str | None,
    says: str,
) -> None:
    monkeypatch.setenv("PAPER_DATA_DIR", str(tmp_path))
    if content == "folder":
        (tmp_path / "tiny.csv").mkdir()
    elif content is not None:
        (tmp_path / "tiny.csv").write_bytes(content)
    with pytest.raises(DataUnavailable, match="set PAPER_DATA_DIR to a folder that holds"):
        find_table(TABLE)
    assert len(caplog.messages) == 1
    assert says in caplog.messages[0] and "\n" not in caplog.messages[0]


def test_mirrors_are_tried_in_turn_and_the_good_copy_is_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = TABLE.mirrors
    asked = serve(monkeypatch, {one: OSError("no network"), two: TINY})
    assert find_table(TABLE)[1] == two
    assert find_table(TABLE)[1] == f"the cached copy of {two}"
    assert asked == [one, two]
    assert caplog.messages == [f"could not fetch {one} (OSError)"]


def test_a_spoilt_cached_copy_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = TABLE.mirrors
    (cache / "tiny-one.invalid").write_text(TINY[:-4])
    asked = serve(monkeypatch, {one: TINY})
    assert find_table(TABLE)[1] == one and asked == [one]
    assert len(caplog.messages) == 1 and "the cached copy of" in caplog.messages[0]


def test_a_mirror_with_other_content_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = TABLE.mirrors
    serve(monkeypatch, {one: "<html>moved</html>", two: TINY})
    assert find_table(TABLE)[1] == two
    assert caplog.messages == [
        f"tiny: {one} does not hold the data set (its content digest differs)"
    ]


def test_offline_asks_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, {})
    monkeypatch.setenv("PAPER_OFFLINE", "1")
    with pytest.raises(DataUnavailable):
        find_table(TABLE)
    assert asked == []


def test_without_pooch_the_fallback_still_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(download, "find_spec", lambda _: None)
    assert ridge_problem()[0].d == 14
    assert caplog.messages[0] == "pooch, which downloads the data sets, is not installed"


def test_ridge_falls_back_on_its_moments_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    problem, source = ridge_problem()
    assert problem.d == 14 and round(problem.kappa) == 253
    assert str(source) == "from its moments in bodyfat_moments.json"
    assert not source.is_stand_in
    ridge_problem()
    assert len(caplog.messages) == 1 and "the same curves" in caplog.messages[0]


def test_logistic_falls_back_on_a_stand_in_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    problem, source = logistic_problem()
    assert source.is_stand_in and "scikit-learn" in str(source)
    assert problem.features.shape == (569, 10)
    assert (problem.features.min(0) == -1).all() and (problem.features.max(0) == 1).all()
    assert problem.labels.sum() == 212 - 357  # malignant less benign, as scikit-learn describes it
    assert len(caplog.messages) == 1 and "in its place" in caplog.messages[0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"gram": [[1]]}'])
def test_spoilt_moments_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "moments.json"
    path.write_text(text)
    with pytest.raises(DataUnavailable, match=r"no moments in moments\.json"):
        Moments.read(path)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name must be 'bodyfat' or 'breast-cancer', got 'iris'"):
        load("iris")


def test_a_constant_feature_is_scaled_to_zero() -> None:
    scaled = data_sets.scaled_to_unit_interval(np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]]))
    assert scaled.tolist() == [[-1, 0], [1, 0], [0, 0]]


def test_the_published_curves_are_whole() -> None:
    curves = json.loads((ROOT / "data" / "poster_curves.json").read_text())
    methods = {"basic", "topk", "spherical", "biased_sd", "unbiased_sd"}
    for experiment, basic in (("ridge", 62_374), ("logistic", 13_423)):
        assert methods <= curves[experiment].keys()
        for name in methods:
            points = [(point["error"], point["bytes"]) for point in curves[experiment][name]]
            assert points == sorted(points, key=lambda point: (-point[0], point[1]))
            assert points[-1][0] == 1e-4
        assert curves[experiment]["basic"][-1]["bytes"] == basic


@needs_the_data
@pytest.mark.usefixtures("published")
def test_the_published_data_have_the_paper_s_digests(caplog: pytest.LogCaptureFixture) -> None:
    bodyfat, cancer = load("bodyfat"), load("breast-cancer")
    assert bodyfat.features.shape == (252, 14) and cancer.features.shape == (683, 10)
    assert bodyfat.target[0] == 1.0708 and set(cancer.target) == {-1, 1}
    assert not bodyfat.source.is_stand_in and not cancer.source.is_stand_in
    assert caplog.messages == []
    assert BODYFAT.columns == 15 and BREAST_CANCER.columns == 11


@needs_the_data
@pytest.mark.usefixtures("published")
def test_committed_moments_are_those_of_the_data_to_the_last_bit() -> None:
    ours, committed = Moments.of(load("bodyfat")), Moments.read()
    np.testing.assert_array_equal(ours.gram, committed.gram)
    np.testing.assert_array_equal(ours.moment, committed.moment)
    assert (ours.n, ours.target_power) == (committed.n, committed.target_power)


@needs_the_data
@pytest.mark.usefixtures("published")
def test_ridge_from_moments_gives_the_curves_of_the_raw_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = load("bodyfat")
    raw = Ridge.from_data(data.features, data.target)
    monkeypatch.delenv("PAPER_DATA_DIR")
    from_moments, _ = ridge_problem()
    for compressor in (Identity(), TopK(3), SparseDithering(nu=0.1)):
        start = normal_start(0, 14)
        a = descend(raw, CompressedGradientDescent(compressor), start)
        b = descend(from_moments, CompressedGradientDescent(compressor), start)
        np.testing.assert_array_equal(a.bits, b.bits)
        np.testing.assert_allclose(a.errors, b.errors, rtol=1e-9)  # stated in the issue


@needs_the_data
@pytest.mark.usefixtures("published")
def test_scaled_features_are_libsvm_s() -> None:
    problem, _ = logistic_problem()
    lines = (PUBLISHED / "breast-cancer_scale").read_text().splitlines()
    rows = [line.split() for line in lines]
    theirs = np.zeros((683, 10))
    for i, (_, *pairs) in enumerate(rows):
        for pair in pairs:
            index, value = pair.split(":")
            theirs[i, int(index) - 1] = float(value)
    np.testing.assert_array_equal(problem.labels, [float(row[0]) for row in rows])
    np.testing.assert_allclose(problem.features, theirs, atol=1e-6)  # six printed digits
