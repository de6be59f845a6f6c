"""Look at the machine and what is installed on it, and build Horovod."""
