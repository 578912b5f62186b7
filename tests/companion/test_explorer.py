"""Whatever is chosen is drawn or refused in words, and soon."""

import time

import pytest

from paper_code.companion import figures
from paper_code.companion.explorer import SCHEMES, Choice, Panel, promising, send
from paper_code.companion.plots import explorer as drawings

SECONDS = 1.0  # from a moved slider to the new figure


@pytest.fixture
def panel() -> Panel:
    return Panel(drawings.explorer)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_sent_keeps_the_promise(scheme: str) -> None:
    for choice in (Choice(scheme, 0.3, 9), Choice(scheme, 0.3, 1), Choice(scheme, 0.9, 256)):
        try:
            sent = send(choice)
        except ValueError as error:
            assert scheme == "spherical" and "directions" in str(error)
            continue
        guarantee = sent.message.compressor.guarantee(choice.d)
        if guarantee.is_strict:
            error = ((sent.received - sent.x) ** 2).sum() / (sent.x**2).sum()
            assert error <= guarantee.level * (1 + 1e-6)


def test_schemes_that_promise_a_distortion_promise_it() -> None:
    choice = Choice(distortion=0.1, d=200)
    names = promising(choice)
    assert {"biased_sd", "trellis", "topk", "qsgd", "basic"} <= set(names)
    assert not {"scaled_sign", "drive", "ternary", "spherical"} & set(names)
    for name in names:
        compressor = send(choice._replace(scheme=name)).message.compressor
        assert compressor.guarantee(200).alpha <= 0.1 * (1 + 1e-9)


def test_a_moved_control_draws_another_figure_within_a_second(panel: Panel) -> None:
    took = []
    for name, value in (("d", 64), ("distortion", 0.02), ("scheme", "trellis"), ("seed", 7)):
        before = panel.figure.value
        began = time.process_time()  # of this process: others may share the cores
        panel.controls[name].value = value
        took.append(time.process_time() - began)
        assert panel.figure.value != before, name
    assert min(took) <= SECONDS, took  # the first ones compile, or load what was compiled


def test_an_impossible_choice_says_why_and_keeps_the_figure(panel: Panel) -> None:
    before = panel.figure.value
    panel.controls["scheme"].value = "spherical"
    assert "directions" in panel.complaint.value
    assert panel.figure.value == before
    panel.controls["d"].value = 6
    assert panel.complaint.value == ""
    assert panel.figure.value != before


def test_without_a_kernel_the_figure_is_there(panel: Panel) -> None:
    bundle = panel._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(bundle)


def test_the_figure_is_drawn_by_the_choice_alone() -> None:
    choice = Choice("topk", 0.5, 12)
    one, two = (figures.png(drawings.explorer(choice, send(choice))) for _ in range(2))
    assert one == two


def test_long_messages_are_drawn_too() -> None:
    for scheme, kind in (("basic", "Gaussian"), ("qsgd", "constant"), ("biased_sd", "one-hot")):
        choice = Choice(scheme, 0.01, 256, kind)
        assert "bits of payload" in figures.describe(drawings.explorer(choice, send(choice)))
