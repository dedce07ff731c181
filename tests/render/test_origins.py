"""Who makes and who keeps what leaks, in every output."""

from __future__ import annotations

import re
from dataclasses import replace

from leakhunt.findings import Caller, Findings, Origin
from leakhunt.render.html import Html
from leakhunt.render.text import Text

from . import sample

UNSEEN = "put in at: nothing was put in while it was watched"


def with_origins() -> Findings:
    found = sample.leak()
    main = Caller("shop/app.py", 90, "main", 46)
    tree = (Caller("shop/checkout.py", 27, "open_session", 46, (main,), "return Session(\x1b[31m)"),)
    other = Caller("shop/retry.py", 9, "again", 4)
    made = Origin(
        "shop/checkout.py", 27, "open_session", 0.92, 46, 50, (), (*tree, other), source="return Session()", stayed=True
    )
    finding = replace(found.findings[0], allocated_at=made, unseen=(UNSEEN,))
    return replace(found, findings=(finding, *found.findings[1:]))


def test_a_finding_says_who_makes_the_objects_how_often_and_who_calls_that() -> None:
    text = Text().render(with_origins())
    assert re.search(r"made at +shop/checkout.py:27 in open_session \(46 of 50\)", text)
    assert "return Session()" in text
    assert "called by shop/app.py:90 in main" in text
    assert "also shop/retry.py:9 in again (4)" in text


def test_a_finding_says_what_could_not_be_seen_and_why() -> None:
    assert re.search(r"put in at +nothing was put in while it was watched", Text().render(with_origins()))


def test_origins_go_through_json_and_back() -> None:
    found = with_origins()
    assert Findings.from_json(found.to_json()) == found


def test_the_page_draws_a_flame_graph_as_wide_as_often() -> None:
    page = Html().render(with_origins())
    flames = page[page.index('class="flames"') :].partition("</figure>")[0]
    assert 'x="0.00%" width="92.00%"' in flames
    assert 'x="92.00%" width="8.00%"' in flames
    assert "shop/checkout.py:27 in open_session: 46 of 50" in flames
    assert "\x1b" not in page
    assert "nothing was put in while it was watched" in page
