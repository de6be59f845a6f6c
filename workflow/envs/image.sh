#!/bin/bash
# Turns a plain Debian 13 into the image of gridfold's jobs: as root, in that Debian.
#
#   image.sh cpu    TensorFlow for processors
#   image.sh cuda   TensorFlow and Horovod for NVIDIA's GPUs
#
# What the project's package is built of lies in /opt/gridfold already.
set -euo pipefail

case ${1:-} in
  cpu) group=cpu packages=() ;;
  # Debian's CUDA 12.4 compiles for all GPUs from the V100 on, and with GCC up to 13.
  cuda) group=gpu packages=(nvidia-cuda-toolkit g++-13) ;;
  *) echo "usage: image.sh cpu|cuda" >&2; exit 2 ;;
esac

export DEBIAN_FRONTEND=noninteractive
if [ "$group" = gpu ]; then
  . /etc/os-release
  echo "deb ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $VERSION_CODENAME contrib non-free non-free-firmware" \
    > /etc/apt/sources.list.d/non-free.list
fi
apt-get update
apt-get install -y --no-install-recommends \
  ca-certificates g++ make python3 python3-venv libopenmpi-dev openmpi-bin "${packages[@]}"

python3 -m venv /opt/uv
/opt/uv/bin/python -m pip install --no-cache-dir uv
cd /opt/gridfold
UV_NO_CACHE=1 /opt/uv/bin/uv sync --locked --python /usr/bin/python3 --no-default-groups --group "$group" --no-editable

export HOROVOD_WITH_MPI=1
if [ "$group" = gpu ]; then
  export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_CUDA_HOME=/usr CUDAHOSTCXX=g++-13
  # The NCCL that TensorFlow's wheel brings; a linker looks for it without a version.
  HOROVOD_NCCL_HOME=$(.venv/bin/python -c 'from nvidia import nccl; print(nccl.__path__[0])')
  export HOROVOD_NCCL_HOME
  ln -sf libnccl.so.2 "$HOROVOD_NCCL_HOME/lib/libnccl.so"
fi
.venv/bin/python -m gridfold.environment.horovod_build --cache /tmp/horovod

rm -rf /tmp/horovod /opt/uv
apt-get purge -y g++ make "${packages[@]}"
apt-get autoremove -y --purge
apt-get clean
rm -rf /var/lib/apt/lists/*
