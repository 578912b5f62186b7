"""The language model of the training example: text, batches, size and options."""

import language_model
import pytest
import torch
import train_language_model
from language_model import CONTEXT, SYMBOLS, Text


@pytest.fixture(scope="module")
def text() -> Text:
    return language_model.read_text()


def test_the_text_is_pythons_own_and_some_of_it_is_kept_for_validation(text: Text) -> None:
    assert len(text.training) > 10**6 and len(text.validation) > 10**5
    assert text.checksum == language_model.read_text().checksum
    words = "".join(SYMBOLS[i] for i in text.training[:50_000])
    assert "def " in words and "import " in words


def test_batches_follow_from_seed_worker_and_step(text: Text) -> None:
    given, following = text.batch(4, seed=0, rank=1, step=7)
    assert given.shape == following.shape == (4, CONTEXT)
    assert torch.equal(given[:, 1:], following[:, :-1])
    assert torch.equal(given, text.batch(4, 0, 1, 7)[0])
    for other in ((1, 1, 7), (0, 0, 7), (0, 1, 8)):
        assert not torch.equal(given, text.batch(4, *other)[0])


def test_the_model_predicts_from_what_came_before_only(text: Text) -> None:
    model = language_model.Transformer(seed=0)
    assert 5e5 < sum(part.numel() for part in model.parameters()) < 1e6
    given, following = text.validation_batch(2)
    loss = model(given, following)
    assert abs(float(loss.detach()) - 4.56) < 0.3  # ln 96: it knows nothing yet
    found = []
    model.last.register_forward_hook(lambda *seen: found.append(seen[2].detach()))
    model(given, following)
    given[:, 30:] = 0
    model(given, following)
    torch.testing.assert_close(found[0][:, :30], found[1][:, :30])
    assert not torch.equal(found[0][:, 30:], found[1][:, 30:])


@pytest.mark.parametrize(
    "words",
    [
        ["--method", "outer", "--compressor", "powersgd"],
        ["--method", "outer", "--every", "30", "--evaluate", "100"],
    ],
)
def test_options_that_do_not_fit_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        train_language_model.settings(words)
