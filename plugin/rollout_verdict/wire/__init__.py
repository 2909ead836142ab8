"""Pure codecs for the bytes between Argo Rollouts and a plugin: handshake, yamux, gob, net/rpc."""
