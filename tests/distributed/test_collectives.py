"""Parcels between real processes over gloo: counted bytes, and errors that all of them hear."""

import gloo
import gloo_work
import pytest


@pytest.mark.parametrize("n", [1, 2, 4])
def test_every_parcel_arrives_and_is_counted(n: int) -> None:
    outcomes = gloo.returned(gloo.run(gloo_work.trade, n))
    for rank, (received, sent) in enumerate(outcomes):
        assert received == [bytes([i]) * (100 * rank + i) for i in range(n)]
        others = [i for i in range(n) if i != rank]
        assert sent == sum(8 + 100 * i + rank for i in others)  # a header of 64 bits, the parcel


def test_a_group_may_be_a_part_of_all_processes() -> None:
    assert gloo.returned(gloo.run(gloo_work.trade_in_a_group, 3)) == [
        None,
        [b"0", b"2"],
        [b"1", b"3"],
    ]


def test_what_fails_on_some_is_raised_on_all_with_the_same_words() -> None:
    found = gloo.words(gloo.run(gloo_work.disagree, 4), seconds=15)
    assert found == {"WorkerError: worker 1: KeyError: 1; worker 3: KeyError: 3"}


def test_workers_at_different_places_say_so() -> None:
    found = gloo.words(gloo.run(gloo_work.trade_out_of_step, 3), seconds=15)
    assert len(found) == 3
    assert all("did not expect" in text for text in found)


@pytest.mark.parametrize("group_size", [1 << 20, 500])  # one group, or several in flight
def test_a_killed_worker_is_an_error_on_the_others(group_size: int) -> None:
    outcomes = gloo.run(gloo_work.fail, 4, "killed", 1, group_size)
    assert outcomes[1] == ("died", 9)
    for text in gloo.words(outcomes, seconds=gloo.TIMEOUT):
        assert "of 4: the exchange failed: another worker ended, or did not answer" in text


def test_a_silent_worker_is_an_error_when_the_timeout_has_passed() -> None:
    outcomes = gloo.run(gloo_work.fail, 2, "silent", 0, timeout=2)
    assert all(kind == "raised" for kind, _ in outcomes)
    assert "did not answer within the timeout" in outcomes[1][1][0]
    assert 1.5 < outcomes[1][1][1] < 6


def test_a_worker_that_skips_a_backward_pass_is_an_error_on_those_that_wait_for_it() -> None:
    """It goes on to its next forward pass, where DistributedDataParallel broadcasts buffers."""
    outcomes = gloo.run(gloo_work.skip_a_backward, 3, 1, timeout=3)
    for kind, value in (outcomes[0], outcomes[2]):
        assert kind == "raised"
        assert value[0].startswith("WorkerError: "), value
        assert value[1] < 10
