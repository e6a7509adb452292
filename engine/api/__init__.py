"""The node's control API: JSON and events on a Unix socket, for the command line and whoever else lives here.

`views` is what it says and `asks` what it may be asked; `shapes` and `metrics` turn the one value into answers;
`routes`, `stream` and `sse` answer; `gate` and `server` decide who is let in; `client` is the other end.
"""
