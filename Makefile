# SPDX-License-Identifier: Apache-2.0

COLLECTOR := dist/otelcol-ebpfkafka
OCB := bin/ocb
STATICCHECK := bin/staticcheck
DEMO := bin/demo

# Loading eBPF programs needs CAP_BPF and CAP_PERFMON. Only demo and run take them, never the build.
SUDO ?= $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Everything that the distribution is made of, besides what its manifest names.
SOURCES := $(shell find bpf internal receiver \( -name '*.go' ! -name '*_test.go' -o -name '*.o' \) 2>/dev/null)
DEMO_SOURCES := $(shell find cmd -type f 2>/dev/null)
EXAMPLES := $(wildcard testdata/config/*.yaml)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
test: ## Run the tests
	go test ./...

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench . ./...

.PHONY: lint
lint: $(STATICCHECK) ## Check format, vet, staticcheck, and that it builds where eBPF is not
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './dist/*')); \
		[ -z "$$unformatted" ] || { echo "not formatted:" $$unformatted >&2; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...
	GOOS=darwin go vet ./receiver/...
	GOOS=windows go vet ./receiver/...

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
