"""Threads for calls that wait."""

import _thread
import threading
import time

import pytest

from rollout_verdict.rpc.pool import BusyError, Pool
from tests.rpc.host import DEADLINE_S, until


def pool(**options):
    failures = []
    return Pool(failures.append, **options), failures


def test_many_waiting_functions_wait_together():
    found, _ = pool()
    barrier = threading.Barrier(101, timeout=DEADLINE_S)
    for _ in range(100):
        found.submit(barrier.wait)
    barrier.wait()


def test_no_more_threads_than_allowed_and_the_rest_in_order():
    found, _ = pool(threads=2)
    gate, order, most = threading.Event(), [], set()
    for number in range(6):

        def work(number=number):
            gate.wait(DEADLINE_S)
            most.add(threading.get_ident())
            order.append(number)

        found.submit(work)
    gate.set()
    until(lambda: len(order) == 6, "everything is done")
    assert len(most) <= 2
    assert sorted(order) == list(range(6))


def test_too_much_is_refused_and_room_comes_back():
    found, _ = pool(threads=1, waiting=1)
    gate, done = threading.Event(), []
    for number in range(2):
        found.submit(lambda number=number: (gate.wait(DEADLINE_S), done.append(number)))
    with pytest.raises(BusyError):
        found.submit(lambda: None)
    gate.set()
    until(lambda: done == [0, 1], "both are done")
    until(lambda: found._open == 0, "they are accounted for")
    found.submit(lambda: done.append(2))
    until(lambda: done == [0, 1, 2], "room came back")


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_a_function_that_raises_is_told_and_its_thread_lives_on(error):
    found, failures = pool(threads=1)
    done = []

    def fail():
        raise error

    found.submit(fail)
    found.submit(lambda: done.append(1))
    until(lambda: done == [1], "the next one is done")
    assert failures == [error]


def test_idle_threads_end_and_new_ones_start():
    found, _ = pool(idle_s=0.01)
    for _ in range(3):
        done = []
        found.submit(lambda done=done: done.append(1))
        until(lambda done=done: done == [1], "it is done")
        until(lambda: found._threads == 0, "the thread ended")


def test_work_is_never_lost_between_idle_threads():
    found, _ = pool(idle_s=0.0005, threads=4)
    done = []
    for number in range(500):
        found.submit(lambda number=number: done.append(number))
        if number % 10 == 0:
            time.sleep(0.0005)  # about as long as a thread waits: the two must meet
    until(lambda: len(done) == 500, "everything is done")


def test_a_system_without_threads_left(monkeypatch):
    found, _ = pool()
    done = []

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(_thread, "start_new_thread", refuse)
        with pytest.raises(BusyError, match="no thread left"):
            found.submit(lambda: done.append("refused"))
    gate = threading.Event()
    found.submit(lambda: gate.wait(DEADLINE_S))
    with monkeypatch.context() as patched:
        patched.setattr(_thread, "start_new_thread", refuse)
        found.submit(lambda: done.append(1))
    gate.set()
    until(lambda: done == [1], "the thread there is does it")
