"""Which worker is next, at scripted times."""

import pytest

from agent.clients.rotation import LONGEST_REST_SECONDS, REST_SECONDS, SHUN_SECONDS, Rotation


def test_the_healthy_take_turns() -> None:
    rotation = Rotation(("a", "b", "c"))
    assert [rotation.choose(0.0) for _ in range(5)] == ["a", "b", "c", "a", "b"]


def test_one_that_failed_is_shunned_for_a_while() -> None:
    rotation = Rotation(("a", "b"))
    rotation.failed("a", 10.0)
    assert {rotation.choose(10.0), rotation.choose(10.0 + SHUN_SECONDS / 2)} == {"b"}
    assert {rotation.choose(10.0 + SHUN_SECONDS), rotation.choose(10.0 + SHUN_SECONDS)} == {"a", "b"}


def test_if_all_failed_the_first_is_tried_again_after_its_rest() -> None:
    rotation = Rotation(("a", "b"))
    rotation.failed("b", 10.0)
    rotation.failed("a", 10.1)
    assert rotation.choose(10.1) == pytest.approx(REST_SECONDS - 0.1)
    assert rotation.choose(10.1 + REST_SECONDS) == "b"


def test_one_that_worked_is_healthy_again() -> None:
    rotation = Rotation(("a",))
    rotation.failed("a", 10.0)
    assert not rotation.healthy("a", 10.0)
    rotation.worked("a")
    assert rotation.choose(10.0) == "a"


def test_a_full_one_is_not_asked_before_it_said() -> None:
    rotation = Rotation(("a",))
    rotation.busy("a", 10.0, retry_after=3.0)
    assert rotation.choose(12.0) == pytest.approx(1.0)
    assert rotation.choose(13.0) == "a"


def test_nonsense_about_when_to_come_again_is_bounded() -> None:
    rotation = Rotation(("a",))
    rotation.busy("a", 10.0, retry_after=1e9)
    assert rotation.choose(10.0) == pytest.approx(LONGEST_REST_SECONDS)
    rotation.busy("a", 10.0, retry_after=-5.0)
    assert rotation.choose(10.0) == pytest.approx(REST_SECONDS)


def test_a_leaving_one_is_used_only_without_another() -> None:
    rotation = Rotation(("a", "b"))
    rotation.leaving("a", 10.0, seconds=30.0)
    assert {rotation.choose(10.0) for _ in range(3)} == {"b"}
    rotation.failed("b", 11.0)
    assert rotation.choose(11.0) == "a"


def test_no_targets_is_a_mistake_of_the_settings() -> None:
    with pytest.raises(ValueError, match="no targets"):
        Rotation(())
