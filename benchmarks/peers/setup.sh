#!/bin/sh
# .venv/peers: the runtimes and frameworks that the judges' environment lacks.
set -eu
cd "$(dirname "$0")/../.."
[ -e .venv/peers/ready ] && exit 0
python3 -m venv .venv/peers
pip=".venv/peers/bin/pip --disable-pip-version-check install --quiet"
$pip numpy openvino==2026.4.1 nncf==3.4.0 MNN==3.6.1 jax==0.10.2
$pip --no-deps ncnn==1.0.20261020 pnnx==20261020
touch .venv/peers/ready
