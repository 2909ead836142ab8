"""Which values of a pod template are shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.evidence import TemplateChange
from rollout_verdict.core.redaction.redact import Redactor

ENV = "containers/api/env/"


def told(path, stable, canary=""):
    change = Redactor().tree(TemplateChange(path=path, stable=stable, canary=canary))
    return change.stable, change.canary


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PAYMENTS_PORT", value) for value in ("443", "-1", "0.25", "512Mi", "30s", "1h30m", "50%", "v1.4.0")),
        *(("FEATURE", value) for value in ("true", "OFF", "none", "")),
        *(("LOG_LEVEL", value) for value in ("DEBUG", "info", "json")),
        *(("PAYMENTS_ADDRESS", value) for value in ("127.0.0.1:9444", "payments.shop.svc:80", ":8080", "[::1]:80")),
        *(("PAYMENTS_ADDRESS", value) for value in ("10.0.0.7", "payments", "payments.shop.svc")),
        *(
            ("BACKEND", value)
            for value in ("http://pay:8080/v1/checkout", "redis://cache:6379/0", "https://a.example/")
        ),
        ("BROKERS", "kafka-0:9092, kafka-1:9092"),
        ("CONFIG", "/etc/app/config.yaml"),
        ("CONFIG", "config.yaml"),
        ("AUTH_ENABLED", "true"),
        ("DB_PASSWORD", "secretKeyRef db/password"),
        ("NAMESPACE", "fieldRef metadata.namespace"),
    ],
)
def test_a_variable_of_a_harmless_form_is_shown(name, value):
    assert told(ENV + name, value) == (value, "")


@pytest.mark.parametrize("path", [ENV, "initContainers/a/env/", "env/", "spec/template/spec/containers/a/env/"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "Zx1correcthorse1Q") for name in ("PGPASS", "STRIPE", "JWT_SIGNING_SEED", "SALT", "LICENSE", "X")),
        *((name, "8310") for name in ("PIN", "ACCESS_CODE", "USER_PIN", "apiKey", "LOGIN")),
        *((name, "correct") for name in ("SALT", "GREETING", "PASSPHRASE")),
        ("LOGIN", "admin:1234"),
        ("WEBHOOK", "https://hooks.example/services"),
        ("NOTIFY", "https://hooks.example/services/T00000000/B00000000/abcdEFGH"),
        ("NOTIFY", "https://a.example/x?sig=abc"),
        ("REDIS", "redis://:hunter2@h:6379/0"),
        ("BROKERS", "a:1,hunter2x"),
        ("NUMBERS", ",".join("1" * 21)),
        ("CARD", "83101234567890"),
        ("SCRIPT", "true\nhunter2x"),
    ],
)
def test_any_other_variable_shows_only_that_it_changed(path, name, value):
    stable, canary = told(path + name, value, f"{value}9")
    assert stable != canary
    assert value not in stable + canary
    assert all(one[0] == "<" and one[-1] == ">" for one in (stable, canary))
    assert told(path + name, value, value) == (stable, stable)


def test_a_placeholder_says_nothing_of_the_value():
    """No digest: of a short value it could be found by trying."""
    assert told(ENV + "GREETING", "hunter2x", "hunter3x") == ("<value:1>", "<value:2>")
    assert told(ENV + "GREETING", "another", "") == ("<value:1>", "")
    assert told(ENV + "X_PIN", "1234", "1235") == ("<secret:1>", "<secret:2>")


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("env[API]", "hunter2x", "<value:1>"),
        ("env['API']/value", "8080", "8080"),
        (ENV + "API/value", "hunter2x", "<value:1>"),
        ("containers/env/image", "shop:1", "shop:1"),
        ("labels/release", "hunter2x", "hunter2x"),
        ("containers/a/livenessProbe/httpGet/httpHeaders/X-Probe/value", "hunter2x", "<value:1>"),
        ("containers/a/livenessProbe/httpGet/httpHeaders/X-Probe/name", "X-Probe", "X-Probe"),
    ],
)
def test_variables_and_headers_are_known_by_their_path(path, value, shown):
    assert told(path, value)[0] == shown


@pytest.mark.parametrize(
    ("which", "words", "shown"),
    [
        ("args", ["-p", "hunter2x", "-u", "me:1234"], ["-p", "<secret:1>", "-u", "<secret:2>"]),
        ("args", ["-phunter4z", "-v"], ["<value:1>", "-v"]),
        ("args", ["--db-pass=hunter3y", "--port=8080"], ["--db-pass=<password:1>", "--port=8080"]),
        ("args", ["--pin", "8310", "--pin=8310"], ["--pin", "<secret:1>", "--pin=<secret:1>"]),
        ("args", ["--listen=:8080", "--level", "debug"], ["--listen=:8080", "--level", "debug"]),
        ("args", ["serve", "hunter2x", "hunter2x"], ["serve", "<value:1>", "<value:1>"]),
        ("args", ["--", "-Dserver.port=80"], ["<value:1>", "-Dserver.port=80"]),
        ("command", ["java", "-Xmx512m", "-jar", "app.jar"], ["java", "-Xmx512m", "-jar", "app.jar"]),
        ("command", ["/bin/sh", "-c", "PW=hunter2x exec app"], ["/bin/sh", "-c", "<value:1>"]),
        ("command", ["PW=hunter2x"], ["<value:1>"]),
        ("args", ["app"], ["<value:1>"]),
        ("args", [], []),
    ],
)
def test_of_a_command_line_the_flags_and_what_is_harmless_are_shown(which, words, shown):
    assert json.loads(told(f"containers/api/{which}", json.dumps(words))[0]) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--port 8080 -p hunter2x", "--port 8080 -p <secret:1>"),
        ('["--port=80", "hunter2x…', "<value:1> <value:2>"),
        ('{"a": 1}', "<value:1> <value:2>"),
        ("[1]", "<value:1>"),
        ("", ""),
    ],
)
def test_a_command_line_in_another_form_is_read_word_by_word(text, shown):
    assert told("containers/api/args", text)[0] == shown


def test_a_value_under_a_name_of_a_secret_is_known_elsewhere_and_another_is_not():
    tree = (TemplateChange(path=ENV + "SALT", stable="", canary="hunter2x9"), "log: hunter2x9", "end")
    assert Redactor().tree(tree)[1] == "log: <secret:1>"
    tree = (TemplateChange(path=ENV + "NAME", stable="", canary="shop-v2-eu"), "log: shop-v2-eu", "end")
    assert Redactor().tree(tree)[1] == "log: shop-v2-eu"


@given(st.sampled_from([ENV + "A", "containers/a/args", "containers/a/command"]), st.text(), st.text())
def test_redacting_twice_changes_nothing_and_what_differs_still_does(path, stable, canary):
    once = Redactor().tree(TemplateChange(path=path, stable=stable, canary=canary))
    assert Redactor().tree(once) == once
    if path.endswith("A"):
        assert (once.stable == once.canary) is (stable == canary)
