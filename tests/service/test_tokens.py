"""The token file: what may stand in it, and that a change of it counts at once and a slip does not."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.service.tokens import (
    RECHECK_S,
    Scope,
    TokenFile,
    TokenFileError,
    digest_of,
    make_token_file,
    parse_grants,
)

TOKEN = "a-token-of-16-characters"
ENTRY = f'[[token]]\nname = "a"\ntoken = "{TOKEN}"\n'


def test_what_an_entry_says():
    content = f'{ENTRY}scope = "run"\nnamespaces = ["shop"]\nexpires = 2027-01-01T01:00:00+01:00\n'
    (grant,) = parse_grants(content).tokens.values()
    assert (grant.name, grant.scope, grant.namespaces) == ("a", Scope.RUN, ("shop",))
    assert grant.expires.isoformat() == "2027-01-01T00:00:00+00:00"
    assert TOKEN not in repr(grant)
    assert grant.digest not in repr(grant)


def test_a_digest_stands_for_its_token():
    content = f'[[token]]\nname = "a"\nsha256 = "{digest_of(TOKEN)}"\n'
    assert parse_grants(content) == parse_grants(ENTRY)


def test_a_service_account_is_known_by_its_name():
    (grant,) = parse_grants('[[serviceaccount]]\nname = "argo/argo"\n').accounts.values()
    assert (grant.name, grant.scope, grant.digest) == ("argo/argo", Scope.READ, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[token", "no TOML"),
        (f'token = "{TOKEN}"', "double brackets"),
        ("[[tokens]]", "knows [[token]]"),
        ("[[token]]", "name must be"),
        ('[[token]]\nname = "a b"\ntoken = "x"', "name must be"),
        ('[[token]]\nname = "a"', "either token or sha256"),
        (f'{ENTRY}sha256 = "{"0" * 64}"', "either token or sha256"),
        ('[[token]]\nname = "a"\nsha256 = "0"', "64 hex digits"),
        ('[[token]]\nname = "a"\ntoken = "short"', "at least 16"),
        ('[[token]]\nname = "a"\ntoken = "ümlaut-ümlaut-ümlaut"', "printable ASCII"),
        (f'{ENTRY}scope = "root"', "read, run or admin"),
        (f"{ENTRY}namespaces = []", "leave it out for all"),
        (f'{ENTRY}namespaces = "shop"', "list of names"),
        (f'{ENTRY}expires = "2027-01-01T00:00:00Z"', "without quotes"),
        (f"{ENTRY}expires = 2027-01-01T00:00:00", "with its zone"),
        (f'{ENTRY}colour = "red"', "unknown key 'colour'"),
        (f"{ENTRY}{ENTRY}", "stands above already"),
        ('[[serviceaccount]]\nname = "argo"', "NAMESPACE/NAME"),
        (f'[[serviceaccount]]\nname = "argo/argo"\ntoken = "{TOKEN}"', "unknown key 'token'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_without_a_token(content, words):
    with pytest.raises(TokenFileError) as caught:
        parse_grants(content)
    assert words in str(caught.value)
    assert TOKEN not in str(caught.value)


@given(st.text(max_size=200) | st.text(max_size=60).map(lambda text: f"{ENTRY}{text}"))
def test_any_text_is_grants_or_an_error_without_its_tokens(content):
    told = ""
    try:
        parse_grants(content)
    except TokenFileError as error:
        told = str(error)
    assert TOKEN not in told


class Monotonic:
    now = 0.0

    def __call__(self):
        self.now += RECHECK_S * 2
        return self.now


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(ENTRY)
    tokens = TokenFile(path, Monotonic())
    tokens.load()
    return tokens


def rewrite(path, content):
    """As Kubernetes does it: another file takes the place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(path)


def test_a_change_counts_at_once(file):
    rewrite(file.path, ENTRY.replace(TOKEN, "another-token-of-characters"))
    assert list(file.grants().tokens) == [digest_of("another-token-of-characters")]


@pytest.mark.parametrize("slip", ["[[token", None, b"\xff", b" " * (1 << 20) + b" "])
def test_a_slip_leaves_what_was_in_force_and_is_told(file, slip, caplog):
    if slip is None:
        file.path.unlink()
    elif isinstance(slip, bytes):
        file.path.write_bytes(slip)
    else:
        rewrite(file.path, slip)
    assert list(file.grants().tokens) == [digest_of(TOKEN)]
    assert file.problem
    file.grants()
    assert caplog.text.count("cannot be used") == 1, "told once, not at every request"
    rewrite(file.path, ENTRY)
    assert file.grants().tokens
    assert file.problem == ""


def test_within_a_second_the_file_is_not_looked_at(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(ENTRY)
    tokens = TokenFile(path, lambda: 1.0)
    tokens.load()
    path.unlink()
    assert tokens.grants().tokens
    assert tokens.problem == ""


def test_a_file_that_is_not_there_at_the_start_is_an_error(tmp_path):
    with pytest.raises(TokenFileError, match="cannot be read"):
        TokenFile(tmp_path / "none").load()


def test_the_first_start_makes_a_file_for_its_owner_alone(tmp_path):
    path = tmp_path / "state" / "tokens.toml"
    token = make_token_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (grant,) = parse_grants(path.read_text()).tokens.values()
    assert (grant.name, grant.scope, grant.digest) == ("owner", Scope.ADMIN, digest_of(token))
    with pytest.raises(FileExistsError):
        make_token_file(path)


@pytest.mark.parametrize(("one", "other", "includes"), [
    ("admin", "run", True), ("run", "run", True), ("run", "admin", False), ("read", "run", False),
])  # fmt: skip
def test_a_scope_includes_those_before_it(one, other, includes):
    assert Scope(one).includes(Scope(other)) is includes
