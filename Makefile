# lguest: a literate hypervisor. `make help' lists the targets.
#
# lguest.nw is the only source of program and book. Every file that is tangled
# out of it stands in one of the lists below; a chunk that is neither used nor
# listed here fails the build.

CONTRACT = contract/lguest.h contract/block.h contract/net.h
LAUNCHER = \
	launcher/main.c launcher/version.c launcher/version.h \
	launcher/options.c launcher/options.h \
	launcher/check.c launcher/check.h \
	launcher/memory.c launcher/memory.h \
	launcher/loader.c launcher/loader.h \
	launcher/device.c launcher/device.h \
	launcher/virtqueue.c launcher/virtqueue.h \
	launcher/waker.c launcher/waker.h \
	launcher/console.c launcher/console.h \
	launcher/net.c launcher/net.h \
	launcher/block.c launcher/block.h \
	launcher/rng.c launcher/rng.h \
	launcher/guest.c launcher/guest.h \
	launcher/run.c launcher/run.h \
	launcher/trace.c launcher/trace.h \
	launcher/gdb.c launcher/gdb.h \
	launcher/snapshot.c launcher/snapshot.h \
	launcher/sandbox.c launcher/sandbox.h
HOST = host/host.h host/state.h host/trace.h host/rawsys.h host/filter.h \
	host/check.c host/check.h host/dev.c host/dev.h host/user.c \
	host/lacks.c host/lacks.h
INSIDE = host/inside/layout.h host/inside/sys.h host/inside/inside.h \
	host/inside/offsets.h host/inside/filter.h host/inside/image.lds \
	host/inside/entry.S host/inside/start.c host/inside/trap.c host/inside/gate.c \
	host/inside/dies.c host/inside/hypercall.c host/inside/shadow.c \
	host/inside/ownmap.c host/inside/segment.c host/inside/emulate.c \
	host/inside/interrupt.c host/inside/schedule.c \
	host/inside/userview.c host/inside/trace.c host/inside/stops.c host/inside/snapshot.c host/inside/signals.c host/inside/filter.c \
	host/inside/viewstart.S host/inside/view.c host/images.S
GUEST = guest/kernel.lds guest/entry.S guest/kernel.h guest/syscalls.h \
	guest/boot.c guest/print.c guest/traps.c guest/clock.c \
	guest/memory.c guest/space.c guest/process.c guest/ustar.c \
	guest/exec.c guest/syscall.c guest/virtio.c guest/virtio.h \
	guest/net.c guest/net.h guest/inet.c guest/block.c guest/block.h \
	guest/ext2.c guest/ext2.h guest/file.c guest/rng.c guest/rng.h \
	guest/console.c guest/selftest.c \
	guest/archive.S
# The user programs: guest/user/NAME.c each; all else in USER is their library.
PROGRAMS = sh hello primes spin forks fpu divide touchkernel probe bench true diskspeed \
	charspeed latency
USER = guest/user/user.lds guest/user/crt.S guest/user/ulib.c \
	guest/user/ulib.h $(PROGRAMS:%=guest/user/%.c)
# Guests that attack their Host.
ATTACK = guest/attack/attack.h guest/attack/attack.lds \
	guest/attack/kernel.S guest/attack/alone.S guest/attack/below.S guest/attack/gate.S guest/attack/fuzz.S \
	guest/attack/user.S guest/user/attack.c
# The Waker, twice more: to be measured beside it.
WAKERS = wakers/model.h wakers/model.c wakers/forked.c wakers/cloned.c \
	wakers/evented.c
# Text files of the initrd, as they are: guest/files/NAME.
FILES = guest/files/motd

NW := lguest.nw
B := build
TOP := $(CURDIR)
ROOTS = $(CONTRACT) $(LAUNCHER) $(HOST) $(INSIDE) $(GUEST) $(USER) $(ATTACK) $(WAKERS) $(FILES)
T := $B/t

CC = gcc
MUSLCC = musl-gcc -idirafter /usr/include \
	-idirafter /usr/include/x86_64-linux-gnu
