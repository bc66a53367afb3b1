"""Worker processes: how they are started, isolated, sent requests and ended, under this Python or another."""
