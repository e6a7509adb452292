"""What a person or a face may ask of a node: one module a subject, all beside each other under the engine."""
