"""The commands, one per file, discovered by name."""
