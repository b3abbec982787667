"""What runs: one kernel per file, each with its reference, its space of schedules and its emitter."""
