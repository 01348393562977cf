"""The rule of serving.experience: twice late is a habit, trials, and what happens when there are too many."""

import pytest

from fastserve.limits import FIRST_TRIAL, LAST_TRIAL, LATE_TWICE, SUSPECTS
from fastserve.serving.experience import Experience

KEY = "GET /slow"
MOMENT = 1e-6


@pytest.fixture
def experience() -> Experience:
    return Experience()


def make_late(experience: Experience, key: str = KEY, times: int = LATE_TWICE, now: float = 0.0) -> None:
    for _ in range(times):
        experience.was_late(key, now)


def test_nothing_is_known_at_first(experience: Experience) -> None:
    assert not experience.suspects
    assert not experience.waits(KEY, 0)


@pytest.mark.parametrize(("more", "waits"), [(-1, False), (0, True), (1, True)])
def test_a_habit_takes_two(experience: Experience, more: int, waits: bool) -> None:
    make_late(experience, times=LATE_TWICE + more)
    assert experience.suspects
    assert experience.waits(KEY, 0) is waits
    assert not experience.waits("GET /other", 0)


def test_one_is_tried_and_the_others_wait_for_what_it_says(experience: Experience) -> None:
    make_late(experience)
    assert experience.waits(KEY, FIRST_TRIAL - MOMENT)
    assert not experience.waits(KEY, FIRST_TRIAL)
    assert experience.waits(KEY, FIRST_TRIAL)
    assert experience.waits(KEY, 2 * FIRST_TRIAL - MOMENT)
    assert not experience.waits(KEY, 2 * FIRST_TRIAL)


def test_each_late_trial_doubles_the_time_to_the_next(experience: Experience) -> None:
    make_late(experience)
    now, pause = 0.0, FIRST_TRIAL
    for _ in range(20):
        assert experience.waits(KEY, now + pause - MOMENT)
        now += pause + MOMENT
        assert not experience.waits(KEY, now)
        experience.was_late(KEY, now)
        pause = min(pause * 2, LAST_TRIAL)
    assert pause == LAST_TRIAL


def test_two_prompt_trials_forget_it(experience: Experience) -> None:
    make_late(experience)
    for _ in range(LATE_TWICE - 1):
        experience.was_prompt(KEY)
        assert experience.suspects
        assert not experience.waits(KEY, 0)
    experience.was_prompt(KEY)
    assert not experience.suspects


def test_a_prompt_one_between_two_late_ones_is_no_habit(experience: Experience) -> None:
    for _ in range(10):
        experience.was_late(KEY, 0)
        assert not experience.waits(KEY, 0)
        experience.was_prompt(KEY)
    assert not experience.suspects


def test_what_was_prompt_and_never_late_is_not_kept(experience: Experience) -> None:
    experience.was_prompt(KEY)
    assert not experience.suspects


@pytest.mark.parametrize(("known", "waits"), [(SUSPECTS - 1, False), (SUSPECTS, True)])
def test_beyond_the_bound_all_are_judged_as_one(experience: Experience, known: int, waits: bool) -> None:
    for number in range(known):
        make_late(experience, f"GET /{number}")
    make_late(experience, "GET /one more")
    assert experience.waits("GET /unheard of", 0) is waits
    assert experience.waits("GET /0", 0)


def test_there_is_a_bound(experience: Experience) -> None:
    for number in range(10 * SUSPECTS):
        make_late(experience, f"GET /{number}", times=1)
    assert len(experience.suspects) == SUSPECTS + 1


def fill(experience: Experience, now: float) -> None:
    for number in range(SUSPECTS):
        make_late(experience, f"GET /{number}", times=1, now=now)


@pytest.mark.parametrize("others", [0, LATE_TWICE], ids=["nobody else was late", "others were late too"])
def test_those_nobody_asks_about_make_room(others: int, experience: Experience) -> None:
    fill(experience, 0.0)
    make_late(experience, "GET /one more", times=others, now=0.0)
    make_late(experience, "GET /slow", now=1e6)
    assert experience.waits("GET /slow", 1e6)
    assert not experience.waits("GET /fast", 1e6)
    assert len(experience.suspects) == 1


@pytest.mark.parametrize(("after", "room"), [(-MOMENT, False), (MOMENT, True)])
def test_they_do_after_the_longest_time_between_two_trials(
    after: float, room: bool, experience: Experience
) -> None:
    fill(experience, 0.0)
    now = FIRST_TRIAL + LAST_TRIAL + after
    make_late(experience, "GET /slow", now=now)
    assert experience.waits("GET /slow", now)
    assert experience.waits("GET /fast", now) is not room


@pytest.mark.parametrize("pause", [LAST_TRIAL - MOMENT, 3 * LAST_TRIAL])
def test_one_that_is_asked_about_is_not_forgotten(pause: float, experience: Experience) -> None:
    """Nor while it is tried, however long it was before that."""
    make_late(experience, times=20)
    now = 0.0
    for turn in range(20):
        now += pause
        is_tried = not experience.waits(KEY, now)
        fill(experience, now)
        make_late(experience, f"GET /one more/{turn}", now=now)
        assert KEY in experience.suspects
        assert experience.waits(KEY, now)
        if is_tried:
            experience.was_late(KEY, now)
