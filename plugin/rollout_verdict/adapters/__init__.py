"""Everything that touches another system, one module a system. Adapters decide nothing."""
