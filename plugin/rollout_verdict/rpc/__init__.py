"""The go-plugin process: messages, provider, server, remote. Standard library only until it measures in-process."""
