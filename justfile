# Recipes of this workspace. `./just <recipe>` works where just is not installed.

set shell := ["bash", "-euo", "pipefail", "-c"]

cache := env("LAKEHOUSE_CACHE", home_directory() / ".cache/lakehouse")
export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", cache / "target")
export PATH := cache / "tools/cargo/bin:" + env("PATH")
binary := CARGO_TARGET_DIR / "release/lakehouse"

# Every recipe, with what it does.
default:
    @just --justfile {{ justfile() }} --list --unsorted

# Brings what cargo cannot: libduckdb, httpfs, all-MiniLM-L6-v2. Safe to run again.
setup:
    @setup/fetch.sh

# What the tests need besides: nextest, cargo-deny, cargo-machete, foreign servers (S3, Redis) and clients (OpenAI, Ollama).
setup-tests: setup
    @setup/cargo-tools.sh
    @setup/test-servers.sh

# The binaries. The whole workspace at once: a single package would be built with fewer features of
# its dependencies, so that these would be compiled again.
build: setup
    @cargo build --release --workspace --bins

# Sets up, builds and starts the whole platform, with the sample dataset on the first start.
up *ARGS: build
    @{{ binary }} up --sample {{ ARGS }}

# Sample rows, an index that follows them, searches, and SQL with a search in it, against a running platform.
demo *ARGS: build
    @{{ binary }} demo {{ ARGS }}

# Format, lints, dependencies, docs.
check: setup-tests
    @setup/timed.sh "fmt" cargo fmt --all --check
    @setup/timed.sh "clippy" cargo clippy --release --workspace --all-targets -- -D warnings
    @setup/timed.sh "deny" cargo deny --log-level error check bans licenses sources
    @setup/timed.sh "machete" cargo machete
    @RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" setup/timed.sh "doc" cargo doc --release --workspace --no-deps --document-private-items --quiet

# Unit and integration tests.
test: setup-tests
    @setup/timed.sh "tests" cargo nextest run --release --workspace --no-fail-fast

# End-to-end checks over HTTP: on the local backend and on a foreign S3 server.
smoke: setup-tests
    @cargo build --release --workspace --bins --tests
    @setup/timed.sh "smoke, local" {{ CARGO_TARGET_DIR }}/release/smoke --backend local
    @setup/timed.sh "smoke, S3" {{ CARGO_TARGET_DIR }}/release/smoke --backend s3

# Everything that has to pass.
verify: tidy check test smoke

# What builds leave behind, kept below a size.
tidy:
    @setup/tidy.sh {{ CARGO_TARGET_DIR }}

# Side by side with the peers, in one run; writes docs/BENCHMARKS.md.
bench *ARGS: build
    @setup/bench-peers.sh
    @setup/test-servers.sh
    @{{ CARGO_TARGET_DIR }}/release/bench {{ ARGS }}
