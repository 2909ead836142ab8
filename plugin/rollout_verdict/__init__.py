"""rollout-verdict decides, and explains, whether a canary goes on."""

__version__ = "0.1.0"
