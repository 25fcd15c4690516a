#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings everything kvla builds with: system packages, and the pinned packages of cmake/pins.txt,
# unpacked into .deps/. Says the download size first. A second call finds everything in place.
#   scripts/setup.sh [--cuda]    --cuda: also what the cuda preset needs (the CUDA 13 toolkit,
#                                cuDNN and NCCL must be on the machine already)
# Exit status: 0 done, 1 a download failed, 2 something is missing that you must install.
set -euo pipefail
cd "$(dirname "$0")/.."

cuda=()
for argument in "$@"; do
  case "$argument" in
    --cuda) cuda=(--cuda) ;;
    *) echo "setup: unknown argument '$argument'; the only one is --cuda" >&2; exit 2 ;;
  esac
done

if [[ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]]; then
  echo "setup: kvla needs Linux on x86-64; this is $(uname -s) on $(uname -m)" >&2
  exit 2
fi
if ! grep -qw avx2 /proc/cpuinfo; then
  echo "setup: kvla needs a CPU with AVX2" >&2
  exit 2
fi

# Tools may come from anywhere; libraries are looked up as Debian packages.
packages=()
need_tool() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need_tool g++ g++
need_tool cmake cmake
need_tool ninja ninja-build
need_tool pkg-config pkg-config
need_tool ccache ccache
need_tool mold mold
need_tool git git
need_tool python3 python3
need_tool Xvfb xvfb
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
for package in libavcodec-dev libavformat-dev libcli11-dev libegl-dev libegl-mesa0 libfmt-dev \
    libgl-dev libgl1-mesa-dri libglfw3-dev libgtest-dev libhdf5-dev libopengl-dev \
    libspdlog-dev libsqlite3-dev libstb-dev libswscale-dev libutf8proc-dev \
    libxxhash-dev libyaml-cpp-dev nlohmann-json3-dev zlib1g-dev; do
  state="$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)"
  [[ "$state" == installed ]] || packages+=("$package")
done

if ((${#packages[@]})); then
  as_root=()
  if [[ "$(id -u)" != 0 ]]; then
    as_root=(sudo -n)
  fi
  if ! command -v apt-get >/dev/null 2>&1 || { ((${#as_root[@]})) && ! sudo -n true 2>/dev/null; }
  then
    {
      echo "setup: ${#packages[@]} system packages are missing, and only root can install them:"
      echo
      echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
      echo
      echo "and then this command again. (These are the names on Debian 12 and Ubuntu 24.04.)"
    } >&2
    exit 2
  fi
  echo "setup: installing ${#packages[@]} system packages: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" apt-get install --assume-no --no-install-recommends "${packages[@]}" 2>/dev/null |
    grep -E '^(Need to get|After this)' | sed 's/^/setup: system packages: /' || true
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
fi

missing="$(python3 scripts/fetch.py --list "${cuda[@]}")"
if [[ -n "$missing" ]]; then
  megabytes="$(awk '{ sum += $3 } END { print sum }' <<<"$missing")"
  free="$(df -Pm . | awk 'NR == 2 { print $4 }')"
  each="$(awk '{ printf "%s%s %s MB", s, $1, $3; s = ", " }' <<<"$missing")"
  echo "setup: downloading $megabytes MB into .deps/ ($each); it takes up to 2 GB of disk"
  if ((free < 3000)); then
    echo "setup: 3 GB of free disk are needed, there are $free MB" >&2
    exit 2
  fi
fi
if [[ -n "$missing" ]] || ((${#cuda[@]})); then
  python3 scripts/fetch.py "${cuda[@]}"
fi
