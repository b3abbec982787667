"""The engines: one file each, with a `BACKEND` that `rooftune.execute.backend` finds by scanning this folder."""
