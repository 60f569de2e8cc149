# Each recipe is one plain command; `just` itself is optional.
set positional-arguments

# Style, lints, documents, bans and all tests: what must hold before a change lands.
check:
    .ci/run

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings

# All tests, on private Postgres and Redis servers and real models.
test *args:
    tests/run "$@"

# The whole service beside the least that its job can cost (docs/BENCHMARKS.md).
bench *args:
    cargo run --release -p captions-bench -- "$@"

# Everything at once for ten minutes, with restarts of what is below; --minutes N for more.
soak *args:
    cargo run --release -p captions-bench -- --only soak "$@"

# The functions that every request passes, each alone (docs/BENCHMARKS.md).
bench-micro *args:
    cargo bench -p captions-domain -p captions-embedded -p captions-resilience -p captions-redis -p captions-api "$@"

# Their instructions, compared with tests/instructions/baseline.json; --write: written there
instructions *args:
    cargo run --profile profiling -p captions-instructions -- "$@"

# One caption: just run "a cat on a sofa"
run *args:
    cargo run --release -- generate "$@"

# The HTTP API on http://127.0.0.1:8080
serve *args:
    cargo run --release -p captions-http -- "$@"

# The OpenAPI document by two validators; --live URL: and a server by all that it allows (CAPTIONS_API_KEY).
openapi-check *args:
    tests/openapi "$@"

# The TypeScript and the Python client from a running server, into target/clients.
clients url="http://127.0.0.1:8080":
    clients/build "$1"

doc:
    cargo doc --workspace --no-deps --open

# Write docs/CONFIG.md anew from the defaults.
config-doc:
    cargo run -q -p captions-wiring --example config_doc > docs/CONFIG.md
