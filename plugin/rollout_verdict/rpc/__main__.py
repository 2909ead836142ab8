"""Start the plugin process: ``python -m rollout_verdict.rpc``, as the Argo Rollouts controller does."""

import os
import signal
import sys


def reserve_stdout() -> int:
    """Keep standard output for the handshake line: return it, and turn whatever anybody prints to standard error."""
    sys.stdout.flush()
    handshake_fd = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return handshake_fd


def main() -> int:
    """Run the plugin. Return the exit status: 1 when it was not started by a host, or the conversation broke."""
    handshake_fd = reserve_stdout()  # before anything is imported that might print
    # go-plugin server.go Serve: an interrupt in the host's terminal reaches its children, and is not for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from rollout_verdict.rpc import process

    return process.main(sys.argv[1:], handshake_fd)


if __name__ == "__main__":
    raise SystemExit(main())
