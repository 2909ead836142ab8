"""The judge of metrics: every metric of the canary held against the same metric of the stable pods."""
