# Short forms of the commands in README.md.

# Sample, measure, tabulate and draw an experiment.
sweep experiment="experiments/quick.toml" *arguments:
    cargo run --release -- sweep {{experiment}} {{arguments}}

# Tables and figures in README.md and results/README.md, from the cells in results/.
results:
    cargo run --release -- documents

# All tests that need no download.
test:
    cargo test --release --workspace

# Fetch CIFAR-10 and the Inception weights (about 230 MB) into the user's cache.
fetch:
    cargo run --release -- fetch

# The tests that need the fetched data; half an hour on two cores. CI leaves out three of the longest.
test-fetched: fetch
    cargo test --release --workspace -- --ignored

# The wgpu backend against the same goldens; needs a Vulkan driver (Mesa's software one will do) and fetched weights.
test-wgpu: fetch
    cargo test --profile check-wgpu --workspace --features fewstep-runner/wgpu --test wgpu -- --include-ignored

# The CUDA backend, with LLVM from the folder that tests/cuda/llvm.sh made of Debian's package; not run to its end by this project yet.
build-cuda folder:
    XDG_DATA_HOME="{{folder}}" cargo build --release --workspace --features fewstep-runner/cuda

# The quick sweep in a loop beside a process that takes cores and memory: same bytes every time, memory flat; Linux, Python 3.
soak minutes="60":
    cargo build --release --workspace --bins
    python3 tests/soak/run.py --binary "${CARGO_TARGET_DIR:-target}/release/fewstep" --minutes {{minutes}}

# Damaged files of one format for so many seconds (docs/fuzzing.md); findings are kept in fuzz/findings/.
fuzz target seconds="60":
    FUZZ_TARGET={{target}} FUZZ_SECONDS={{seconds}} cargo test --release --workspace --bin fewstep -- --exact fuzz::long --nocapture

# The same by libFuzzer, guided by the code that inputs reach; a build of its own, 10 to 20 minutes.
fuzz-coverage target seconds="60":
    bash fuzz/coverage.sh {{target}} {{seconds}}

# Licences, sources and known vulnerabilities of the dependencies; needs cargo-deny.
deny:
    cargo deny check
    cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml --locked check

# Train a network.
train training="experiments/train-cifar10.toml" *arguments:
    cargo run --release -- train {{training}} {{arguments}}

# How rough the networks' outputs are in time, into results/roughness/.
roughness:
    cargo build --release --workspace --example roughness
    mkdir -p results/roughness
    "${CARGO_TARGET_DIR:-target}/release/examples/roughness" models/cifar10-small.safetensors > results/roughness/cifar10-small.csv
    "${CARGO_TARGET_DIR:-target}/release/examples/roughness" models/cifar10-tiny.safetensors > results/roughness/cifar10-tiny.csv

# The score's curves of this repository's networks and oracles beside the published ones, into out/curves/ (results/curves/); two minutes.
# With experiments/ideal-cifar10.toml as an argument, of the ideal denoiser too: needs fetch, and three minutes with --images 64.
curves *arguments:
    cargo run --release -- curves experiments/quick.toml experiments/cifar10-tiny.toml experiments/gaussian.toml experiments/mixture.toml {{arguments}} --published experiments/published/curves/xia-2023-cifar10.csv experiments/published/curves/xia-2023-lsun-church64.csv

# The plans of experiments/curve-swap.toml, from the curves that they are named after.
curve-plans:
    bash experiments/plans/curves/make.sh

# Speed: plan, integrator step, U-Net, Inception, Fréchet distance, ideal denoiser.
bench:
    cargo bench --workspace --bench sampler --bench networks --bench frechet --bench oracle

# Speed beside PyTorch, pytorch-fid, SciPy and NumPy, into results/bench/; Python 3.11, 6 GB, half an hour of two idle cores.
bench-peers *arguments:
    cargo build --release --workspace --bins --example speed
    "${CARGO_TARGET_DIR:-target}/release/fewstep" fetch inception
    python3 -m venv "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/peers-venv"
    "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/peers-venv/bin/pip" install --quiet --requirement benches/peers/requirements.txt
    "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/peers-venv/bin/python" benches/peers/speed.py --binaries "${CARGO_TARGET_DIR:-target}/release" {{arguments}}

# The runner of plans and the scheduler in Python against fewstep's samples, on a small network, and the importers of tables on files as
# their authors write them; Python 3.11, three minutes.
test-python:
    cargo build --release --workspace --bins
    python3 -m venv "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/examples-venv"
    "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/examples-venv/bin/pip" install --quiet --requirement examples/python/requirements.txt
    FEWSTEP="${CARGO_TARGET_DIR:-target}/release/fewstep" "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/examples-venv/bin/python" examples/python/test_fewstep_plan.py
    "${XDG_CACHE_HOME:-$HOME/.cache}/fewstep/examples-venv/bin/python" benches/peers/test_tables.py

# The pages of published results in a real browser; Node 20, and Chromium (Debian: apt-get install chromium). Half a minute.
test-report *arguments:
    bash tests/browser/run.sh {{arguments}}

# Shards under a real Slurm on this machine: killed, requeued, drained, merged; Debian's munge, slurmctld, slurmd, slurm-client. Two minutes.
test-slurm:
    bash tests/slurm/run.sh

# The pages of all published results and their list, into docs/, for any static host.
site:
    cargo run --release -- site

# What CI checks before the tests.
check:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --document-private-items
