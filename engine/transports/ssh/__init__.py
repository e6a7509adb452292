"""P5: a peer's letter slot behind its sshd, and the connections that P4 and tunnels share."""
