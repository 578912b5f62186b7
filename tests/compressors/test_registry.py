"""A compressor says all that is known of it in its own class; the registry lists them once."""

from collections import defaultdict
from collections.abc import Callable

import pytest

import paper_code
from paper_code import (
    Compressor,
    Eden,
    NaturalDithering,
    RandK,
    RandomDithering,
    RotatedSign,
    SparseDithering,
    SphericalCompression,
    TopK,
    TrellisCompression,
)
from paper_code.compressors.contract import Look
from paper_code.compressors.registry import CLASSES, READ_ONLY, every
from paper_code.messages.settings import registered


def test_the_registry_holds_every_compressor_of_the_library() -> None:
    library = {kind for wire_id, kind in registered().items() if wire_id < 128}
    assert {*CLASSES, *READ_ONLY} == library
    assert len(CLASSES) + len(READ_ONLY) == len(library)
    assert all(getattr(paper_code, kind.__name__) is kind for kind in CLASSES)


def test_examples_are_of_their_class_and_each_is_another() -> None:
    assert all(type(c) is kind for kind in CLASSES for c in kind.examples())
    assert len(set(every())) == len(every())


def test_a_look_belongs_to_one_compressor() -> None:
    """Two classes of one scheme, DRIVE and EDEN at one bit and at several, share their colours."""
    schemes: dict[type, type] = {RotatedSign: Eden}
    labels, colors = defaultdict(set), defaultdict(set)
    for c in every():
        unbiased = getattr(c, "unbiased", False)
        labels[c.look.label].add((type(c), unbiased))
        colors[c.look.color].add((schemes.get(type(c), type(c)), unbiased))
    assert all(len(holders) == 1 for holders in labels.values()), labels
    assert all(len(holders) == 1 for holders in colors.values()), colors


def test_an_unbiased_variant_has_its_twins_marker_and_another_colour() -> None:
    for kind in CLASSES:
        looks = {c.look for c in kind.examples()}
        assert len({look.marker for look in looks}) == 1
        assert len({look.color for look in looks}) == len(looks)


def test_a_stranger_is_drawn_in_grey_under_its_name() -> None:
    class Stranger(paper_code.Identity):
        look = Compressor.look

    assert Stranger().look == Look("Stranger", "#555555", "o")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TopK(2.5), "k is 2.5; allowed are integers from 1"),
        (lambda: RandK(True), "k is True; allowed are integers from 1"),
        (lambda: NaturalDithering(2.5), "levels is 2.5; allowed are integers from 1 to 64"),
        (lambda: RandomDithering("4"), "levels is '4'; allowed are integers from 1 to 2147483647"),
        (lambda: TrellisCompression(0.1, 8.0), "states is 8.0; allowed are integers"),
        (lambda: SparseDithering(0.25, "no"), "unbiased is 'no'; allowed are True and False"),
        (lambda: SphericalCompression(0.25, 1), "unbiased is 1; allowed are True and False"),
        (lambda: RotatedSign(None), "unbiased is None; allowed are True and False"),
    ],
)
def test_settings_of_another_type_are_refused_by_name(
    make: Callable[[], Compressor], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        make()
