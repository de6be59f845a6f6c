"""Adapter of the rule `tune`."""

from gridfold import tunejob
from gridfold.jobs import job

if __name__ == "__main__":
    options = tunejob.parser().parse_args()
    with job(options.log):
        tunejob.tune(options)
