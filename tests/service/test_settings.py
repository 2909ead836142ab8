"""The settings of the service, from the environment."""

import re
from pathlib import Path

import pytest

from rollout_verdict.jobs.settings import read_job_settings
from rollout_verdict.service.settings import ServiceSettings, read_service_settings
from rollout_verdict.service.tokens import TokenFileError, parse_grants
from rollout_verdict.settings import SettingsError, read_settings
from tests.conftest import ROOT


def test_nothing_set_is_the_usual():
    assert read_service_settings({}) == ServiceSettings(state_dir=Path("~/.local/state/rollout-verdict").expanduser())
    assert read_service_settings({"XDG_STATE_HOME": "/s"}).state_dir == Path("/s/rollout-verdict")


def test_what_is_set_counts():
    found = read_service_settings(
        {
            "ROLLOUT_VERDICT_STATE_DIR": "/var/lib/verdict",
            "ROLLOUT_VERDICT_TOKENS": "/etc/tokens.toml",
            "ROLLOUT_VERDICT_SESSION_KEY_FILE": "/etc/key",
            "ROLLOUT_VERDICT_URL": "https://verdict.example/",
            "ROLLOUT_VERDICT_UPLOAD_MIB": "2",
            "ROLLOUT_VERDICT_READS_PER_MINUTE": "5",
            "ROLLOUT_VERDICT_STARTS_PER_MINUTE": "6",
            "ROLLOUT_VERDICT_REUSE": "5m",
        }
    )
    assert (found.state_dir, found.token_file) == (Path("/var/lib/verdict"), Path("/etc/tokens.toml"))
    assert (found.session_key_file, found.public_url) == (Path("/etc/key"), "https://verdict.example")
    assert (found.upload_bytes, found.reads_per_minute, found.starts_per_minute) == (2 << 20, 5, 6)
    assert found.reuse_s == 300.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "verdict.example"),
        ("URL", "ftp://verdict.example"),
        ("URL", "https://user:hunter2@verdict.example"),
        ("URL", "https://verdict.example?x=1"),
        ("URL", "https://verdict.example/x"),
        ("URL", "https://verdict.example:x"),
        ("UPLOAD_MIB", "0"),
        ("UPLOAD_MIB", "-1"),
        ("UPLOAD_MIB", "many"),
        ("STARTS_PER_MINUTE", "999999999999"),
        ("REUSE", "soon"),
    ],
)
def test_what_cannot_be_used_names_its_variable(name, value):
    with pytest.raises(SettingsError, match=f"ROLLOUT_VERDICT_{name}") as caught:
        read_service_settings({f"ROLLOUT_VERDICT_{name}": value})
    assert "hunter2" not in str(caught.value)


def test_the_docs_tell_every_setting():
    told = set(re.findall(r"ROLLOUT_VERDICT_[A-Z_]+", (ROOT / "docs" / "service.md").read_text()))
    read = set(re.findall(r"ROLLOUT_VERDICT_[A-Z_]+", str(read_service_settings.__doc__)))
    assert read <= told


def test_every_setting_is_told_in_the_docs():
    """Whatever the three readers of the environment name stands in a page of docs/ or in the README."""
    root = Path(__file__).parents[2]
    pages = "\n".join(page.read_text() for page in (*root.glob("docs/*.md"), root / "README.md"))
    known = set(re.findall(r"[A-Z][A-Z_]+[A-Z]", pages))
    for reader in (read_settings, read_service_settings, read_job_settings):
        named = set(re.findall(r"``([A-Z][A-Z_]+[A-Z])``", reader.__doc__))
        assert len(named) > 5
        assert named - known == set()


def test_the_token_of_the_docs_is_none():
    """Whoever copies the sample and forgets to put a token in has no door that everybody can open."""
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
    sample = page.split("```toml\n")[1].split("```")[0]
    with pytest.raises(TokenFileError, match="token must be at least 16 printable ASCII characters"):
        parse_grants(sample)
