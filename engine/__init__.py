"""The engine: one frozen value, pure steps, one loop, one pair of hands. Start with `engine.model`, then `signals`,
`effects` and `state`; `engine.engine` puts the rooms together."""