OPT = -O2 -g
WARN = -Wall -Wextra -Wshadow -Wconversion -Werror
CFLAGS = $(OPT) -std=gnu11 $(WARN)
PLACE = -ffile-prefix-map=$(TOP)=. -I$T -MMD -MP
FREESTANDING = -m32 -march=i686 -ffreestanding -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer

export SOURCE_DATE_EPOCH ?= 1217289600
export PYTHONDONTWRITEBYTECODE = 1
export LC_ALL = C.UTF-8
export TEXMFVAR = $(TOP)/$B/texmf
export B CC

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DELETE_ON_ERROR:
.SUFFIXES:
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc) --no-print-directory
endif

# A release (make dist) has the readable tangle in src and the book beside it.
# Where noweb is not installed, src is compiled as it is; where there is no TeX,
# the book is that one.
NOWEB_LIB ?= /usr/lib/noweb
PLAIN := $(if $(wildcard $(NOWEB_LIB)/markup),,$(wildcard src/launcher/main.c))
READY := $(if $(and $(shell command -v lualatex),$(if $(PLAIN),,yes)),,\
	$(wildcard lguest.pdf))

.PHONY: all program stress book html golden slides help src untangle lint demo check bench clean lguest32 \
	lguest-musl asan check-qemu FORCE
all: program book

THREE = $(addprefix $B/wakers/,forked cloned evented)

## program       the Launcher, the Guest and its initrd; three wakers
program: $B/lguest $B/guest $B/initrd.tar $(THREE)

help:
	@echo "all           program and book (this is what a plain make does)"
	@sed -n 's/^## //p' Makefile

# ---- tangle -----------------------------------------------------------------
# One pass writes all files, and leaves alone what did not change. What only
# moved (its line numbers changed) is compiled anew by all, book and check, not
# while you edit one chunk and say `make build/lguest'.
EXACT := $(filter all program html check lint install dist,$(or $(MAKECMDGOALS),all))
ifneq ($(EXACT),)
ifneq ($(wildcard $T/.moved),)
$(shell rm -f $B/.tangled)
endif
endif

$(addprefix $T/,$(ROOTS)): $B/.tangled ;
ifneq ($(PLAIN),)
$B/.tangled: Makefile
	@mkdir -p $B && rm -rf $T && ln -s $(TOP)/src $T
	@echo "  PLAIN  src, since noweb is not installed"
	@touch $@
else
$B/.tangled: $(NW) Makefile book/tangle book/literate.py
	@mkdir -p $B && test ! -L $T || rm $T
	@echo "  TANGLE $(NW)"
	@book/tangle $(if $(EXACT),--exact) $(NW) $T $(ROOTS)
	@touch $@
endif

## src           the program as plain C in build/src, chunk names as comments
src:
	@book/tangle --src $(NW) $B/src $(ROOTS)

## untangle      carry what was edited in build/src back into lguest.nw
untangle:
	@book/untangle $(NW) $B/src $(ROOTS)

# ---- writing ------------------------------------------------------------------
.PHONY: draft watch tags
## draft         one chapter, soon: make draft CHAPTER=waker; build/draft.pdf
draft:
	@book/draft $(NW) $B '$(CHAPTER)' $(ROOTS)

## watch         at each change of lguest.nw the program, and that chapter
watch:
	@book/watch $(NW) B=$B

## tags          for editors: tags and TAGS lead into lguest.nw, and
##               compile_commands.json tells clangd about build/src
tags: src
	@book/tags $(NW) $B $(ROOTS)
	@{ $(foreach f,$(LAUNCHER_C) $(filter %.c,$(WAKERS)),$(call command,$f,$(CC) $(CFLAGS))) \
	  $(foreach f,$(filter %.c,$(INSIDE)),$(call command,$f,$(INSIDE_FLAGS))) \
	  $(foreach f,$(filter %.c,$(GUEST)),$(call command,$f,$(GUEST_FLAGS))) \
	  $(foreach f,$(filter %.c,$(USER) $(ATTACK)),$(call command,$f,$(USER_FLAGS))) \
	} | sed '1s/^,/[/; $$s/$$/]/' > compile_commands.json
