"""Metrics from Prometheus and whatever speaks its HTTP API.

``collect.Prometheus`` is the door. The presets are data: one TOML file a family under ``presets/``, read by
``catalogue``; ``shapes`` makes queries of them, ``probe`` finds out which of them a server can feed, ``client`` asks.
Nothing is imported here, so that a template can be checked (``placeholders``) without an HTTP client.
"""
