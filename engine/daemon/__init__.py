"""The node as a process of this machine: whose home it is (`lock`), where its sockets lie (`rundir`), whether it
is to stay down (`stopped`)."""