command = printf ',{"directory": "%s", "file": "%s",\n "command": "%s"}\n' \
	'$(TOP)/$B/src' '$1' '$2 -I. -c $1';

## lint          check the source: chunks, columns, blanks; print its measures
lint: $B/.linted
$B/.linted: $(NW) Makefile book/lint book/literate.py
	@mkdir -p $B
	@book/lint $(NW) $(ROOTS) > $B/lint.txt || \
	  { cat $B/lint.txt; exit $(if $(DRAFT),0,1); }
	@tail -n 1 $B/lint.txt
	@touch $@

# ---- the Host's inside: rules of its own (host/inside/*) ----------------------
# INSIDE lists its files; INSIDE_O is the object (or objects) that the Launcher
# links, the flat image as data.
INSIDE_O = $B/o/images.o
INSIDE_FLAGS = $(CC) -O2 -g -std=gnu11 $(WARN) -ffreestanding -fno-builtin \
	-fPIE -fvisibility=hidden -mgeneral-regs-only -mno-red-zone \
	-fno-stack-protector -fcf-protection=none -fno-jump-tables \
	-fno-asynchronous-unwind-tables
# Both images share the last two; the Host has what is its own alone.
VIEW_SRC = host/inside/viewstart.S host/inside/view.c
BOTH_SRC = host/inside/signals.c host/inside/filter.c
HOST_SRC = $(filter-out $(VIEW_SRC) $(BOTH_SRC) host/images.S,\
	$(filter %.c %.S,$(INSIDE)))
inside_o = $(patsubst %,$B/o/%.o,$(basename $1))
$B/o/inside.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(INSIDE_FLAGS)' | cmp -s - $@ || echo '$(INSIDE_FLAGS)' > $@
$B/o/host/inside/%.o: $T/host/inside/%.c $B/o/inside.flags | $B/.tangled
	@mkdir -p $(@D)
	@echo "  CC     $@"
	@$(INSIDE_FLAGS) $(PLACE) -c $< -o $@
$B/o/host/inside/%.o: $T/host/inside/%.S $B/o/inside.flags | $B/.tangled
	@mkdir -p $(@D)
	@echo "  AS     $@"
	@$(INSIDE_FLAGS) $(PLACE) -c $< -o $@
LINK_INSIDE = ld -static -nostdlib -z noexecstack -z max-page-size=4096 \
	--build-id=none --no-warn-rwx-segments -T $T/host/inside/image.lds
$B/host.elf: $(call inside_o,$(HOST_SRC) $(BOTH_SRC)) $T/host/inside/image.lds
$B/view.elf: $(call inside_o,$(VIEW_SRC) $(BOTH_SRC)) $T/host/inside/image.lds
$B/host.elf $B/view.elf:
	@echo "  LINK   $@"
	@$(LINK_INSIDE) -o $@ $(filter %.o,$^)
	@objcopy --strip-debug $@ $@.bare
$B/o/images.o: $T/host/images.S $B/host.elf $B/view.elf
	@echo "  AS     $@"
	@$(CC) -DHOST_IMAGE='"$B/host.elf.bare"' \
	  -DVIEW_IMAGE='"$B/view.elf.bare"' -c $< -o $@
-include $(patsubst %.o,%.d,$(call inside_o,$(HOST_SRC) $(BOTH_SRC) $(VIEW_SRC)))

# ---- Launcher and Host -------------------------------------------------------
# One set of objects for each way to build the Launcher. $(call launcher,
# program,object directory,compiler and flags,link flags,C files)
LAUNCHER_C = $(filter %.c,$(LAUNCHER) $(HOST))
LAUNCHER32_C = $(filter-out host/user.c host/lacks.c,$(LAUNCHER_C))

