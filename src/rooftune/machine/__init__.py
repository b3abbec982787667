"""What a machine can do: its ceilings, its cores and caches, and the catalog of known devices."""
