"""The widgets the rooms are built of: all draw whole lines of spans, and repaint only the lines that changed."""
