"""Worker processes: how they are started, isolated, asked and ended, under this Python or another."""
