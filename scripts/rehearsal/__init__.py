"""The rehearsal: the whole main job on the local cloud, under live traffic, with its own state."""
