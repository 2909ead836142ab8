"""Who broke the rules, we or the other side.

::

    WireError
    ├── LocalProtocolError        we did: a bug in this package or in its caller
    └── RemoteProtocolError       they did: the conversation cannot go on
        ├── NotAPluginHostError   no conversation was meant: a person started the plugin by hand
        └── BadValueError         one gob value is wrong, but its frame is whole: the stream is still in step

No decoder in this package raises anything else, whatever bytes it is fed.
"""


class WireError(Exception):
    """Anything that goes wrong between bytes and values."""


class LocalProtocolError(WireError):
    """We were about to send, or asked for, something the protocol does not allow."""


class RemoteProtocolError(WireError):
    """The other side sent something the protocol does not allow."""


class NotAPluginHostError(RemoteProtocolError):
    """The process was not started by a go-plugin host; the text tells a person what to do."""


class BadValueError(RemoteProtocolError):
    """A gob value contradicts its own type; the next message can still be read."""
