#!/usr/bin/env bash
# Where burn's CUDA backend finds LLVM without a download of its own: from Debian's package llvm-23-dev, of sid, unpacked and not installed.
#
#     bash tests/cuda/llvm.sh llvm-23-dev_23.1.4-2_amd64.deb FOLDER
#     XDG_DATA_HOME=FOLDER cargo build --release --features cuda
#
# burn 0.22.1 (cubecl-cuda 0.11.3) always compiles its LLVM path, and tracel-llvm-bundler 23.1.0-4 downloads nothing where this folder is marked
# as complete. Wants gcc, dpkg-deb, and the libraries zlib, zstd and libxml2 (Debian: zlib1g-dev libzstd-dev libxml2-dev).
set -euo pipefail
[ $# = 2 ] || { echo "expected: $0 llvm-23-dev_….deb FOLDER" >&2; exit 2; }
package="$(realpath "$1")"
mkdir -p "$2"
folder="$(realpath "$2")"
llvm="$folder/tracel/tracel-llvm-23.1.0-4"
here="$(dirname "$(realpath "$0")")"
rm -rf "$llvm" "$folder/package"
mkdir -p "$llvm/bin" "$llvm/lib" "$llvm/include"
dpkg-deb -x "$package" "$folder/package"
ls "$folder"/package/usr/lib/llvm-23/lib/libLLVM*.a > /dev/null || { echo "$1: no static libraries of LLVM 23 in it" >&2; exit 2; }
ln -s "$folder"/package/usr/lib/llvm-23/lib/libLLVM*.a "$llvm/lib/"
ln -s "$folder/package/usr/include/llvm-23/llvm" "$folder/package/usr/include/llvm-c-23/llvm-c" "$llvm/include/"
# The package is built with a newer C library than Debian 12 has.
gcc -O2 -c "$here/shim.c" -o "$llvm/lib/shim.o"
ar rcs "$llvm/lib/libfewstepshim.a" "$llvm/lib/shim.o"
cat > "$llvm/bin/llvm-config" <<'CONFIG'
#!/bin/sh
# What the build asks of LLVM's own program of this name.
root="$(cd "$(dirname "$0")/.." && pwd)"
for argument in "$@"; do
    case "$argument" in
        --version) echo 23.1.4 ;;
        --libdir) echo "$root/lib" ;;
        --includedir) echo "$root/include" ;;
        --cflags) echo "-I$root/include" ;;
        --cxxflags) echo "-I$root/include -std=c++17 -fno-exceptions -D_GNU_SOURCE -D__STDC_CONSTANT_MACROS -D__STDC_FORMAT_MACROS -D__STDC_LIMIT_MACROS" ;;
        --libs | --libnames)
            for library in "$root"/lib/libLLVM*.a; do
                name="$(basename "$library" .a)"
                printf -- '-l%s ' "${name#lib}"
            done
            echo -lfewstepshim
            ;;
        --system-libs) echo "-lrt -ldl -lm -lz -lzstd -lxml2" ;;
    esac
done
CONFIG
chmod +x "$llvm/bin/llvm-config"
touch "$llvm/.tracel-llvm-installed"
echo "$folder"
