"""Answers about births as files: what is read of a good one, and that a damaged one is left out whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from leakhunt import births
from leakhunt.agent import asked
from leakhunt.analysis.report.suspects import Question, words
from leakhunt.births import Frame

GOOD = (
    "births\t1\t3\nstate\tover\t4.250\t0.000120\t\n"
    "class\t100\tshop.Session\talloc\t7\t\nplace\t200\tlengths\t1\t\nplace\t300\t-\t0\tthe container is gone\n"
    "frame\t/srv/shop.py\t27\topen_session\tprogram\nframe\t/usr/lib/python3.12/queue.py\t9\tput\tstdlib\n"
    "stack\t0 1\t\nstack\t1\t0\n"
    "birth\t100\t4096\t1.5\t0\naddition\t200\t4096\t0\t1.6\t1\n"
)


def test_an_answer_is_read_with_its_stacks() -> None:
    answer = births.parsed(GOOD)
    assert answer is not None
    assert (answer.number, answer.is_over, answer.armed_seconds) == (3, True, 4.25)
    assert answer.classes[100].name == "shop.Session"
    assert answer.places[300].why == "the container is gone"
    [birth] = answer.births
    assert birth.stack.frames[0] == Frame("/srv/shop.py", 27, "open_session", "program")
    [addition] = answer.additions
    assert [frame.function for frame in addition.stack.frames] == ["put"]
    assert [frame.function for frame in addition.stack.awaiting] == ["open_session"]


def test_a_line_of_a_later_format_is_no_hindrance() -> None:
    assert births.parsed(GOOD + "weather\tfine\n") == births.parsed(GOOD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stack\t0 1\t", "stack\t0 2\t"),
        ("stack\t0 1\t", "stack\t0 -1\t"),
        ("1.5\t0", "1.5\t7"),
        ("1.5\t0", "nan\t0"),
        ("births\t1\t3", "births\t2\t3"),
        ("births\t1\t3\n", ""),
        ("state\tover", "state\tover\tmore"),
        ("birth\t100\t4096", "birth\t100\tx"),
        ("\t27\t", "\t" + "9" * 40 + "\t"),
    ],
)
def test_a_damaged_answer_is_left_out_whole(before: str, after: str) -> None:
    assert before in GOOD
    assert births.parsed(GOOD.replace(before, after)) is None


def test_no_damage_at_all_is_a_traceback() -> None:
    chance = random.Random(16)
    for _ in range(3000):
        text = list(GOOD)
        for _ in range(chance.randint(1, 4)):
            text[chance.randrange(len(text))] = chance.choice("\t\n 0123456789-x\\é")
        births.parsed("".join(text)[: chance.randint(0, len(GOOD))])


def test_a_file_that_cannot_be_read_is_no_answer(tmp_path: Path) -> None:
    assert births.load(tmp_path / "000001.births") is None
    assert births.load(tmp_path) is None


def test_a_question_is_read_by_the_agent_as_it_was_meant() -> None:
    question = Question(
        classes={100: "shop.A\tB"}, places={200: (300, 400), 500: ()},
        names={("attribute", "_jobs"), ("variable", "n")}, files={"/srv/a\nb.py"}, functions={("/srv/shop.py", 27)},
    )  # fmt: skip
    request = asked.Request(question.text(4))
    assert request.number == 4
    assert request.classes == question.classes
    assert request.places == {200: [300, 400], 500: []}
    assert request.names == {"attribute _jobs", "variable n"}
    assert request.files == question.files
    assert request.functions == question.functions


@pytest.mark.parametrize("text", ["", "number\t0", "number\tx", "number\t1\nclass\tx\ty", "number\t1\nname\tx"])
def test_a_request_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        asked.Request(text)


@pytest.mark.parametrize(
    ("owner", "word"),
    [
        ("aiohttp.cookiejar.CookieJar._cookies", ("attribute", "_cookies")),
        ("shop.JOBS", ("attribute", "JOBS")),
        ("shop.main.<rows>", ("variable", "rows")),
        ("shop.make.<variable seen>", ("variable", "seen")),
        ("shop.Registry.items[*]", ("attribute", "items")),
    ],
)
def test_a_place_is_looked_for_by_the_word_that_source_has_for_it(owner: str, word: tuple[str, str]) -> None:
    assert words([owner]) == {word}


@pytest.mark.parametrize("owner", ["", "atexit callback table", "shop.Job.<attribute>", "shop.run.<local>"])
def test_a_place_without_a_word_is_not_looked_for(owner: str) -> None:
    assert not words([owner])
