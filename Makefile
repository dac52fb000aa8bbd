# SPDX-License-Identifier: Apache-2.0

COLLECTOR := dist/otelcol-ebpfkafka
OCB := bin/ocb
STATICCHECK := bin/staticcheck
DEMO := bin/demo

# Loading eBPF programs needs CAP_BPF and CAP_PERFMON. Only demo, run and the tests take them,
# never the build.
SUDO ?= $(shell [ "$$(id -u)" = 0 ] || echo sudo)
AS_ROOT = $(SUDO) env "PATH=$$PATH"
FUZZTIME ?= 5m
SOAK ?= 30s
STORM ?= 10s

# Everything that the distribution is made of, besides what its manifest names.
SOURCES := $(shell find bpf internal receiver \( -name '*.go' ! -name '*_test.go' -o -name '*.o' \) 2>/dev/null)
DEMO_SOURCES := $(shell find cmd -type f 2>/dev/null)
EXAMPLES := $(wildcard testdata/config/*.yaml)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: generate
generate: ## Generate code and documentation anew
	go generate ./...

.PHONY: build
build: $(COLLECTOR) ## Build the collector, dist/otelcol-ebpfkafka

.PHONY: validate
validate: $(COLLECTOR) ## Check the example configurations with the collector
	@for file in $(EXAMPLES); do \
		K8S_NODE_NAME=node \
		GRAFANA_CLOUD_OTLP_ENDPOINT=https://otlp.example.com/otlp \
		GRAFANA_CLOUD_INSTANCE_ID=1 \
		GRAFANA_CLOUD_API_KEY=none \
		KAFKA_PASSWORD=none \
		$(COLLECTOR) validate --config $$file || { echo "$$file: not valid" >&2; exit 1; }; \
		echo "$$file: valid"; \
	done

.PHONY: demo
demo: $(COLLECTOR) $(DEMO) ## Show a broker, consumers and their lag on this machine (DURATION=30s)
	$(SUDO) env $(if $(DURATION),DURATION=$(DURATION)) $(DEMO) -collector $(COLLECTOR)

.PHONY: run
run: $(COLLECTOR) ## Show the Kafka traffic of this host
	$(SUDO) $(COLLECTOR) --config testdata/config/run.yaml

.PHONY: test
test: test-unit test-rules test-decoder test-hooks test-privilege test-namespaces test-storms test-system test-situations test-soak test-fleet test-demo ## Run all tests (root, half an hour); installs what is missing
	@echo "Left out: kernels other than this one (make test-kernels), benchmarks (make bench, make bench-all), long runs (make fuzz, make test-soak SOAK=10m)."

.PHONY: test-unit
test-unit: ## Tests that need no kernel and no Kafka, and those of the loaded object
	$(AS_ROOT) go test ./...
	cd cmd && go test ./...

.PHONY: test-decoder
test-decoder: ## The committed object against an independent implementation of Kafka's protocol
	cd test && $(AS_ROOT) go test -timeout 20m ./decoder/... ./frames/...

.PHONY: test-hooks
test-hooks: ## Every system call and way of splitting, on every backend of this kernel
	cd test && $(AS_ROOT) go test -timeout 20m ./hooks/...

# Tests of the built collector have -count 1: go test does not know that they depend on it, and would take an old result.
.PHONY: test-system
test-system: $(COLLECTOR) ## The built collector against real Apache Kafka; prints the matrix of clients and brokers
	test/install.sh java clients
	cd test && $(AS_ROOT) go test -count 1 -p 1 -timeout 30m -skip TestClientMatrix \
		./collector/... ./kafka/... ./process/... ./clients/... ./system/...
	cd test && $(AS_ROOT) go test -count 1 -timeout 40m -v -run TestClientMatrix ./system

.PHONY: test-situations
test-situations: $(COLLECTOR) ## What goes wrong in production: rebalances, transactions, deletions, refusals, limits
	test/install.sh java
	cd test && $(AS_ROOT) go test -count 1 -p 1 -timeout 30m ./situations/... ./lifecycle/...

.PHONY: test-namespaces
test-namespaces: $(COLLECTOR) ## Processes in containers are told apart and named right, wherever the collector is
	cd test && $(AS_ROOT) go test -count 1 -timeout 20m ./namespaces

.PHONY: test-storms
test-storms: $(COLLECTOR) ## Killed, reloaded, twice at once; short connections and processes, each for STORM (10s)
	cd test && $(AS_ROOT) go test -count 1 -v ./storms -storm $(STORM) -timeout 0

.PHONY: test-privilege
test-privilege: $(COLLECTOR) ## The collector as an ordinary user, with the documented capabilities and with each of them missing
	test/install.sh systemd
	cd test && $(AS_ROOT) go test -count 1 -timeout 20m ./privilege

.PHONY: test-soak
test-soak: $(COLLECTOR) ## Every value while groups rebalance for SOAK (30s), against the broker's answers around it
	test/install.sh java
	cd test && $(AS_ROOT) go test -count 1 -v ./soak -soak $(SOAK) -timeout 0

.PHONY: matrix
matrix: $(COLLECTOR) ## Write docs/clients.md: every client against every broker
	test/install.sh java clients
	cd test && $(AS_ROOT) go test -count 1 -timeout 40m -v -run TestClientMatrix ./system -write

.PHONY: test-rules
test-rules: ## The rules for Prometheus, by its own tool
	test/install.sh prometheus
	promtool check rules deploy/rules/*.rules.yml deploy/rules/*.alerts.yml
	promtool test rules deploy/rules/*.test.yml

.PHONY: test-fleet
test-fleet: $(COLLECTOR) ## Three brokers and their clients on four hosts, joined by Prometheus and the rules
	test/install.sh java network prometheus
	cd test && $(AS_ROOT) go test -count 1 -timeout 10m ./fleet/...

.PHONY: test-kernels
test-kernels: ## The same objects on Linux 5.10 to the newest, x86-64 and arm64, in emulated machines (ONLY=6.1-arm64)
	test/install.sh kernels
	cd test && go test -count 1 -timeout 40m -v ./kernels $(if $(ONLY),-only '$(ONLY)')

.PHONY: kernels
kernels: ## Boot all kernels, and write test/kernels/verifier.txt: what each program costs the verifier
	test/install.sh kernels
	cd test && go test -count 1 -timeout 40m -v -run TestKernels ./kernels $(if $(ONLY),-only '$(ONLY)') -write

.PHONY: test-demo
test-demo: $(COLLECTOR) $(DEMO) ## The demo, which checks itself
	$(AS_ROOT) DURATION=10s $(DEMO) -collector $(COLLECTOR)

.PHONY: fuzz
fuzz: ## Garbage and mutated frames against the loaded object, each for FUZZTIME (5m); says how many
	cd test && $(AS_ROOT) go test ./decoder -v -run 'TestGarbage|TestMutated' -damage $(FUZZTIME) -timeout 0

.PHONY: bench
bench: $(COLLECTOR) ## Three minutes: decoder, snapshot, model, metrics, hooks, memory, freshness (root)
	test/install.sh java
	$(AS_ROOT) go test -run '^$$' -bench . ./...
	cd test && $(AS_ROOT) go test -run '^$$' -bench . ./hooks ./bench

.PHONY: bench-all
bench-all: bench bench-calls bench-frames bench-scrape bench-throughput bench-host bench-freshness bench-soak ## Every benchmark: two hours; writes docs/performance.md (root)

.PHONY: bench-calls
bench-calls: ## What the hooks cost a call, in time and in instructions; writes docs/performance.md (root)
	test/install.sh kernels
	cd test && $(AS_ROOT) go test -count 1 -timeout 1h -v ./costs -write

.PHONY: bench-frames
bench-frames: ## What the decoder takes for a frame of each API, a minute; writes docs/performance.md (root)
	cd test && $(AS_ROOT) go test -count 1 -v -run 'TestFrames$$' ./bench -write

.PHONY: bench-scrape
bench-scrape: $(COLLECTOR) ## What a collection costs, for 1,000 to 500,000 group-partitions; writes docs/performance.md (root)
	test/install.sh java
	cd test && $(AS_ROOT) go test -count 1 -timeout 1h -v -run 'TestScrape$$' ./bench -write

.PHONY: bench-throughput
bench-throughput: $(COLLECTOR) ## What clients at full speed lose, twenty minutes; writes docs/performance.md (root)
	test/install.sh java clients
	cd test && $(AS_ROOT) go test -count 1 -timeout 1h -v -run 'TestThroughput$$' ./bench -write

.PHONY: bench-host
bench-host: $(COLLECTOR) ## Start, watch and cost on a host with thousands of processes; writes docs/performance.md (root)
	cd test && $(AS_ROOT) go test -count 1 -timeout 30m -v -run 'TestHost$$' ./bench -write

.PHONY: bench-freshness
bench-freshness: $(COLLECTOR) ## Time from a commit until /metrics says so; writes docs/performance.md (root)
	test/install.sh java
	cd test && $(AS_ROOT) go test -count 1 -timeout 30m -run '^$$' -bench 'Freshness$$' ./bench -write

.PHONY: bench-soak
bench-soak: $(COLLECTOR) ## test-soak for 30 minutes: what the collector uses stays flat; writes docs/performance.md (root)
	test/install.sh java
	cd test && $(AS_ROOT) go test -count 1 -v -run 'TestSoak$$' ./soak -soak 30m -timeout 0 -write

.PHONY: lint
lint: $(STATICCHECK) ## Check format, vet, staticcheck, and that it builds where eBPF is not
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './dist/*')); \
		[ -z "$$unformatted" ] || { echo "not formatted:" $$unformatted >&2; exit 1; }
	test/install.sh bpf
	clang-format-19 --dry-run --Werror bpf/*.h bpf/*.c
	for module in . cmd test test/clients/go; do (cd $$module && go vet ./... && $(CURDIR)/$(STATICCHECK) ./...) || exit 1; done
	GOOS=darwin go vet ./receiver/...
	GOOS=windows go vet ./receiver/...
	GOARCH=arm64 go vet ./...

.PHONY: check-generated
check-generated: ## Generate everything anew and compare it, byte for byte, with what is committed
	test/install.sh bpf
	test/install.sh java
	go generate ./...
	@changed=$$(git status --porcelain -- bpf internal receiver); \
		[ -z "$$changed" ] || { echo "generated files differ from what is committed:" >&2; echo "$$changed" >&2; exit 1; }

.PHONY: ci
ci: lint check-generated build validate test test-kernels ## What continuous integration runs

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist

# The builder writes the sources of the collector, and resolves its modules, only if the manifest or our own modules
# changed. Compiling apart from that takes seconds after a change of the receiver.
dist/main.go: builder-config.yaml go.mod go.sum $(SOURCES) $(OCB)
	$(OCB) --config builder-config.yaml --skip-compilation

# The flags are the builder's own.
$(COLLECTOR): dist/main.go $(SOURCES)
	CGO_ENABLED=0 go build -C dist -trimpath -ldflags='-s -w' -o ../$@ .

$(OCB): internal/tools/go.mod internal/tools/go.sum
	go build -C internal/tools -o ../../$@ go.opentelemetry.io/collector/cmd/builder

$(STATICCHECK): internal/tools/go.mod internal/tools/go.sum
	go build -C internal/tools -o ../../$@ honnef.co/go/tools/cmd/staticcheck

$(DEMO): $(DEMO_SOURCES)
	go build -C cmd -o ../$@ ./demo
