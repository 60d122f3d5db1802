"""The page of a bundle: whole, and safe whatever the record holds."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from retrain.audit.evidence import bundle, prove
from retrain.audit.page import render
from retrain.audit.pictures import LARGEST_BYTES, pictures
from retrain.data import storage
from retrain.ledger import Entry

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'"


class Tags(HTMLParser):
    """All tags and attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "style")]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(story, version: str) -> str:
    return render(bundle(story.ledger, "returns", version, now=NOON, made_by="ana"))


def test_the_page_tells_what_the_bundle_holds(told) -> None:
    made = bundle(told.ledger, "returns", "2", now=NOON)
    text = " ".join(Tags(render(made)).text.split())
    for word in (
        "returns, version 2", "was champion", "gate: pass", "194", "2024-01@v1", told.refs["2024-01@v1"].digest,
        "0.7 against 0.69: pass", "rolled back to version 1", "3 of 100 <b>", "the digests above give it",
        made["digest"], *(one["hash"] for one in made["events"]), "intact", "mlflow",
    ):  # fmt: skip
        assert word in text, word


def test_the_pictures_of_the_evaluation_are_in_the_page_itself(story) -> None:
    png = b"\x89PNG\r\n\x1a\n picture"

    def kept(content: bytes, said: bytes = b"") -> dict[str, str]:
        uri = storage.write_bytes(f"{story.store}/pictures/{len(content)}.png", content)
        return {"uri": uri, "digest": digest((said or content).decode("latin-1"))}

    def digest(text: str) -> str:
        return "sha256:" + hashlib.sha256(text.encode("latin-1")).hexdigest()

    story.partition("2024-01")
    story.partition("2024-02")
    drawn = {
        "curves": kept(png),
        "calibration": {"uri": f"{story.store}/pictures/gone.png", "digest": digest("")},
        "slices": kept(b"%s changed" % png, png),
        EVIL: kept(b"<svg onload='alert(1)'>"),
        "residuals": kept(png + b" " * LARGEST_BYTES),
    }
    story.judged("1", ["2024-01@v1"], ["2024-02@v1"], pictures=drawn)
    made = bundle(story.ledger, "returns", "1", now=NOON)
    tags = Tags(render(made, pictures(made)))
    assert tags.links == [f"data:image/png;base64,{base64.b64encode(png).decode()}"]
    assert tags.tags.count("figure") == len(drawn)
    assert "onload" not in tags.names
    assert "Calibration: " in tags.text
    assert tags.text.count("its bytes are not those that were recorded") == 2
    assert "it has more than 1,000,000 bytes" in tags.text
    assert not any(proof for proof in prove(made, story.ledger) if not proof.holds)


def test_the_same_bundle_gives_the_same_page(told) -> None:
    made = bundle(told.ledger, "returns", "2", now=NOON)
    assert render(made) == render(made)


def test_nothing_is_loaded_and_nothing_runs(told) -> None:
    tags = Tags(page(told, "1"))
    assert not {"script", "iframe", "img", "link", "object", "form", "base"} & set(tags.tags)
    assert tags.links == []
    assert not re.search(r"url\(|@import|https?:", page(told, "1"))


def test_what_comes_from_data_people_and_declarations_is_text(story) -> None:
    story.partition("2024-01")
    story.partition("2024-02", 1, released={"by": EVIL, "reason": EVIL})
    verdict = {
        "status": EVIL, "metric": EVIL, "rule": EVIL, "reasons": [EVIL], "rows": 1, "slices": {EVIL: {"status": EVIL}},
        "conditions": [{"name": EVIL, "status": EVIL, "reason": EVIL}],
    }  # fmt: skip
    serving = {"status": EVIL, "mode": EVIL, "checks": [{"name": EVIL, "status": EVIL, "reason": EVIL}], "digest": EVIL}
    wish = {"key": "k", "trigger": EVIL, "reason": EVIL, "actor": EVIL, "params": {EVIL: EVIL}}
    story.judged(
        "1", ["2024-02@v1"], ["2024-01@v1"], verdict=verdict, serving=serving, requests=[wish], metric_name=EVIL,
        code=EVIL, params={EVIL: [EVIL]}, environment={EVIL: EVIL}, run_id=EVIL, model_uri=EVIL, training_key=EVIL,
    )  # fmt: skip
    story.change("1", EVIL, reason=EVIL, approved_by=EVIL)
    story.append("model:returns", "rejected", EVIL, {"version": "1", "by": EVIL, "comment": EVIL})
    story.append("model:returns", "retired", EVIL, {"version": "1", "reason": EVIL}, actor=EVIL)
    drift = {"champion": "1", "status": EVIL, "summary": EVIL}
    story.append("model:returns", "watched", EVIL, {"drift": drift, "performance": {"status": EVIL, "reason": EVIL}})
    text = page(story, "1")
    tags = Tags(text)
    assert not {"script", "img"} & set(tags.tags)
    assert "onerror" not in tags.names
    assert "{{ 7*7 }}" in tags.text
    assert tags.text.count("<script>alert(1)</script>") > 20


@pytest.mark.parametrize("status", ["pass", "fail", "inconclusive"])
def test_a_serving_check_and_conditions_are_shown(story, status: str) -> None:
    story.partition("2024-01")
    story.partition("2024-02")
    check = {"name": "p99", "status": status, "reason": "12 ms of 50 ms", "value": 12.0, "limit": 50.0}
    serving = {"status": status, "mode": "process", "digest": "sha256:1", "checks": [check], "p99_ms": 12.0}
    story.judged("1", ["2024-01@v1"], ["2024-02@v1"], serving=serving)
    text = Tags(page(story, "1")).text
    assert "12 ms of 50 ms" in text
    assert "sha256:1" in text


def test_a_version_of_which_little_is_known_has_a_page_too(story) -> None:
    story.change("7", None, approved_by="ana")
    text = " ".join(Tags(page(story, "7")).text.split())
    assert "No training of this version is recorded." in text
    assert "a person promoted it by hand" in text


def test_a_long_list_is_cut_and_counted(story) -> None:
    seen = {"drift": {"champion": "1"}, "performance": None}
    story.ledger.append_all([Entry("model:returns", "watched", f"p{number}", seen) for number in range(450)])
    story.change("1", None)
    text = Tags(page(story, "1")).text
    assert "and 50 more: see the JSON of this bundle" in text
    assert "p399" in text
    assert "and 51 more" in text  # of the events, the promotion included


def test_a_broken_chain_is_the_first_thing_that_is_said(told) -> None:
    made = bundle(told.ledger, "returns", "2", now=NOON)
    problem = {"stream": "model:returns", "sequence": 4, "what": "was changed"}
    text = Tags(render({**made, "chain": {**made["chain"], "ok": False, "problems": [problem]}})).text
    assert text.index("does not verify") < text.index("In production")
    assert "model:returns event 4: was changed" in text
