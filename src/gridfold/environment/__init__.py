"""The machine and what is installed on it: versions, cores, GPUs, the doctor, the Horovod build."""
