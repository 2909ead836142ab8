"""Candidates for the word that a person is typing, for kubectl's completion. Whatever goes wrong: no candidates."""

import logging
from collections.abc import Sequence

from rollout_verdict.cli.target import KINDS, WORDS, contexts, namespace_of
from rollout_verdict.core.target import TargetKind

ANSWER_S = 2.0  # a person waits with the finger on the key
MOST = 500  # names; a shell asks before it shows more than a hundred
VALUES = {
    "-o": ("text", "json", "yaml", "markdown", "html"),
    "--output": ("text", "json", "yaml", "markdown", "html"),
    "--mode": ("auto", "rules", "advisory"),
}
NAMESPACE = ("-n", "--namespace")


def complete(words: Sequence[str]) -> list[str]:
    """Return what the last of the words may become; "" is a word not yet begun."""
    from typer.main import get_command

    from rollout_verdict.cli.app import app

    before, begun = list(words[:-1]), words[-1] if words else ""
    commands: dict[str, object] = getattr(get_command(app), "commands", {})
    command = next((word for word in before if word in commands), "")
    if not command:
        return _beginning(begun, sorted(commands))
    options = {name: option for option in commands[command].params for name in option.opts if name.startswith("-")}  # type: ignore[attr-defined]  # of click, which has it
    last = options.get(before[-1])
    if last is not None and not last.is_flag:
        return (
            _beginning(begun, sorted(contexts(_value(before, ("--kubeconfig",)))[0]))
            if before[-1] == "--context"
            else _beginning(begun, VALUES.get(before[-1], ()))
        )
    if begun.startswith("-"):
        return _beginning(begun, sorted(options))
    if command != "explain" or _named(before, options):
        return []
    return _beginning(begun, _targets(before, begun))


def _named(before: Sequence[str], options: dict[str, object]) -> bool:
    """Whether the target was given already: a word that is no option and no option's value."""
    words = list(before[before.index("explain") + 1 :])
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            return True
        option = options.get(word)
        if option is not None and not option.is_flag and words:  # type: ignore[attr-defined]  # of click, which has it
            words.pop(0)
    return False


def _targets(before: Sequence[str], begun: str) -> list[str]:
    """Return the objects that may be meant: Rollouts by name, others once their kind is there."""
    kind, slash, _ = begun.partition("/")
    word = kind if slash else "rollout"
    if word not in WORDS:
        return []
    names = _names(before, WORDS[word])
    return [f"{word}/{name}" for name in names] if slash else [*names, *(f"{one}/" for one in KINDS)]


def _names(before: Sequence[str], kind: TargetKind) -> list[str]:
    """Ask the cluster, briefly."""
    from rollout_verdict.adapters.kubernetes import ConnectionSettingsError
    from rollout_verdict.adapters.kubernetes.trouble import ApiError
    from rollout_verdict.cli.cluster import server, within

    kubeconfig, context = _value(before, ("--kubeconfig",)), _value(before, ("--context",))
    namespace = _value(before, NAMESPACE) or namespace_of(kubeconfig, context)

    def asked() -> list[str]:
        with server(kubeconfig, context, ANSWER_S, plugin_s=ANSWER_S) as cluster:
            return sorted(cluster.names(kind, namespace))[:MOST]

    logging.disable()  # a warning would be written into the line that is being typed
    try:
        return within(ANSWER_S, asked)
    except (ApiError, ConnectionSettingsError, TimeoutError):
        return []
    finally:
        logging.disable(logging.NOTSET)


def _value(words: Sequence[str], names: Sequence[str]) -> str:
    """Return what an option was given, "" when it was not."""
    for index, word in enumerate(words):
        if word in names and index + 1 < len(words):
            return words[index + 1]
        for name in names:
            if word.startswith(f"{name}="):
                return word.removeprefix(f"{name}=")
    return ""


def _beginning(begun: str, words: Sequence[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]
