"""The only package that knows every stage; it hands the effects (engines, clock, files) to the pure parts."""
