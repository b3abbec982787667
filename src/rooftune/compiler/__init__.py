"""Models to machine code for the processor at hand."""
