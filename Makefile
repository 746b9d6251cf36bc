# `make demo` shows what Stockade does, `make test` runs everything that is tested.
.PHONY: demo test build console lint fuzz bench partners conformance

# Not the release profile: its one pass over the whole program takes longer than all the rest.
demo: ; @tests/need.sh cargo cc && cargo run --locked -p stockade -- demo
test: ; @tests/run.sh
build: ; @tests/need.sh cargo cc && cargo build --locked --release -p stockade
# The page that `stockade inspect` serves. A program that is built behind it has it in it.
console: ; @tests/need.sh node && cd console && { cmp -s package-lock.json node_modules/.installed || { npm ci --silent --fetch-retries 5 && cp package-lock.json node_modules/.installed; }; } && npm run --silent build
lint: ; @tests/need.sh cargo cc && cargo fmt --all --check && cargo clippy --locked --workspace --all-targets -- -D warnings
fuzz: ; @tests/need.sh cargo cc c++ && cargo fetch --locked --manifest-path fuzz/Cargo.toml && fuzz/run.sh
bench: ; @tests/need.sh cargo cc && cargo bench --locked -p stockade-core -p stockade-store --benches && cargo run --locked --release -p stockade-core --example detection
partners: ; @tests/need.sh cargo cc node python3 && cargo build --locked -p stockade && STOCKADE=target/debug/stockade tests/partners/run.sh
conformance: ; @tests/need.sh cargo cc node python3 && cargo build --locked -p stockade -p conformance-server && STOCKADE=target/debug/stockade tests/conformance/run.sh target/debug/conformance-server --listen '127.0.0.1:{port}'
