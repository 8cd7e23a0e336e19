# PharmaVida Ingesta. `make` alone lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

LOCAL_STACK := bin/local/stack -root .

##@ Help

.PHONY: help
help: ## list the targets and the variables they know
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^#\? / { print "  " substr($$0, 4) } \
		/^[a-z][a-z-]*:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Modules of their own, for what the product must not depend on. deploy/lint holds no code.
MODULES := $(filter-out deploy/lint,$(patsubst %/go.mod,%,$(wildcard deploy/*/go.mod)))
RACED := deploy/local deploy/docker

##@ The two commands

.PHONY: demo
demo: up ## run the main job on the local stack and check every object against its source
	@set -a && . ./.local/env && set +a && go run ./deploy/demo

.PHONY: test
test: up browser-tools ## all tests, on the real servers of the local stack; those of the product with the race detector
	go test -race -shuffle=on -count=1 ./...
	@set -e; $(foreach m,$(MODULES),echo "── $(m)"; (cd $(m) && GOWORK=off go test $(if $(filter $(m),$(RACED)),-race) -shuffle=on -count=1 ./...); )

.PHONY: browser-tools
browser-tools: stack-tool
	@test -x /usr/bin/chromium && command -v npm >/dev/null || { echo "installing Debian's chromium for the browser tests" && \
		$$(test $$(id -u) = 0 || echo sudo) $(LOCAL_STACK) install-packages chromium fonts-dejavu-core $$(command -v npm >/dev/null || echo npm) >/dev/null; }
	@cd deploy/browser && { test node_modules/.package-lock.json -nt package-lock.json || \
		{ npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json; }; }

##@ Faults (on servers and processes of their own; see deploy/e2e)

.PHONY: faults
faults: stack-tool ## break everything that can break, 25 ways; writes .local/faults.json
	go test -tags faults -count=1 -timeout 60m -v -run 'TestFaults|TestTenBrokerRestarts|TestFrozenSource' ./deploy/e2e $(if $(QUICK),-args -quick)

.PHONY: soak
soak: stack-tool ## random jobs under random faults, and a look at every row after; writes .local/soak.json
	go test -tags soak -count=1 -timeout 0 -v -run TestSoak ./deploy/e2e -args -minutes $(or $(MINUTES),2) -seed $(or $(SEED),0)

##@ Speed (on servers of its own; see deploy/bench)

.PHONY: bench
bench: stack-tool ## measure the system against the databases' own clients and the original's method; writes .local/bench.json
	@go build -o bin/local/bench ./deploy/bench && bin/local/bench

##@ Development

LINTER := bin/local/golangci-lint

.PHONY: short
short: ## the tests that need no server
	go test -short -shuffle=on ./...

.PHONY: lint-api
lint-api: ## the contracts of HTTP and the broker, by the linters of OpenAPI and AsyncAPI (from npm)
	deploy/contract/lint.sh

.PHONY: lint
lint: lint-api ## what machines can hold of the rules: format, imports, comments, errors
	@cd deploy/lint && echo "building the linter (some minutes the first time)" && CGO_ENABLED=0 GOWORK=off go build -buildvcs=false -o ../../$(LINTER) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(LINTER) run ./...
	@set -e; $(foreach m,$(MODULES),echo "── $(m)"; (cd $(m) && ../../$(LINTER) run --config ../../.golangci.yml ./...); )

.PHONY: vulncheck
vulncheck: ## what is known to be vulnerable and called by any module; needs the network, and says so without it
	@cd deploy/vulncheck && CGO_ENABLED=0 GOWORK=off go build -buildvcs=false -o ../../bin/local/vulncheck .
	@bin/local/vulncheck

.PHONY: docs-assets
docs-assets: ## take Swagger UI and ReDoc anew from npm, as gateway/docs/assets/VERSION says
	gateway/docs/refresh.sh

##@ Local stack (no Docker; see deploy/local/README.md)

.PHONY: stack-tool
stack-tool:
	@test -x bin/local/stack || echo "compiling the stack's own command: half a minute the first time"
	@cd deploy/local && CGO_ENABLED=0 GOWORK=off go build -buildvcs=false -o ../../bin/local/stack ./cmd/stack

.PHONY: up
up: stack-tool ## start servers, demo data, gateway and workers; write .local/env
	@$(LOCAL_STACK) up

.PHONY: down
down: stack-tool ## stop everything that up started, and nothing else
	@$(LOCAL_STACK) down -all

.PHONY: status
status: stack-tool ## show what runs, since when, on which port
	@$(LOCAL_STACK) status

.PHONY: clean
clean: stack-tool ## stop the stack and remove its data, .local and bin
	@$(LOCAL_STACK) clean -all

##@ Operations, on the local stack or the containers, whichever runs (see deploy/runbooks)

OPERATE := deploy/operate/operate.sh

.PHONY: mysql-shell
mysql-shell: ## Flowlite's database, by hand
	@$(OPERATE) mysql-shell

.PHONY: backup
backup: ## dump Flowlite's database into backups/
	@$(OPERATE) backup

.PHONY: restore
restore: ## replace Flowlite's database by FILE=backups/…; asks first
	@$(OPERATE) restore

.PHONY: queues
queues: ## queues, connections and exchanges of the broker
	@$(OPERATE) queues

.PHONY: redis-cli
redis-cli: ## the job store, by hand
	@$(OPERATE) redis-cli

.PHONY: logs
logs: ## show the end of every log; FOLLOW=1 goes on
	@$(OPERATE) logs

##@ Containers (see deploy/docker/README.md)

IMAGES := gateway mongodb mysql postgresql migrate demodata
IMAGE_TAG ?= latest
VERSION ?= $(shell git describe --tags --always --dirty)

.PHONY: images
images: ## build our images with Docker
	@docker info >/dev/null 2>&1 || { echo "no Docker engine answers: see deploy/runbooks/docker-daemon.md" >&2; exit 1; }
	@for image in $(IMAGES); do \
		docker build -f deploy/docker/Dockerfile --target $$image --build-arg VERSION=$(VERSION) \
			$(DOCKER_BUILD_FLAGS) -t pharmavida-ingesta-$$image:$(IMAGE_TAG) . || exit 1; \
	done

##@ Variables

#? STACK=NAME         operations: local or compose, where both run
#? YES=1              restore: do not ask
#? IMAGE_TAG, VERSION images: their tag (latest) and the version they report (git describe)
#? DOCKER_BUILD_FLAGS images: for docker build, such as --build-arg GOPROXY=…
#? DEMO_ROWS=N        up: N productos, users, compras and recetas (at most 50,000), N/3 ofertas and medicos
#? DEMO_DOCUMENTS=N   up: N recetas, whatever DEMO_ROWS says
#? MINUTES=N, SEED=N  soak: how long (2), and which choices (0: new ones, whose seed is printed)
#? ROUNDS=N, CASES=RE bench: how often everything is measured (5); only the cases whose names match
#? SCALE=F, KEEP=1    bench: a fraction of the rows, for a quick look; leave its servers running
#? WATCH=COMMAND      bench: run beside what is measured of the product, with its $$PID and the $$SUBJECT, such as a profiler
#? GOVULNDB=URL       vulncheck: another database of vulnerabilities; file:// reaches a copy in a folder
#? QUICK=1            faults: the quick half alone
#? CATALOG_FILE=F     up: what is exported, for the gateway and the workers; so are INGESTA_* variables handed to them
#? LOCAL_DATA_DIR     where the servers keep their data (/var/tmp/pharmavida-ingesta-<hash of this folder>)
#? LOCAL_<PART>_PORT  a port of your own instead of 18xxx; PART is one of GATEWAY, WORKER_MONGODB, WORKER_MYSQL,
#?                    WORKER_POSTGRESQL, MONGODB, MARIADB, POSTGRESQL, REDIS, RABBITMQ, MANAGEMENT, ERLANG, EPMD, S3
