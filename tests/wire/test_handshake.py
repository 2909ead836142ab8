"""What the host puts into the environment, and the line that answers it."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.wire.errors import LocalProtocolError, NotAPluginHostError, RemoteProtocolError, WireError
from rollout_verdict.wire.handshake import COOKIE, MAX_ADDRESS, Offer, handshake_line, read_environment

HOST = {
    "ARGO_ROLLOUTS_RPC_PLUGIN": "metricprovider",
    "PLUGIN_MIN_PORT": "10000",
    "PLUGIN_MAX_PORT": "25000",
    "PLUGIN_PROTOCOL_VERSIONS": "1",
}


def test_the_controllers_environment_is_accepted():
    assert read_environment(HOST) == Offer(socket_dir="", socket_group="")


def test_a_folder_and_a_group_for_the_socket_are_honoured():
    offer = read_environment({**HOST, "PLUGIN_UNIX_SOCKET_DIR": "/run/p", "PLUGIN_UNIX_SOCKET_GROUP": "7"})
    assert offer == Offer(socket_dir="/run/p", socket_group="7")


@pytest.mark.parametrize("cookie", [None, "", "metricProvider", "metricprovider ", "trafficrouter"])
def test_without_the_right_cookie_a_person_is_told_what_to_do(cookie):
    environ = {} if cookie is None else {COOKIE[0]: cookie}
    with pytest.raises(NotAPluginHostError, match=r"metricProviderPlugins(.|\n)*rollout-verdict judge\n"):
        read_environment(environ)


def test_a_host_that_wants_mutual_tls_is_refused_loudly():
    with pytest.raises(RemoteProtocolError, match="PLUGIN_CLIENT_CERT"):
        read_environment({**HOST, "PLUGIN_CLIENT_CERT": "-----BEGIN CERTIFICATE-----"})


def test_an_empty_client_certificate_is_none():
    read_environment({**HOST, "PLUGIN_CLIENT_CERT": ""})


def test_the_line_has_five_fields_and_an_empty_certificate():
    assert handshake_line("/tmp/plugin123") == b"1|1|unix|/tmp/plugin123|netrpc|\n"


@pytest.mark.parametrize("path", ["", "relative", "/a|b", "/a\nb", "/a\rb", "/a\0b", "/" + "a" * MAX_ADDRESS])
def test_a_path_that_would_garble_the_line_is_our_error(path):
    with pytest.raises(LocalProtocolError, match="socket path"):
        handshake_line(path)


def test_the_longest_path_fits():
    assert handshake_line("/" + "a" * (MAX_ADDRESS - 1)).endswith(b"a|netrpc|\n")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*HOST, "PLUGIN_CLIENT_CERT", "PLUGIN_UNIX_SOCKET_DIR"]), st.text()))
def test_any_environment_is_read_or_refused(environ):
    with contextlib.suppress(RemoteProtocolError):
        read_environment(environ)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_path_makes_one_line_or_an_error(path):
    try:
        line = handshake_line("/" + path)
    except WireError:
        return
    assert line.count(b"\n") == 1
    assert line.count(b"|") == 5
