"""A stand-in for the Kubernetes API server, over real sockets, for the real client.

``scenarios`` makes the objects of rollouts in every situation, ``cluster`` keeps them, ``server`` answers for them as an
API server does: Status objects, selectors, paging, watches, logs, reviews of access. ``faults`` says what goes wrong.
Objects and answers are held against the published schemas in ``tests/fakes/test_kubernetes.py``.
"""

from tests.fakes.kubernetes.cluster import Cluster, Entry
from tests.fakes.kubernetes.faults import Fault
from tests.fakes.kubernetes.server import Stub

__all__ = ["Cluster", "Entry", "Fault", "Stub"]
