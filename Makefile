.PHONY: run test check fmt bench chaos chaos-relayer coverage

run: # Build nsl and run it on embedded engines, with nodes of both chains beside it where they can be downloaded
	@scripts/run.sh $(ARGS)

test: # Formats, lints, layers, unit tests, and journeys on embedded and real engines
	@scripts/test.sh

check: # The quick part of test
	@cargo fmt --all --check && cargo xtask tidy && cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: # Format all sources
	@cargo fmt --all

bench: # Measure, beside the engines' own numbers; writes docs/BENCHMARKS.md
	@scripts/bench.sh

chaos: # Kill -9 under load, N times; prints kills, acknowledged, lost
	@scripts/chaos.sh $(or $(N),20)

chaos-relayer: # Transactions of one account while everything fails: N=5000 CHAIN=neo-x SECONDS=3 unless said otherwise
	@scripts/chaos-relayer.sh $(or $(N),5000) $(or $(CHAIN),neo-x) $(or $(SECONDS),3)

coverage: # Line coverage of all tests; fails under 80 %
	@cargo xtask coverage
