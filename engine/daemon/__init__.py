"""The node as a process of this machine: whose home it is (`lock`) and where its sockets lie (`rundir`)."""
