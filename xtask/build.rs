//! Hands the host's target triple to the program: coverage flags must not reach build scripts, so fuzzing names its target.

fn main() {
    println!(
        "cargo::rustc-env=KHAMAR_TARGET={}",
        std::env::var("TARGET").expect("cargo sets TARGET for build scripts")
    );
    println!("cargo::rerun-if-changed=build.rs");
}
