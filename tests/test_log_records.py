"""What this program logs holds no secret, wherever in the record it stood."""

import io
import json
import logging

import pytest

from rollout_verdict.log_records import redact_records
from tests.core.planted import PLANTED


class _AsJson(logging.Formatter):
    """Prints every attribute of a record, as a structured formatter would."""

    def format(self, record):
        super().format(record)
        return json.dumps({name: str(value) for name, value in vars(record).items()}, ensure_ascii=False)


@pytest.fixture(params=[logging.Formatter, _AsJson], ids=["plain", "structured"])
def log(request):
    """A logger and what its handler wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    redact_records(handler)
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own, so that no test hears another
    logger.addHandler(handler)
    return logger, stream


@pytest.mark.parametrize(("text", "secret"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_no_planted_secret_is_logged(log, text, secret):
    """Neither as the message, nor as an argument, an extra field, an exception or a stack."""
    logger, stream = log
    logger.error(text)
    logger.error("call failed: %s", text, extra={"detail": text, "many": [text]})
    logger.error("broke", exc_info=RuntimeError(text), stack_info=True)
    logger.error("%(body)s", {"body": {"x": [text]}})
    written = stream.getvalue()
    assert written.count("\n") >= 4
    assert secret not in written
    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in written


def test_an_extra_field_is_redacted_by_its_name(log):
    """A field called api_key is a secret whatever it looks like; numbers stay numbers."""
    logger, stream = log
    logger.warning("x", extra={"api_key": "swordfish", "status": 503, "nothing": None})
    assert "swordfish" not in stream.getvalue()


def test_records_pass_and_keep_their_words(log):
    """Redaction drops no record and changes nothing else."""
    logger, stream = log
    logger.info("judged %d canaries in %.1f s", 2, 0.5)
    assert "judged 2 canaries in 0.5 s" in stream.getvalue()


def test_objects_become_text_and_depth_has_an_end(log):
    """An object in a field is told by its redacted repr; data inside itself ends somewhere."""
    logger, stream = log
    inside = {"token": "swordfish"}
    inside["again"] = inside
    logger.warning(
        "%s", RuntimeError("token=swordfish"), extra={"error": RuntimeError("token=swordfish"), "data": inside}
    )
    logger.warning("%s %d", "x", 3, extra={"data": {"a": [1, ("token=swordfish",)]}})
    assert "swordfish" not in stream.getvalue()


def test_a_text_of_an_exception_already_made_is_redacted(log):
    """A record that another handler formatted before carries its text; that is redacted too."""
    logger, stream = log
    record = logging.makeLogRecord({"msg": "x", "levelno": logging.ERROR, "exc_text": "token=swordfish"})
    logger.handle(record)
    assert "swordfish" not in stream.getvalue()


def test_custom_kinds_reach_the_log():
    """The operator's patterns hold for log records, too."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    redact_records(handler, custom=[("employee", r"EMP-\d+")])
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own, so that no test hears another
    logger.addHandler(handler)
    logger.info("EMP-42")
    assert stream.getvalue() == "<employee:1>\n"
