"""Who runs a model, and the clock: engines in processes of their own, fair races, profiles."""
