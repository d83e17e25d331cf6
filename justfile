# Everything that must pass before a change is done.
verify: fmt clippy test docs deny

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets -- -D warnings

test:
    cargo test --workspace

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Advisories need a network; the rest does not.
deny:
    cargo deny check bans licenses sources

# 1,000 jobs of /bin/true through the local engine and through xargs -P2, and the ratio.
bench-local jobs="1000":
    cargo run --release -p dayfill-local --example bench_jobs {{jobs}}

# How much of what a service allows is used, by dayfill and by three clients beside it: three times so many seconds.
bench-submit seconds="60":
    cargo run --release -p dayfill-tests --example bench_submit {{seconds}}

# How much memory the learned requests waste beside others, replayed over tasks that ran once: tables with the columns
# process, bytes, objects (may be empty), peak_mib, minutes.
bench-memory *files:
    cargo run --release -q -p dayfill-core --example bench_memory -- {{files}}

# What memory costs over four lakes, by dayfill and by plain doubling beside it: real processes, real kills. It takes
# five minutes, and up to 4 GiB of memory.
bench-lakes:
    cargo run --release -p dayfill-tests --example bench_lakes
