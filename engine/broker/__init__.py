"""The nats-server of this node: what it is told, and how it is kept alive."""
