import pytest

from convlstm_cli.compute.stopping import Stopped, StopRequest, at_once


def test_a_request_is_a_question_that_is_asked_once() -> None:
    request = StopRequest()
    assert not request()
    request.ask()
    assert request()


def test_inside_a_block_that_may_be_left_it_stops_at_once() -> None:
    request = StopRequest()
    with pytest.raises(Stopped), at_once(request):
        request.ask()
    assert request()
    request.ask()  # outside again, where it only is a question
    with pytest.raises(Stopped), at_once(request):
        pytest.fail("begun, though it was asked to stop before")


def test_a_plain_question_interrupts_no_block() -> None:
    with at_once(lambda: True):
        pass
