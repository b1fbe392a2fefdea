# make demo and make test are all the set-up that a fresh machine with Go needs.

export CGO_ENABLED = 0

.PHONY: build demo test check bench race mutants generate
build: ## one static binary
	go build -ldflags "-s -w" -o bin/billow ./cmd/billow

demo: build ## the whole loop, live: load, alarm, policy, new instances, replacement, and back
	bin/billow demo

test: build ## everything: units, scenarios, end to end with the real clients that are installed
	go vet ./...
	go test -timeout 20m $$(go list ./... | grep -v /e2e$$)
	go test -timeout 20m ./e2e # by itself: its instances need the processor

check: ## the fast loop: no end-to-end tests
	go vet ./...
	go test -short -timeout 2m ./...

race: ## the shell's packages under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -short ./balancer/... ./loadgen/... ./wire/... ./store/... ./daemon/... ./flight/... ./sim/tune/...

bench: build ## the figures of README, measured here
	go test -run '^$$' -bench . -benchmem ./...

mutants: ## break the control plane in one place at a time: a test has to fail each time (also part of make test)
	go test ./sim/mutation -run TestMutants -mutants all -v -timeout 10m

generate: ## shapes and tables from the API models: make generate MODELS=dir
	go run ./api/gen -models $(MODELS)
