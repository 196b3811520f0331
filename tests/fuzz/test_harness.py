"""The tool notices every kind of fault, and nothing else."""

import os
import signal
import time

import numpy as np
import pytest

from tests.fuzz import children, mutations
from tests.fuzz.__main__ import faults, table
from tests.fuzz.case import Case, Kind, Original, Reading
from tests.fuzz.kinds import KINDS, make_case, plan
from tfds_builders.common.errors import InputError

WHOLE = b"0123456789"
LIMITS = children.Limits(cpu=2, wall=20.0, memory=1 << 28)


def planted(read, demand="seen", damage=lambda number: WHOLE + b"!"):
    """A kind whose files are read by `read`, undamaged ones without errors."""

    def read_all(path):
        data = path.read_bytes()
        return Reading(data) if data == WHOLE else read(path)

    def mutate(rng, index):
        number = int(rng.integers(1 << 30))
        return Case("plain", "planted", damage(number), demand)

    def place(folder, case):
        return mutations.place(folder / "file.bin", case)

    return Kind(lambda: (Original("plain", WHOLE),), mutate, place, read_all)


def outcome(read, demand="seen"):
    (verdict,) = children.run({"k": planted(read, demand)}, [("k", 0)], LIMITS)
    assert (verdict.kind, verdict.mutation) == ("k", "planted")
    return verdict


def refuse(path):
    raise InputError(path, "damaged", "copy it again")


def refuse_unnamed(path):
    raise InputError("config.data", "damaged", "copy it again")


def refuse_for_memory(path):
    raise InputError(path, "damaged (MemoryError)", "copy it again")


def raise_error(path):
    return {}["key"]


def spin(path):
    while True:
        pass


def wait(path):
    time.sleep(600)


def die(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(path):
    os._exit(3)


def grow(path):
    return Reading(np.ones(1 << 27))  # 1 GiB


def guess(path):
    return Reading(path.read_bytes())


def note(path):
    return Reading(path.read_bytes(), ("tail_left_out",))


def mend(path):
    return Reading(WHOLE)


@pytest.mark.parametrize(
    ("read", "demand", "expected"),
    [
        (raise_error, "any", "traceback"),
        (refuse_unnamed, "any", "unnamed"),
        (spin, "any", "hang"),
        (wait, "any", "hang"),
        (die, "any", "crash"),
        (leave, "any", "crash"),
        (grow, "any", "memory"),
        (refuse_for_memory, "any", "memory"),
        (guess, "seen", "silent"),
        (guess, "noted", "silent"),
        (mend, "noted", "silent"),
        (mend, "heeded", "silent"),
        (refuse, "same", "wrong refusal"),
    ],
)
def test_notices(read, demand, expected):
    verdict = outcome(read, demand)
    assert verdict.outcome == expected and verdict.is_fault, verdict
    assert expected in faults([verdict]) and "--kind=k --case=0" in faults([verdict])


@pytest.mark.parametrize(
    ("read", "demand", "expected"),
    [
        (refuse, "seen", "refused"),
        (refuse, "noted", "refused"),
        (mend, "seen", "same"),
        (mend, "same", "same"),
        (note, "seen", "noted"),
        (note, "noted", "noted"),
        (guess, "any", "other"),
        (guess, "heeded", "other"),
    ],
)
def test_accepts(read, demand, expected):
    verdict = outcome(read, demand)
    assert verdict.outcome == expected and not verdict.is_fault, verdict


def test_warnings_of_libjpeg_have_to_be_noted():
    def read(path):
        os.write(2, b"Corrupt JPEG data: premature end of data segment\n")
        return guess(path)

    assert outcome(read, "any").outcome == "silent"


def test_continues_after_a_case_that_ends_its_child():
    deadly = planted(die, damage=lambda number: WHOLE + b"!" * (number % 2))
    cases = [("k", number) for number in range(12)]
    found = [v.outcome for v in children.run({"k": deadly}, cases, LIMITS)]
    assert len(found) == 12 and set(found) == {"same", "crash"}


def test_a_fault_of_the_tool_is_not_blamed_on_a_reader():
    def damage(number):
        raise ZeroDivisionError

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(children.run({"k": planted(guess, damage=damage)}, [("k", 0)], LIMITS))


def test_the_table_counts_every_case():
    cases = [("k", 0), ("k", 1)]
    verdicts = list(children.run({"k": planted(guess)}, cases, LIMITS))
    *_, row, total = table(verdicts).splitlines()
    assert row.split("|")[2:-1] == total.split("|")[2:-1]
    numbers = [int(cell) for cell in row.split("|")[2:-1]]
    assert numbers[0] == sum(numbers[1:]) == 2


@pytest.mark.parametrize("name", KINDS)
def test_a_case_depends_only_on_its_number(name):
    for number in range(20):
        one, other = (make_case(KINDS[name], name, number) for _ in range(2))
        assert one == other


@pytest.mark.parametrize("name", KINDS)
def test_undamaged_files_are_read_unchanged(name):
    kind = KINDS[name]

    def leave_alone(rng, index):
        original = kind.originals()[index]
        return Case(original.name, "none", original.data, "same")

    same = kind._replace(mutate=leave_alone)
    cases = [(name, index) for index in range(len(kind.originals()))]
    for verdict in children.run({name: same}, cases):
        assert verdict.outcome == "same" or name == "pth", verdict


def test_a_plan_has_all_kinds_and_no_duplicate_case():
    cases = plan(list(KINDS), 1000, seed=1)
    assert len(set(cases)) == len(cases) == 1000
    assert {name for name, _ in cases} == set(KINDS)
    assert not set(cases) & set(plan(list(KINDS), 1000, seed=0))