# What `lguest --version' says of the source: a file has it where there is no
# git; a plus sign says that the program's source was changed since. A new
# commit compiles launcher/version.c, and nothing else.
GIT = git -c safe.directory='$(TOP)'
COMMIT := $(or $(shell cat COMMIT 2> /dev/null),$(shell test -e .git && \
	command -v git > /dev/null && { $(GIT) rev-parse --short=12 HEAD; \
	$(GIT) diff --quiet HEAD -- $(NW) Makefile || echo +; }),unknown)
COMMIT := $(subst $() ,,$(COMMIT))
$B/.commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

define launcher
$2/%.o: $T/%.c $2/.flags | $B/.tangled
	@mkdir -p $$(@D)
	@echo "  CC     $$@"
	@$3 $$(PLACE) -c $$< -o $$@
$2/launcher/version.o: $B/.commit
$2/launcher/version.o: private PLACE += -DLGUEST_COMMIT='"$(COMMIT)"'
$2/.flags: FORCE
	@mkdir -p $$(@D)
	@echo '$3' | cmp -s - $$@ || echo '$3' > $$@
$2/.link: FORCE
	@mkdir -p $$(@D)
	@echo '$4' | cmp -s - $$@ || echo '$4' > $$@
$1: $2/.link $(5:%.c=$2/%.o) $6
	@mkdir -p $$(@D)
	@echo "  LINK   $$@"
	@$3 $4 -o $$@ $$(filter %.o,$$^)
-include $(5:%.c=$2/%.d)
endef

$(eval $(call launcher,$B/lguest,$B/o/native,$$(CC) $$(CFLAGS),$$(LDFLAGS),\
	$(LAUNCHER_C),$$(INSIDE_O)))
$(eval $(call launcher,$B/lguest32,$B/o/m32,$$(CC) -m32 $$(CFLAGS),\
	$$(LDFLAGS),$(LAUNCHER32_C),))
$(eval $(call launcher,$B/lguest-musl,$B/o/musl,$$(MUSLCC) $$(CFLAGS),\
	-static,$(LAUNCHER_C),$$(INSIDE_O)))
$(eval $(call launcher,$B/asan/lguest,$B/o/asan,\
	$$(CC) $$(CFLAGS) $$(SANITIZE),,$(LAUNCHER_C),$$(INSIDE_O)))

## lguest32      a 32-bit Launcher, for a kernel that has /dev/lguest
lguest32: $B/lguest32
## lguest-musl   the Launcher with musl's C library, static
lguest-musl: $B/lguest-musl
## asan          the Launcher with AddressSanitizer and UBSan
asan: $B/asan/lguest
	@for f in guest initrd.tar user; do ln -sfn ../$$f $B/asan/$$f; done

# ---- three wakers, without a Guest ----------------------------------------------
$(THREE): $B/wakers/%: $B/o/native/wakers/%.o $B/o/native/wakers/model.o
	@mkdir -p $(@D)
	@echo "  LINK   $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^)
$B/wakers/cloned: $B/o/native/launcher/waker.o
-include $(patsubst %.c,$B/o/native/%.d,$(filter %.c,$(WAKERS)))

# ---- the Guest: a 32-bit kernel and its user programs ---------------------------
USER_FLAGS = $(CC) $(FREESTANDING) $(CFLAGS)
GUEST_FLAGS = $(USER_FLAGS) -mgeneral-regs-only
$B/o/guest/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(GUEST_FLAGS)' | cmp -s - $@ || echo '$(GUEST_FLAGS)' > $@
$B/o/guest/%.o: $T/guest/%.c $B/o/guest/.flags | $B/.tangled
	@mkdir -p $(@D)
	@echo "  CC     $@"
	@$(GUEST_FLAGS) $(PLACE) -c $< -o $@
$B/o/guest/%.o: $T/guest/%.S $B/o/guest/.flags | $B/.tangled
	@mkdir -p $(@D)
	@echo "  AS     $@"
	@$(GUEST_FLAGS) $(PLACE) -c $< -o $@
