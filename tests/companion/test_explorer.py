"""Whatever is chosen is drawn or refused in words, and soon."""

import time

import pytest
from matplotlib.figure import Figure

from paper_code.companion import figures
from paper_code.companion.explorer import (
    EXAMPLES,
    Choice,
    Panel,
    Sent,
    compressor_for,
    part_color,
    promising,
    send,
)
from paper_code.companion.parameters import ParameterError
from paper_code.compressors import registry
from paper_code.evaluation.payload_parts import payload_parts

SECONDS = 1.0  # from a moved slider to the new figure


def draw(choice: Choice, sent: Sent) -> Figure:
    """A figure that differs where what was received or the payload does; notebook 0 has its own."""
    figure, axes = figures.new()
    axes.plot(sent.received, color=sent.message.compressor.look.color)
    start = 0
    for part, bits in payload_parts(sent.message).items():
        axes.barh(-1, bits, left=start, color=part_color(part))
        start += bits
    return figure


@pytest.fixture
def panel() -> Panel:
    return Panel(draw)


def test_every_compressor_of_the_registry_can_be_chosen() -> None:
    assert {type(c) for c in EXAMPLES.values()} == set(registry.CLASSES)
    for name in EXAMPLES:
        assert compressor_for(Choice(name, 0.9, 3)).look.label == name


@pytest.mark.parametrize("scheme", EXAMPLES)
def test_what_is_sent_keeps_the_promise(scheme: str) -> None:
    for choice in (Choice(scheme, 0.3, 9), Choice(scheme, 0.3, 1), Choice(scheme, 0.9, 256)):
        try:
            sent = send(choice)
        except ParameterError as error:
            refused = "directions" if "pherical" in scheme else "take TrellisCompression for less"
            assert refused in str(error)
            continue
        guarantee = sent.message.compressor.guarantee(choice.d)
        if guarantee.is_strict:
            error = ((sent.received - sent.x) ** 2).sum() / (sent.x**2).sum()
            assert error <= guarantee.level * (1 + 1e-6)


@pytest.mark.parametrize("scheme", ["Spherical", "convolutional"])
def test_what_a_scheme_cannot_do_is_refused_by_the_parameters_names(scheme: str) -> None:
    refusal = f"^scheme = '{scheme}' is not allowed at distortion = 0.1 and d = 24: "
    with pytest.raises(ParameterError, match=refusal):
        send(Choice(scheme))


def test_schemes_that_promise_a_distortion_promise_it() -> None:
    choice = Choice(distortion=0.1, d=200)
    names = promising(choice)
    assert {"Sparse Dithering", "trellis", "top-k", "QSGD", "float32, uncompressed"} <= set(names)
    assert not {"scaled sign", "rotation and 1 bit", "ternary", "Spherical"} & set(names)
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
    panel.controls["scheme"].value = "Spherical"
    assert "directions" in panel.complaint.value
    assert panel.figure.value == before
    panel.controls["d"].value = 6
    assert panel.complaint.value == ""
    assert panel.figure.value != before


def test_without_a_kernel_the_figure_is_there(panel: Panel) -> None:
    bundle = panel._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
