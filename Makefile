# Tocsin. Every target sets up what it needs: it checks Go, installs Debian
# packages where it may (root or sudo without a password), and says in one line
# what is missing where it may not.

SHELL   := /bin/bash
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STAMP   ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
LDFLAGS := -s -w -X tocsin/firmware/station.Version=$(VERSION) -X tocsin/firmware/station.BuildUnix=$(STAMP) -X main.Version=$(VERSION)
# noasm leaves out klauspost's assembly, 1.2 MiB of it: a narrow message has a handful of Reed-Solomon shards of some
# 70 bytes, and the program may take 36 MiB.
BUILD   := CGO_ENABLED=0 $(GO) build -tags noasm -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
OUT     := out

# What the tests' peers need, as Debian packages.
PEERS   := fonts-arphic-gbsn00lp poppler-utils python3-pymodbus python3-serial-asyncio libmodbus-dev mbpoll espeak-ng sox gcc libc6-dev pkg-config e2fsprogs xmlsec1 libxml2-utils openssl nats-server mosquitto mosquitto-clients ffmpeg gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 python3-gi
# What the figures sign and check with beside our own; without it those figures say so.
NOTARY  := xmlsec1 libxml2-utils openssl
BROWSER := chromium fonts-noto-cjk

# The console, built from these sources into a folder that is embedded and not committed.
UI      := firmware/serve/page/ui
UI_SRC  := $(shell find $(UI)/lib $(UI)/station $(UI)/county -type f 2>/dev/null) $(UI)/vite.config.ts $(UI)/tsconfig.json
UI_OUT  := $(UI)/dist/county/index.html.gz

.PHONY: help demo hwtest board-programs deb deb-test image image-test pictures test build cross figures lint clips go node ui openapi peers browser test-quick test-race test-peers test-browser fuzz-short

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | sort

