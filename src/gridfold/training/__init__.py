"""Train one trial.

All here decides numbers: the digest of this folder is part of every fingerprint.
"""
