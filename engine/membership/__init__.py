"""Who is there: gossip and suspicion, heartbeats, the roster in force, invitations, who might join."""
