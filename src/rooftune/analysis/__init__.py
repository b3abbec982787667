"""Work × machine: what a model costs, where it stands under the roof, and why it takes the time it takes."""
