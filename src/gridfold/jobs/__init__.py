"""This package runs training jobs: the shard, its pool or ranks, the fork server."""