go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go $$(sed -n 's/^go //p' go.mod) or newer (https://go.dev/dl)"; exit 1; }
	@want=$$(sed -n 's/^go //p' go.mod); have=$$($(GO) env GOVERSION | sed 's/^go//'); \
	 [ "$$(printf '%s\n%s\n' "$$want" "$$have" | sort -V | head -1)" = "$$want" ] || { echo "Go $$want or newer is needed, this is $$have"; exit 1; }

node:
	@have=$$(node --version 2>/dev/null | sed 's/^v//'); \
	 [ -n "$$have" ] && [ "$$(printf '20.19.0\n%s\n' "$$have" | sort -V | head -1)" = 20.19.0 ] && command -v npm >/dev/null || \
	 { echo "Node 20.19 or newer with npm is needed for the console, this is $${have:-none} (https://nodejs.org, or: npx -y n 20)"; exit 1; }

ui: $(UI_OUT) ## build both consoles into firmware/serve/page/ui/dist

$(UI)/node_modules/.package-lock.json: $(UI)/package.json $(UI)/package-lock.json
	@$(MAKE) --no-print-directory node
	cd $(UI) && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json

$(UI_OUT): $(UI)/node_modules/.package-lock.json $(UI_SRC)
	cd $(UI) && npm run --silent check && npm run --silent build
	@touch $@

openapi: go $(UI)/node_modules/.package-lock.json ## write the API's description and the console's types anew
	$(GO) test -count=1 ./firmware/serve/api -run CommittedDocument -update
	cd $(UI) && npm run --silent types

peers:
	@.ci/packages $(PEERS)

browser:
	@.ci/packages $(BROWSER)

build: go ui ## build edged with edged-desk and edged-video, hubd and village for this machine into out/bin
	@$(GO) test -count=1 -run 'EveryCode' ./firmware/phrase >/dev/null || { $(GO) test -count=1 -run 'EveryCode' ./firmware/phrase; exit 1; }
	$(BUILD) -o $(OUT)/bin/ ./cmd/edged ./cmd/edged-desk ./cmd/edged-video ./cmd/hubd ./cmd/village

cross: go ui ## build static edged, edged-desk and edged-video for linux amd64, arm64 and armv7, without cgo
	for p in edged edged-desk edged-video; do \
	  GOOS=linux GOARCH=amd64 $(BUILD) -o $(OUT)/cross/$$p-linux-amd64 ./cmd/$$p && \
	  GOOS=linux GOARCH=arm64 $(BUILD) -o $(OUT)/cross/$$p-linux-arm64 ./cmd/$$p && \
	  GOOS=linux GOARCH=arm GOARM=7 $(BUILD) -o $(OUT)/cross/$$p-linux-armv7 ./cmd/$$p || exit 1; done
	@for f in $(OUT)/cross/edged-*; do file -b $$f 2>/dev/null | grep -q 'dynamically' && { echo "$$f is not static"; exit 1; }; done; ls -l $(OUT)/cross

demo: build ## run the storm: make demo, or make demo FOR=175s unattended
	$(OUT)/bin/village --edged $(OUT)/bin/edged --hubd $(OUT)/bin/hubd --out $(OUT)/demo $(if $(FOR),--for $(FOR))

test: test-quick test-race test-peers test-browser ## everything that must hold, quick things first
	@echo "all stages passed"

# Packages are tested in the order of the list: what takes longest begins first, so that nothing waits for it alone.
SLOWEST := ./firmware/station

# Tests of the house wait for a world in real time far more than they compute: more of them are under way at once than there are
# processors.
WAITING := $(shell echo $$((3 * $$(nproc 2>/dev/null || echo 2))))

# Without cgo, as it is shipped, and so that nothing is compiled twice; the race detector alone needs it.
lint test-quick test-peers test-browser: export CGO_ENABLED := 0

# The paper's font: without it the sheets have no PDF, which is then what is held to be told.
test-quick: go lint
	-@.ci/packages fonts-arphic-gbsn00lp
	$(GO) test -timeout 20m -parallel $(WAITING) $(SLOWEST) ./...

test-race: go
	$(GO) test -timeout 20m -race -short $(SLOWEST) ./firmware/... ./drivers/... ./cmd/...

test-peers: go peers build
	@tests=$$(.ci/tagged peers drivers firmware hwtest cmd) && set -x && $(GO) test -count=1 -tags peers -timeout 15m -parallel $(WAITING) $$tests

test-browser: go ui browser
	@tests=$$(.ci/tagged browser drivers firmware hwtest cmd) && set -x && $(GO) test -count=1 -tags browser -timeout 20m -parallel $(WAITING) $$tests

# Board images are built on Debian 12; packages of the board's own architecture are downloaded and opened, never run.
IMAGING  := mmdebstrap mtools squashfs-tools fdisk e2fsprogs u-boot-tools xz-utils binutils-aarch64-linux-gnu binutils-arm-linux-gnueabihf
EMULATOR := qemu-system-arm qemu-user-static u-boot-qemu
# Which boards; virt is the emulated one, which runs what a Raspberry Pi runs.
TARGETS  ?= virt pi pi5 arm64 armv7
# The packed card (.img.xz) takes more than a minute for each: CARD= leaves it out.
CARD     ?= --card
# A release's number only rises; a bench's is the time of its commit. A bench's keys are made in out/keys: not for boards that are given to
# anybody. Others are made once by make release-keys KEYS=folder, and named.
NUMBER   ?= $(STAMP)
KEYS     ?= $(OUT)/keys
CACHE    ?= $(OUT)/cache

# The programs of the boards asked for; what of them is new is go's to know.
board-programs: go ui
	for p in edged edged-desk edged-video; do \
	  $(if $(filter-out armv7,$(TARGETS)),GOOS=linux GOARCH=arm64 $(BUILD) -o $(OUT)/cross/$$p-linux-arm64 ./cmd/$$p &&) \
	  $(if $(filter armv7,$(TARGETS)),GOOS=linux GOARCH=arm GOARM=7 $(BUILD) -o $(OUT)/cross/$$p-linux-armv7 ./cmd/$$p &&) true || exit 1; done

image: board-programs ## make the board images into out/image: make image, or make image TARGETS=pi
	@.ci/packages $(IMAGING)
	for t in $(TARGETS); do $(GO) run ./images/build --target $$t --bin $(OUT)/cross --out $(OUT)/image --cache $(CACHE) --version $(VERSION) --number $(NUMBER) --built $(STAMP) --keys $(KEYS) $(CARD) $(if $(BASE),--base $(BASE)) $(if $(STALE),--stale) $(if $(filter $(OUT)/keys,$(KEYS)),--new-keys) || exit 1; done

release-keys: go ## make the keys that sign a county's releases: make release-keys KEYS=folder
	$(GO) run ./images/build --keys $(KEYS) --new-keys --only-keys

image-test: TARGETS := virt
image-test: CARD :=
image-test: image ## boot the image in an emulator, and break it: make image-test, ONLY=regex, LONG=1 (hours)
	@.ci/packages $(EMULATOR)
	TOCSIN_IMAGE=$(abspath $(OUT)/image/virt-$(VERSION).img) TOCSIN_KEYS=$(abspath $(KEYS)) TOCSIN_BUILD='$(MAKE) image TARGETS=virt CARD= VERSION=$(VERSION) STAMP=$(STAMP) NUMBER=$(NUMBER) KEYS=$(abspath $(KEYS)) CACHE=$(abspath $(CACHE))' $(GO) test -count=1 -tags image -timeout $(if $(LONG),5h,40m) $(if $(ONLY),-run '$(ONLY)') -v ./images

# Packages for boards that have a Debian of their own: make deb, or make deb ARCHS=amd64. nfpm packs them, as a program.
NFPM        := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
ARCHS       ?= arm64 armhf amd64
DEB_VERSION ?= $(shell date -u -d @$(STAMP) +%Y.%m.%d.%H%M%S)+g$(shell git rev-parse --short HEAD 2>/dev/null || echo 0)

deb: go ui ## make the Debian packages into out/deb
	@mkdir -p $(OUT)/deb/stage && sed 's#/usr/local/bin/#/usr/bin/#; /^# *\(install\|useradd\)/d; s#^\# Tocsin on a board with systemd. Install:#\# Tocsin on a board with systemd.#' configs/edged.service > $(OUT)/deb/stage/edged.service
	for a in $(ARCHS); do \
	  case $$a in armhf) s=armv7; e="GOARCH=arm GOARM=7";; *) s=$$a; e=GOARCH=$$a;; esac; \
	  for p in edged edged-desk edged-video; do env GOOS=linux $$e $(BUILD) -o $(OUT)/cross/$$p-linux-$$s ./cmd/$$p || exit 1; done; \
	  $(GO) run ./images/build --texts $(OUT)/deb/stage/licences-$$s --target $$s --bin $(OUT)/cross || exit 1; \
	  env ARCH=$$a SUFFIX=$$s DEB_VERSION=$(DEB_VERSION) BIN=$(OUT)/cross STAGE=$(OUT)/deb/stage SOURCE_DATE_EPOCH=$(STAMP) GOFLAGS=-mod=mod \
	    $(GO) run $(NFPM) package -f images/deb/nfpm.yaml -p deb -t $(OUT)/deb/ || exit 1; done; ls -l $(OUT)/deb/*.deb

deb-test: ARCHS := amd64
deb-test: deb ## install the package in a Debian made for it, start, hang, upgrade, remove
	@.ci/packages mmdebstrap systemd-container curl
	TOCSIN_DEBS=$(abspath $(OUT)/deb) TOCSIN_CACHE=$(abspath $(OUT)/cache) TOCSIN_DEB_VERSION=$(DEB_VERSION) $(GO) test -count=1 -tags image -timeout 20m -v ./images/deb

hwtest: go ## take a connected board over: make hwtest BOARD=192.168.1.50 ACCOUNT=lin, LOUD=1 CUT=1 RELEASE=file
	@[ -n "$(BOARD)" ] && [ -n "$(ACCOUNT)" ] || { echo "say which board and who: make hwtest BOARD=192.168.1.50 ACCOUNT=lin (a technician's account)"; exit 1; }
	@CGO_ENABLED=0 $(GO) run ./cmd/accept $(BOARD) --account $(ACCOUNT) --out $(OUT)/hwtest $(if $(LOUD),--loud) $(if $(CUT),--cut) $(if $(RELEASE),--release $(RELEASE)) $(if $(FINGERPRINT),--fingerprint $(FINGERPRINT))

lint: go ## gofmt, vet (also for a board of 32 bits), staticcheck
	@bad=$$(gofmt -l cmd configs drivers firmware hwtest images); [ -z "$$bad" ] || { echo "not gofmt'ed:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags peers,browser,image ./...
	GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0 $(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

figures: build ## measure: make figures, ONLY=alarm, LONG=1
	-@.ci/packages $(NOTARY)
	$(GO) build -o $(OUT)/bin/ ./cmd/figures
	$(OUT)/bin/figures --edged $(OUT)/bin/edged $(if $(ONLY),--only $(ONLY)) $(if $(LONG),--long)

PICTURES := firmware/serve/page/pictures

pictures: go ui browser ## take the README's pictures of the pages anew; look at them before you commit them
	PICTURES=$(abspath $(PICTURES)) CGO_ENABLED=0 $(GO) test -count=1 -tags browser -run '^TestPicturesOfThePages$$' ./cmd/edged
	PICTURES=$(abspath $(PICTURES)) CGO_ENABLED=0 $(GO) test -count=1 -tags browser -run '^TestChromiumSpendsADutyOnTheCountysConsole$$/^county$$' ./cmd/hubd
	@ls -l $(PICTURES)

clips: go ## make the clip set anew with espeak-ng
	@.ci/packages espeak-ng
	$(GO) run ./cmd/makeclips

fuzz-short: go ## each fuzz target for ten seconds
	@for p in $$(grep -rlE '^func Fuzz' --include=*_test.go firmware drivers hwtest cmd images | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' $$p/*_test.go | awk '{print $$2}'); do \
	    $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 10s ./$$p || exit 1; done; done
