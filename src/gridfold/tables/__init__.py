"""Tables of trials, jobs and predictions: columns, reading, writing."""