$B/o/guest/user/%.o: $T/guest/user/%.c $B/o/guest/.flags | $B/.tangled
	@mkdir -p $(@D)
	@echo "  CC     $@"
	@$(USER_FLAGS) $(PLACE) -c $< -o $@

objects = $(patsubst guest/%.S,$B/o/guest/%.o,$(patsubst guest/%.c,$B/o/guest/%.o,\
	$(filter %.c %.S,$1)))
LIBGCC = $(shell $(CC) -m32 -print-libgcc-file-name)
LINK32 = $(CC) -m32 -nostdlib -static -Wl,--build-id=none \
	-Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments

# The kernel carries the programs, for its selftest.
$B/o/guest/archive.o: private PLACE += -DARCHIVE='"$B/initrd.tar"'
$B/o/guest/archive.o: $B/initrd.tar
$B/guest: $(call objects,$(GUEST)) $T/guest/kernel.lds
	@echo "  LINK   $@"
	@$(LINK32) -T $T/guest/kernel.lds -o $@ $(filter %.o,$^) $(LIBGCC)

USER_LIBRARY = $(call objects,$(filter-out \
	$(PROGRAMS:%=guest/user/%.c),$(USER)))
$(PROGRAMS:%=$B/user/%): $B/user/%: $B/o/guest/user/%.o $(USER_LIBRARY) \
	$T/guest/user/user.lds
	@mkdir -p $(@D)
	@echo "  LINK   $@"
	@$(LINK32) -s -T $T/guest/user/user.lds -o $@ $(filter %.o,$^) $(LIBGCC)
-include $(patsubst %.o,%.d,$(call objects,$(GUEST) $(USER)))

$B/initrd.tar: $(PROGRAMS:%=$B/user/%) $(addprefix $T/,$(FILES)) Makefile
	@echo "  TAR    $@"
	@rm -rf $B/initrd && mkdir -p $B/initrd/bin
	@cp $(PROGRAMS:%=$B/user/%) $B/initrd/bin
	@for f in $(addprefix $T/,$(FILES)); do cp $$f $B/initrd/; done
	@cd $B/initrd && chmod -R u=rwX,go=rX . && find * -type f | sort | \
	  tar --format=ustar --owner=0 --group=0 --numeric-owner \
	  --mtime=@$(SOURCE_DATE_EPOCH) -T - -cf ../initrd.tar

# ---- attackers: a kernel, and a program for the teaching Guest
$B/attack: $(call objects,$(filter-out %user.S %.c,$(ATTACK))) $T/guest/attack/attack.lds
	@echo "  LINK   $@"
	@$(LINK32) -T $T/guest/attack/attack.lds -o $@ $(filter %.o,$^)

$B/user/attack: $B/o/guest/user/attack.o $B/o/guest/attack/user.o \
	$(USER_LIBRARY) $T/guest/user/user.lds
	@mkdir -p $(@D)
	@echo "  LINK   $@"
	@$(LINK32) -s -T $T/guest/user/user.lds -o $@ $(filter %.o,$^) $(LIBGCC)

$B/attack.tar: $B/initrd.tar $B/user/attack
	@echo "  TAR    $@"
	@rm -rf $B/attack.d && cp -r $B/initrd $B/attack.d
	@cp $B/user/attack $B/attack.d/bin
	@cd $B/attack.d && find * -type f | sort | tar --format=ustar \
	  --owner=0 --group=0 --numeric-owner \
	  --mtime=@$(SOURCE_DATE_EPOCH) -T - -cf ../attack.tar

# ---- the book -------------------------------------------------------------------
## book          the book, build/book.pdf (DRAFT=1: whatever is missing)
book: $B/book.pdf

