# What people and CI run; `make` alone lists it.

CARGO ?= cargo
IMAGE ?= registry-probe:0.1.0
# What the image is made of; the tests look for it there.
PARTS := $(or $(CARGO_TARGET_DIR),target)/image

.PHONY: help
help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Break a registry in this process, and find what is broken
	@echo 'Building; the first time takes some minutes.'
	@$(CARGO) run --quiet --package demo

.PHONY: build
build: ## Build target/release/probe
	$(CARGO) build --release

.PHONY: static
static: ## Build what the image is made of: a static binary, and roots of certificate authorities
	deploy/build-static.sh $(PARTS)/out

.PHONY: image
image: static ## Build the image with buildah, pulling nothing: IMAGE=registry.example/registry-probe:0.1.0
	buildah build --file deploy/Dockerfile --build-context build=$(PARTS) --tag $(IMAGE) .

.PHONY: test
test: ## Run all tests, those against real servers too (installs the servers)
	tests/setup.sh
	$(MAKE) --no-print-directory static
	$(CARGO) test --release --workspace
	$(CARGO) test --release --test real
	$(CARGO) test --release --test differential

.PHONY: test-net
test-net: ## Run the probe in network namespaces, as root: IPv6 only, behind proxies, with private certificates
	tests/setup.sh
	$(CARGO) build --release
	tests/net/run.sh $(or $(CARGO_TARGET_DIR),target)/release/probe

.PHONY: test-cluster
test-cluster: ## Apply what deploy/ has to a real API server, and run its pods, as root: KUBEBUILDER_ASSETS=/path (CONTRIBUTING.md)
	tests/setup.sh
	$(MAKE) --no-print-directory static
	umask 022 && $(CARGO) test --release --test cluster

.PHONY: check
check: ## Run the tests that need nothing but this repository
	$(CARGO) test --workspace

.PHONY: lint
lint: ## Check formatting, lints, documentation, the chart, the overlays and the workflows (needs Go)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --test real --test cluster --test differential --test registries -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --workspace --no-deps
	deploy/check.sh

.PHONY: update
update: ## Rewrite what is generated: the help in docs/command-line.md, the snapshots of reports
	UPDATE=1 INSTA_UPDATE=always $(CARGO) test --lib --test it

.PHONY: bench
bench: ## Race the probe against the shell job that it replaces and against load generators
	benches/run.sh

.PHONY: campaign
campaign: ## 2,000 sweeps through a failing network (PROBE_CAMPAIGN_RUNS, PROBE_CAMPAIGN_SEED)
	PROBE_CAMPAIGN_RUNS=$${PROBE_CAMPAIGN_RUNS:-2000} $(CARGO) test --release --test it campaign -- --nocapture

.PHONY: simulate
simulate: ## Simulated sweeps of registries that flap, against an oracle: RUNS=1000000, or SEED=7 RUNS=1 to replay
	PROBE_SIMULATION_SWEEPS=$(or $(RUNS),1000000) PROBE_SIMULATION_SEED=$(or $(SEED),0) \
		$(CARGO) test --release --test simulation no_lie -- --nocapture

.PHONY: differential
differential: ## Hold the probe against skopeo and containerd (RUNS=5000 SEED=0; RECORD=1 keeps what they say)
	tests/differential/clients.sh
	PROBE_DIFFERENTIAL_CLIENTS=$(CURDIR)/target/clients/usr/bin PROBE_DIFFERENTIAL_RUNS=$(or $(RUNS),5000) \
	PROBE_DIFFERENTIAL_SEED=$(SEED) PROBE_DIFFERENTIAL_RECORD=$(RECORD) \
		$(CARGO) test --release --test differential -- --nocapture

.PHONY: fuzz
fuzz: ## 20,000 mutations for every parser, then cargo-fuzz (FUZZ_SECONDS=600, 0 for none; FUZZ_JOBS, FUZZ_TARGETS)
	fuzz/run.sh

.PHONY: deny
deny: ## Check licences, sources and bans of what we depend on (cargo install cargo-deny)
	$(CARGO) deny check bans licenses sources

.PHONY: soak
soak: ## 200 sweeps of a registry in full churn (PROBE_SOAK_SWEEPS to choose another number)
	PROBE_SOAK_SWEEPS=$${PROBE_SOAK_SWEEPS:-200} $(CARGO) test --release --test real soak -- --nocapture

.PHONY: soak-process
soak-process: ## 10,000 sweeps in one process, whose memory must not grow (PROBE_SOAK_PROCESS_SWEEPS)
	PROBE_SOAK_PROCESS_SWEEPS=$${PROBE_SOAK_PROCESS_SWEEPS:-10000} $(CARGO) test --release --test real endurance -- --nocapture

.PHONY: test-registry
test-registry: ## Break a registry that people run, and hold sweeps to that: NAME=zot|gitea|distribution BINARY=/path
	PROBE_REGISTRY_NAME=$(NAME) PROBE_REGISTRY_BINARY=$(BINARY) $(CARGO) test --release --test registries -- --nocapture
