"""Training jobs run here: the shard, its pool or ranks, the fork server."""
