# The commands of the project; `make help` lists them.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -X main.version=$(VERSION)
GO_TEST := go test -count=1
FUZZTIME ?= 30s
# Guests of the lab that run beside each other; each takes two CPUs.
GUESTS ?= 2

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/nri-sriov, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/nri-sriov ./cmd/nri-sriov

.PHONY: install
install: build ## install the binary and the systemd unit below DESTDIR
	install -D -m 0755 bin/nri-sriov $(DESTDIR)/usr/local/bin/nri-sriov
	install -D -m 0644 configs/systemd/nri-sriov.service $(DESTDIR)/etc/systemd/system/nri-sriov.service

.PHONY: image
image: build ## bin/nri-sriov.oci.tar, a container image, without a container engine; IMAGE= names it
	go run ./tools/image -binary bin/nri-sriov -name $(or $(IMAGE),nri-sriov:devel) -version $(VERSION) -output bin/nri-sriov.oci.tar

.PHONY: lint
lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt differs: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags failpoints ./pkg/failpoint
	go tool staticcheck ./...

.PHONY: test-unit
test-unit: ## unit, rootless and private-namespace tests; the last need root
	NRI_SRIOV_REQUIRE_KERNEL=1 $(GO_TEST) -race ./cmd/... ./pkg/... ./configs/... ./tools/...
	$(GO_TEST) -tags failpoints ./pkg/failpoint
	$(GO_TEST) ./test/e2e/...

.PHONY: lab
lab: ## prepare the lab: QEMU, a kernel, a guest with containerd; needs root and Debian 12 or 13
	go run ./test/e2e/cmd/lab prepare

.PHONY: test-lab
test-lab: export NRI_SRIOV_LAB_CONTAINERD := $(or $(CONTAINERD),$(NRI_SRIOV_LAB_CONTAINERD))
test-lab: lab ## the tests on emulated SR-IOV hardware with a real containerd; RUN= chooses, LONG=1 adds the long ones, CONTAINERD=1.7.35 its version
	NRI_SRIOV_LAB=1 NRI_SRIOV_LAB_LONG=$(LONG) $(GO_TEST) -v -p 1 -parallel $(GUESTS) -timeout 120m $(if $(RUN),-run '$(value RUN)') \
		$$(go list ./test/e2e/... | grep -v -e '/e2e/cluster$$' -e '/e2e/k8s$$')

.PHONY: lab-k8s
lab-k8s: ## prepare the lab's Kubernetes: what `make lab` does, and kubelet and control plane; compiles for some 15 minutes, once
	go run ./test/e2e/cmd/lab prepare-k8s

.PHONY: test-k8s
test-k8s: lab-k8s ## the tests in a Kubernetes of two nodes in the lab; RUN=TestKubernetes/ping chooses
	NRI_SRIOV_LAB=1 $(GO_TEST) -v -p 1 -timeout 90m $(if $(RUN),-run '$(value RUN)') ./test/e2e/cluster ./test/e2e/k8s

# What a cluster is for, in a third of the time.
K8S_CORE := TestKubernetes/^(plain pod|allocatable|metrics|the VF that the kubelet gave|ping|pending|network-status|Events|admission)$$

.PHONY: test-k8s-core
test-k8s-core: ## some of make test-k8s, ten minutes
	$(MAKE) test-k8s RUN='$(K8S_CORE)'

.PHONY: test-kind
test-kind: ## the same tests on the cluster of KUBECONFIG=, such as kind's, where nri-sriov is installed with test/e2e/k8s/testdata/config.yaml
	@test -n "$(KUBECONFIG)" || { echo "say which cluster: make test-kind KUBECONFIG=..."; exit 2; }
	NRI_SRIOV_KUBECONFIG=$(abspath $(KUBECONFIG)) $(GO_TEST) -v -timeout 90m $(if $(RUN),-run '$(value RUN)') ./test/e2e/k8s

.PHONY: test-kind-lab
test-kind-lab: lab-k8s ## make test-kind on the lab's own cluster, by the entry that any cluster has
	go run ./test/e2e/cmd/cluster $(MAKE) test-kind RUN='$(value RUN)'

.PHONY: test
test: lint test-unit test-lab ## all of them

.PHONY: demo
demo: ## two pods with real VFs in a VLAN, shown step by step, on any machine
	go run ./test/e2e/cmd/demo

.PHONY: demo-k8s
demo-k8s: ## the same on a Kubernetes of two nodes, with kubectl
	go run ./test/e2e/cmd/demo-k8s

.PHONY: bench
bench: ## what a VF costs a pod, the hooks and the node, each figure beside its aim, minutes; ROUNDS=
	go run ./test/e2e/cmd/bench $(if $(ROUNDS),-n $(ROUNDS))

.PHONY: faults
faults: lab ## every row of the fault matrix, into docs/reliability.md; an hour and more; RUN= repeats some of its lab tests
	go run ./test/e2e/cmd/faults $(if $(RUN),-run '$(value RUN)') docs/reliability.md

.PHONY: soak
soak: lab ## N pods come and go while the daemon's memory, descriptors and sockets are looked at
	NRI_SRIOV_LAB=1 NRI_SRIOV_SOAK=$(or $(N),500) $(GO_TEST) -v -timeout 150m -run '^TestSoak$$' ./test/e2e/

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	@for target in $$(git grep -ho 'func Fuzz[A-Za-z0-9]*' -- 'pkg/*_test.go' | sort -u | sed 's/func //'); do \
		for package in $$(git grep -l "func $$target(" -- 'pkg/*_test.go' | xargs -n1 dirname | sort -u); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$package || exit 1; \
		done; \
	done

.PHONY: sbom
sbom: build ## bin/nri-sriov.cdx.json, what is built into the binary, in the form of CycloneDX
	go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -licenses -version '$(VERSION)' -output bin/nri-sriov.cdx.json bin/nri-sriov
	@echo bin/nri-sriov.cdx.json: $$(grep -c '"purl"' bin/nri-sriov.cdx.json) components

.PHONY: vulncheck
vulncheck: ## known vulnerabilities in what is built in; needs the Go vulnerability database
	go tool govulncheck ./...
