"""What runs inside a training job: the pool, the fork server, ranks, the shard."""
