"""Pure codecs for the bytes between Argo Rollouts and a plugin: handshake, yamux, gob, net/rpc.

Values are named tuples here and in ``rpc``, not dataclasses: importing ``dataclasses`` and making some thirty of them
takes a third of the plugin's start and 2 MB of its memory, in a pod that is not ours. Tuples of different kinds with
equal fields are equal; whoever needs to tell them apart asks for the kind.
"""
