"""The journal: each film and each result once, whatever happens in between."""

import pathlib
import sqlite3
import threading
from collections import Counter
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cxr_jax.serve.journal import FILE, Journal, Made
from tfds_builders.common.errors import InputError


def made(sop="9.1", digest="d1"):
    return Made(sop, "1.2", f"results/x/{sop}.dcm", digest, 100)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def test_a_film_is_noted_once(journal):
    assert journal.add("1.2", "a", 10, "PACS", 1.0)
    assert not journal.add("1.2", "a", 10, "PACS", 2.0)
    assert journal.add("1.2", "b", 10, "PACS", 3.0)
    assert [row.digest for row in journal.received(9)] == ["a", "b"]
    assert [row.digest for row in journal.received(1)] == ["a"]


def test_a_film_is_scored_once(journal):
    journal.add("1.2", "a", 10, "PACS", 1.0)
    [row] = journal.received(9)
    journal.scored(row.id, "passed", [made()], 2.0)
    with pytest.raises(ValueError, match="finished"):
        journal.scored(row.id, "passed", [made("9.2")], 3.0)
    assert [each.sop for each in journal.due(9.0, 9)] == ["9.1"]
    assert not journal.add("1.2", "a", 10, "PACS", 4.0)


def test_a_film_that_failed_is_tried_again_when_it_is_sent_again(journal):
    journal.add("1.2", "a", 10, "PACS", 1.0)
    [row] = journal.received(9)
    assert journal.crashed(row.id) == 1 and journal.crashed(row.id) == 2
    journal.unscored(row.id, "failed", "crash", 2.0)
    assert journal.received(9) == []
    assert journal.add("1.2", "a", 10, "PACS", 3.0)
    assert journal.received(9)[0].crashes == 0


def test_results_wait_for_their_time(journal):
    journal.add("1.2", "a", 10, "PACS", 1.0)
    [row] = journal.received(9)
    journal.scored(row.id, "", [made("9.1"), made("9.2", "d2")], 2.0)
    first, second = journal.due(2.0, 9)
    journal.postponed(first.id, 10.0, "no answer")
    journal.sending(second.id)
    assert [each.sop for each in journal.due(9.0, 9)] == ["9.2"]
    assert journal.due(9.0, 9)[0].state == "sending"
    assert journal.finished(99.0, 9) == []
    journal.sent(second.id, 9.0)
    assert [each.tries for each in journal.due(10.0, 9)] == [1]
    journal.abandoned(first.id, "too old")
    assert journal.due(99.0, 9) == []
    assert [each.id for each in journal.finished(99.0, 9)] == [row.id]


def test_what_was_written_outlives_its_process(tmp_path):
    journal = Journal(tmp_path)
    journal.add("1.2", "a", 10, "PACS", 1.0)
    other = Journal(tmp_path)  # without closing the first
    assert [row.sop for row in other.received(9)] == ["1.2"]
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    journal.close()


def test_it_forgets_what_is_no_longer_kept(journal):
    for number in range(3):
        journal.add(f"1.{number}", f"{number}", 10, "PACS", 1.0)
    for row in journal.received(9)[:2]:
        journal.scored(row.id, "", [made(f"9.{row.id}", row.digest)], 10.0 * row.id)
    for each in journal.due(99.0, 9):
        journal.sent(each.id, 50.0)
    first, second = journal.finished(99.0, 9)
    assert not journal.removed(3)  # it still waits
    assert journal.removed(first.id)
    assert journal.forget(5.0) == 0
    assert journal.forget(15.0) == 1
    assert journal.kept_bytes() == 10 + 10 + 100
    assert journal.digests() == {second.digest, "2"}


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + bytes(100)])
def test_a_damaged_journal(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        Journal(tmp_path)


def test_a_journal_of_a_newer_version(tmp_path):
    Journal(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(InputError, match="format 99"):
        Journal(tmp_path)


def test_threads(journal):
    def add(first):
        for number in range(first, 40):
            journal.add(f"1.{number}", "a", 1, "PACS", 1.0)

    threads = [threading.Thread(target=add, args=(k,)) for k in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(journal.received(99)) == 40


class Machine(RuleBasedStateMachine):
    """Against a plain dict of what has to be so."""

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.journal = Journal(pathlib.Path(self.folder.name))
        self.films: dict[str, str] = {}
        self.results: dict[str, str] = {}

    def teardown(self):
        self.journal.close()
        self.folder.cleanup()

    @rule(number=st.integers(0, 5))
    def add(self, number):
        key = f"1.{number}"
        is_new = self.films.get(key, "failed") == "failed"
        assert self.journal.add(key, "a", 1, "PACS", 1.0) == is_new
        if is_new:
            self.films[key] = "received"

    @rule(state=st.sampled_from(["scored", "refused", "failed"]))
    def finish(self, state):
        for row in self.journal.received(1):
            self.films[row.sop] = state
            if state == "scored":
                sop = f"9{row.sop}"
                self.journal.scored(row.id, "", [made(sop)], 2.0)
                self.results[sop] = "waiting"
            else:
                self.journal.unscored(row.id, state, "", 2.0)

    @rule(state=st.sampled_from(["sending", "sent", "abandoned", "postponed"]))
    def send(self, state):
        for row in self.journal.due(9.0, 1):
            if state == "sending":
                self.journal.sending(row.id)
            elif state == "sent":
                self.journal.sent(row.id, 3.0)
            elif state == "abandoned":
                self.journal.abandoned(row.id, "")
            else:
                self.journal.postponed(row.id, 9.0, "")
            self.results[row.sop] = "waiting" if state == "postponed" else state

    @rule()
    def reopen(self):
        self.journal.close()
        self.journal = Journal(pathlib.Path(self.folder.name))

    @invariant()
    def agrees(self):
        counts = self.journal.counts()
        for name, known in (("films", self.films), ("results", self.results)):
            assert counts[name] == dict(Counter(known.values()))


Machine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None
)
test_as_a_dict = Machine.TestCase
