"""From one optimised model to something that runs elsewhere: the run folder."""
