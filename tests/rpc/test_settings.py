"""Arguments and environment of the plugin process."""

import pytest

from rollout_verdict.rpc.settings import Settings, read_settings

NOTHING = Settings(service="", token_file="", ca_file="", local=False, problem="")


@pytest.mark.parametrize(
    ("arguments", "environ", "wanted"),
    [
        ([], {}, {}),
        (["--service=http://s:1"], {}, {"service": "http://s:1"}),
        (["--service", "http://s:1", "--local"], {}, {"service": "http://s:1", "local": True}),
        (
            [],
            {"ROLLOUT_VERDICT_SERVICE": "http://e", "ROLLOUT_VERDICT_LOCAL": "true"},
            {"service": "http://e", "local": True},
        ),
        (["--service=http://a"], {"ROLLOUT_VERDICT_SERVICE": "http://e"}, {"service": "http://a"}),
        (["--local=false"], {"ROLLOUT_VERDICT_LOCAL": "true"}, {"local": False}),
        (["--token-file=/t", "--ca-file", "/c"], {}, {"token_file": "/t", "ca_file": "/c"}),
    ],
)
def test_settings(arguments, environ, wanted):
    found = read_settings(arguments, environ)
    assert {key: getattr(found, key) for key in wanted} == wanted
    assert found.problem == ""


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["--servcie=http://s"], {}, "unknown plugin argument '--servcie'; known are --service"),
        (["serve"], {}, "unknown plugin argument 'serve'"),
        (["--token-file"], {}, "lacks its value"),
        (["--local=yes"], {}, "true or false"),
        ([], {"ROLLOUT_VERDICT_LOCAL": "1"}, "true or false"),
    ],
)
def test_what_is_wrong_is_kept_not_raised(arguments, environ, told):
    assert told in read_settings(arguments, environ).problem


def test_nothing_set_is_nothing():
    assert read_settings([], {}) == NOTHING