# A transcript is what a script in book/runs prints. A new commit alone (see
# COMMIT above) makes another program, but no other transcripts.
RUNS := $(notdir $(wildcard book/runs/*))
$B/.same: $(filter-out %/version.o,$(LAUNCHER_C:%.c=$B/o/native/%.o)) $(INSIDE_O)
	@touch $@
$B/runs/%.txt: book/runs/% $B/.same $B/guest $B/initrd.tar | $B/lguest
	@mkdir -p $(@D)
	@echo "  RUN    $<"
	@timeout 300 $< > $@

$B/runs/attacks.txt: $B/attack

ifneq ($(READY),)
$B/book.pdf: $(READY)
	@mkdir -p $B
	@echo "  COPY   $<, since the book cannot be made here"
	@cp $< $@
else
BOOK = $(wildcard book/*.sty book/*.bib figures/*.tex figures/data/* book/answers/*) \
	book/bench-figure book/parts-figure book/wakers-figure book/boot-figure
$B/runs/key-timeline.txt: book/timeline
$B/book.pdf: $(NW) $B/.tangled $B/.linted $(BOOK) \
	$(if $(DRAFT),,$(RUNS:%=$B/runs/%.txt)) \
	book/weave book/typeset book/program.py book/literate.py
	@echo "  WEAVE  $@"
	@book/weave $(NW) $B $(ROOTS)
	@book/bench-figure figures/data/bench.json \
	  > $B/book/figures/bench-ratios.tex
	@book/parts-figure figures/data/bench.json \
	  > $B/book/figures/bench-parts.tex
	@book/parts-figure --peers figures/data/bench.json \
	  > $B/book/figures/bench-peers.tex
	@book/wakers-figure figures/data/wakers.json \
	  > $B/book/figures/wakers.tex
	@book/boot-figure figures/data/linux-boot-time.txt \
	  > $B/book/figures/linux-boot-time.tex
	@cp book/golden/key-timeline.txt $B/book/figures/key-timeline.tex
	@book/typeset $B
endif

## slides        a lecture and lab sheets, build/slides.pdf and build/labs.pdf
slides: $B/slides.pdf
$B/slides.pdf: $B/book.pdf book/slides.tex book/labs.tex book/lgslides.sty book/teach
	@echo "  TEACH  $@"
	@book/teach $(NW) $B

## html          the book as a website, build/html/index.html
html: $B/html/index.html

$B/fonts/inconsolata.woff2: book/webfonts
	@book/webfonts $B/fonts
$B/html/index.html: $B/book.pdf $B/fonts/inconsolata.woff2 book/drawings \
	book/weave-html $(wildcard book/web/*) book/package-lock.json
	@echo "  WEAVE  $@"
	@book/drawings $B
	@book/weave-html $(NW) $B $(ROOTS)

## golden        renew book/golden, the transcripts as they should be, masked
golden: $(RUNS:%=$B/runs/%.txt)
	@book/lockstep renew $(NW) $B

# ---- using it ---------------------------------------------------------------------
## demo          boot the teaching Guest (scripted when there is no terminal)
demo: program
	@tests/demo

## exercise      has an exercise been solved? N=7, or N=its name
exercise: program
	@tests/exercise $(N)

## bench         devices, calls and wakers; build/bench.json and wakers.json
bench: program
	@tests/bench
	@tests/bench_wakers

# ---- installing it ------------------------------------------------------------
.PHONY: install uninstall
PREFIX = /usr/local
MANUALS = $B/lguest.1 $B/completion/lguest $B/completion/_lguest
$B/lguest.1: book/lguest.1
	@echo "  MANUAL $@"
	@book/manual man $B/lguest < $< > $@
$B/completion/lguest $B/completion/_lguest:
	@mkdir -p $(@D)
	@echo "  MANUAL $@"
	@book/manual $(if $(findstring /_,$@),zsh,bash) $B/lguest > $@
$(MANUALS): book/manual $B/.same | $B/lguest

D = $(DESTDIR)$(PREFIX)
INSTALLED = bin/lguest lib/lguest/guest lib/lguest/initrd.tar \
	share/man/man1/lguest.1 share/bash-completion/completions/lguest \
	share/zsh/site-functions/_lguest share/doc/lguest/LICENSE \
	share/doc/lguest/lguest.pdf
HTML_TO = share/doc/lguest/html

## install       program, Guest, manual, completions and what there is of the
##               book, below PREFIX (/usr/local); DESTDIR goes in front of that
install: program $(MANUALS)
	@install -d $(addprefix '$D'/,$(sort $(dir $(INSTALLED))))
	@install $B/lguest '$D/bin'
	@install -m 644 $B/guest $B/initrd.tar '$D/lib/lguest'
	@sed 's|@LIBDIR@|$(PREFIX)/lib/lguest|g; s|@DOCDIR@|$(PREFIX)/share/doc/lguest|g' \
	  $B/lguest.1 > '$D/share/man/man1/lguest.1'
	@chmod 644 '$D/share/man/man1/lguest.1'
	@install -m 644 $B/completion/lguest '$D/share/bash-completion/completions'
	@install -m 644 $B/completion/_lguest '$D/share/zsh/site-functions'
	@install -m 644 LICENSE '$D/share/doc/lguest'
	@if [ -e $B/book.pdf ]; then \
	  install -m 644 $B/book.pdf '$D/share/doc/lguest/lguest.pdf'; \
	else echo "install: no $B/book.pdf, so no book; make book builds it"; fi
	@rm -rf '$D/$(HTML_TO)'
	@for h in $B/html html; do if [ -e $$h/index.html ]; then \
	  cp -R $$h '$D/$(HTML_TO)' && chmod -R u=rwX,go=rX '$D/$(HTML_TO)'; \
	  break; fi; done
	@echo "  INSTALL $D"

## uninstall     the reverse, with the same PREFIX and DESTDIR
uninstall:
	@cd '$D' && rm -rf $(INSTALLED) $(HTML_TO) && \
	for d in $(sort $(dir $(INSTALLED))); do \
	  [ ! -d $$d ] || rmdir -p --ignore-fail-on-non-empty $$d; done

# ---- a release ------------------------------------------------------------------
.PHONY: dist
VERSION := $(shell sed -n 's/^\#define LGUEST_VERSION\t"\(.*\)"/\1/p' $(NW))
RELEASE = lguest-$(VERSION)
## dist          a release, build/lguest-VERSION.tar.gz, that builds without
##               noweb and TeX: what git knows, src, the book in both forms, the commit
dist: $B/book.pdf $B/html/index.html
	@rm -rf $B/dist && mkdir -p $B/dist/$(RELEASE)
	@$(GIT) ls-files -z | xargs -0 cp -P --parents -t $B/dist/$(RELEASE)
	@book/tangle --src $(NW) $B/dist/$(RELEASE)/src $(ROOTS)
	@rm -rf $B/dist/$(RELEASE)/src.orig
	@cp $< $B/dist/$(RELEASE)/lguest.pdf
	@cp -R $B/html $B/dist/$(RELEASE)
	@echo '$(COMMIT)' > $B/dist/$(RELEASE)/COMMIT
	@tar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner \
	  --mtime=@$(SOURCE_DATE_EPOCH) --mode=u=rwX,go=rX \
	  -C $B/dist -cf - $(RELEASE) | gzip -9n > $B/$(RELEASE).tar.gz
	@rm -rf $B/dist
	@echo "  DIST   $B/$(RELEASE).tar.gz"

## check         every test; ends with a line `N passed, N failed'
check: all $(if $(READY),,html slides) lguest32 \
	$(if $(shell command -v musl-gcc),lguest-musl) asan $B/attack $B/attack.tar
	@tests/run

## stress        half an hour of a Linux Guest (LGUEST_VMLINUX, LGUEST_INITRD)
stress: program
	@STRESS=$${STRESS:-1800} LIMIT=4000 tests/run tests/linux.t

## check-qemu    the selftest under another kernel, on other processors
check-qemu: program lguest-musl $B/attack
	@CHECK_QEMU=1 tests/run tests/qemu.t

## clean         remove build
clean:
	rm -rf $B tags TAGS compile_commands.json
