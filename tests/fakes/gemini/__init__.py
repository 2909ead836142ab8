"""A faithful Gemini API for tests and for trying things out without a key.

It serves the Developer API (v1, v1beta) and the Vertex AI route, refuses what the real one refuses, and checks its
own answers against the vendor's protobuf messages and the SDK's types.
"""

from tests.fakes.gemini.scenarios import SCENARIOS, Answer, Call, Fault, Scenario
from tests.fakes.gemini.server import Entry, FakeGemini

__all__ = ["SCENARIOS", "Answer", "Call", "Entry", "FakeGemini", "Fault", "Scenario"]
