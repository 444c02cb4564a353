#!/bin/sh
# Cargo's wrapper: what reads files is built with counters on its edges and comparisons, which libFuzzer steers by; the rest as it is.
rustc="$1"
shift
case " $* " in
    *" --crate-name fewstep_"* | *" --crate-name pytorch_reader "* | *" --crate-name zip "* | *" --crate-name image "* | \
    *" --crate-name png "* | *" --crate-name safetensors "* | *" --crate-name csv_core "* | *" --crate-name csv "* | \
    *" --crate-name tiff "* | *" --crate-name image_webp "* | *" --crate-name zune_jpeg "* | *" --crate-name serde_json "*)
        exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares ;;
    *) exec "$rustc" "$@" ;;
esac
