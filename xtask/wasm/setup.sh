#!/usr/bin/env bash
# Makes the tools for wasm32-unknown-unknown, for `cargo xtask wasm`:
#
#     setup.sh DIR BINDGEN_VERSION [--rust]
#
# DIR/bindgen-VERSION is wasm-bindgen of the version in Cargo.lock. With --rust, for a toolchain without the target whose
# rustup cannot download it, DIR/root is a compiler of Debian's with the target's standard library. Nothing is installed:
# packages are unpacked in DIR. About 200 MB are downloaded, DIR takes 1.2 GB, and it takes four minutes.
set -euo pipefail
DIR=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
VERSION=${2:?version of wasm-bindgen}
TARGET=wasm32-unknown-unknown
# Debian's package names carry the versions of the compiler and of LLVM.
RUST=1.96
LLVM=22

fail() {
    echo "setup.sh: $*" >&2
    exit 1
}

rust() {
    local root=$DIR/root packages
    if [ ! -x "$root/usr/bin/rustc" ]; then
        command -v apt-get > /dev/null ||
            fail "this is no Debian: install the target with \`rustup target add $TARGET\`"
        apt-get update -qq || fail "Debian's package lists cannot be fetched"
        packages="rustc-web cargo-web rust-web-src libstd-rust-web-$RUST libstd-rust-web-dev
            lld-$LLVM libllvm$LLVM libgit2-1.5 libhttp-parser2.9 libmbedtls14 libmbedx509-1 libmbedcrypto7"
        for package in $packages; do
            apt-cache show "$package" > /dev/null 2>&1 ||
                fail "Debian has no package $package: it may have moved on to another compiler than $RUST or another" \
                    "LLVM than $LLVM. Set RUST and LLVM in xtask/wasm/setup.sh to what \`apt-cache depends rustc-web\`" \
                    "shows, or install the target with \`rustup target add $TARGET\`"
        done
        rm -rf "$DIR/packages" "$root.new"
        mkdir -p "$DIR/packages" "$root.new"
        # shellcheck disable=SC2086
        (cd "$DIR/packages" && apt-get download -qq $packages) || fail "Debian's packages cannot be downloaded"
        for package in "$DIR"/packages/*.deb; do dpkg -x "$package" "$root.new"; done
        rm -rf "$DIR/packages"
        mv "$root.new" "$root"
    fi
    cat > "$DIR/env.sh" << ENV
export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/llvm-$LLVM/lib
export RUSTC=$root/usr/bin/rustc
export CARGO=$root/usr/bin/cargo
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$root/usr/lib/llvm-$LLVM/bin/wasm-ld
ENV

    local lib=$root/usr/lib/rustlib/$TARGET/lib seed=$DIR/seed
    if ! ls "$lib"/libstd-*.rlib > /dev/null 2>&1; then
        rm -rf "$seed"
        mkdir -p "$seed/src" "$lib"
        printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' > "$seed/Cargo.toml"
        : > "$seed/src/lib.rs"
        (
            # shellcheck disable=SC1091
            . "$DIR/env.sh"
            cd "$seed"
            # With bitcode, so that programs can be optimized as a whole.
            RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$seed/target \
                CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=-Cembed-bitcode=yes \
                "$CARGO" build --release --target $TARGET -Zbuild-std=std,panic_abort
        ) || fail "the standard library for $TARGET cannot be built"
        find "$seed/target/$TARGET/release/deps" -name 'lib*.rlib' ! -name 'libseed*' -exec cp -t "$lib" {} +
        rm -rf "$seed"
    fi
}

bindgen() {
    local made=$DIR/bindgen-$VERSION source=$DIR/bindgen-source
    [ ! -x "$made" ] || return 0
    rm -rf "$source"
    mkdir -p "$source/src"
    cat > "$source/Cargo.toml" << TOML
[package]
name = "bindgen"
version = "0.0.0"
edition = "2021"
[dependencies]
anyhow = "1"
wasm-bindgen-cli-support = "=$VERSION"
[profile.dev]
opt-level = 1
debug = 0
[workspace]
TOML
    cat > "$source/src/main.rs" << 'RUST'
fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, kind, input, output] = words.as_slice() else {
        anyhow::bail!("usage: bindgen web|bundler IN.wasm OUT");
    };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(input).typescript(false);
    match kind.as_str() {
        "web" => bindgen.web(true)?.omit_default_module_path(false),
        "bundler" => bindgen.bundler(true)?,
        other => anyhow::bail!("there is no kind {other}"),
    };
    bindgen.generate(output)
}
RUST
    CARGO_TARGET_DIR=$source/target cargo build --manifest-path "$source/Cargo.toml" ||
        fail "wasm-bindgen $VERSION cannot be built"
    cp "$source/target/debug/bindgen" "$made"
    rm -rf "$source"
}

if [ "${3:-}" = --rust ]; then rust; fi
bindgen
