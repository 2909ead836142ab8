"""``python -m rollout_verdict``: the command line without an installation."""

from rollout_verdict.cli import main

if __name__ == "__main__":
    main()
