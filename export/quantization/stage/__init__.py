"""From a float graph and samples to a decision that was judged: calibrate, decide, measure."""
