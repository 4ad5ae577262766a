"""The processes that serve: parent and workers, their shared counters, memory and log."""
