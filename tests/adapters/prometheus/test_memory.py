"""What is remembered of servers, and for how long."""

from rollout_verdict.adapters.prometheus.memory import MOST, NAMES_S, PRESETS_S, Memory


def test_what_is_old_is_forgotten():
    now = [0.0]
    memory = Memory(clock=lambda: now[0])
    memory.keep_names("a", frozenset({"x"}))
    memory.keep_probed(("a", "b"), ())
    now[0] = NAMES_S - 1
    assert memory.names("a") == {"x"}
    now[0] = NAMES_S + 1
    assert memory.names("a") is None
    assert memory.probed(("a", "b")) == ()
    now[0] = PRESETS_S + 1
    assert memory.probed(("a", "b")) is None


def test_the_oldest_goes_when_there_is_too_much():
    memory = Memory(clock=lambda: 0.0)
    for number in range(MOST + 1):
        memory.keep_names(str(number), frozenset())
    assert memory.names("0") is None
    assert memory.names("1") == memory.names(str(MOST)) == frozenset()
