"""The choice of the speakers among several people, without flicker."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from media.gaze.face.region import MARGIN, Region
from media.gaze.face.tracking import SpeakerTracker

PICTURE = (720, 1280)
SURVEY = 12  # frames between two


def face(x: float, size: float, y: float = 300.0) -> Region:
    return Region((x, y), MARGIN * size, 0.0)


def turns(surveys: list[list[Region]], wanted: int = 1) -> list[list[int]]:
    """Return the numbers of those chosen after each survey; faces stay where they are between surveys."""
    speakers, chosen = SpeakerTracker(wanted), []
    for number, faces in enumerate(surveys):
        for person in speakers.chosen:  # as whoever follows does: a face that is gone is no longer found
            person.is_visible = any(abs(person.region.centre[0] - one.centre[0]) < 60 for one in faces)
        speakers.update(number * SURVEY, faces, PICTURE)
        chosen.append([person.number for person in speakers.chosen])
    return chosen


def test_the_larger_face_speaks() -> None:
    speakers = SpeakerTracker(1)
    for at in range(0, 60, SURVEY):
        speakers.update(at, [face(300, 120), face(900, 240)], PICTURE)
        assert [900] == [person.region.centre[0] for person in speakers.chosen]


def test_of_equal_faces_the_one_in_the_middle_speaks() -> None:
    speakers = SpeakerTracker(1)
    speakers.update(0, [face(100, 200), face(640, 200)], PICTURE)
    assert 640 == speakers.chosen[0].region.centre[0]


@given(st.lists(st.floats(-0.12, 0.12), min_size=20, max_size=40))
def test_faces_that_are_alike_never_take_turns(trembles: list[float]) -> None:
    """However the detector trembles, whoever spoke first goes on speaking."""
    surveys = [[face(400, 200 * (1 + tremble)), face(880, 200 * (1 - tremble))] for tremble in trembles]
    assert 1 == len({tuple(chosen) for chosen in turns(surveys)})


def test_somebody_larger_takes_the_turn_only_after_a_while() -> None:
    one, both = [face(640, 150)], [face(640, 150), face(300, 330)]
    chosen = turns([one] * 4 + [both] * 12)
    assert [0] == chosen[4], "not at first sight"
    assert [1] == chosen[-1]
    assert 1 == sum(before != after for before, after in pairwise(chosen))


def test_a_passer_by_never_has_the_turn() -> None:
    """A tall second person crosses the picture in a second."""
    speaker = face(640, 200)
    surveys = [[speaker]] * 4 + [[speaker, face(x, 300)] for x in (100, 450, 1100)] + [[speaker]] * 4
    assert {(0,)} == {tuple(chosen) for chosen in turns(surveys)}


def test_a_speaker_who_was_away_for_a_moment_is_the_same_person() -> None:
    speaker = face(640, 200)
    assert [[0], [0], [], [], [0]] == turns([[speaker], [speaker], [], [], [face(700, 200)]])


def test_a_bystander_does_not_step_in_when_the_speaker_looks_down_for_a_second() -> None:
    speaker, small = face(640, 240), face(200, 80)
    assert [[], []] == turns([[speaker, small]] * 3 + [[small]] * 2)[3:]


def test_after_a_cut_the_next_person_speaks_within_a_second() -> None:
    chosen = turns([[face(300, 240)]] * 5 + [[face(1000, 240)]] * 3)
    assert [1] == chosen[7]


def test_as_many_speak_as_are_wanted_the_most_prominent_first() -> None:
    three = [face(200, 120), face(640, 240), face(1000, 200)]
    assert [[0, 1]] * 3 == turns([three] * 3, wanted=2)
    assert [[0, 1, 2]] * 3 == turns([three] * 3, wanted=4)


def test_nobody_is_remembered_for_ever() -> None:
    speakers = SpeakerTracker(1)
    for at in range(0, 3000, SURVEY):
        speakers.update(at, [face(100 + (7 * at) % 1000, 150)], PICTURE)
        for person in speakers.chosen:
            person.is_visible = False
    assert len(speakers._people) < 20
