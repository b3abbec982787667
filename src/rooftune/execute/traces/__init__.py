"""What an engine says about its own kernels, one file per engine, in one form."""
