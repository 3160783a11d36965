//! `cargo lab package`: both Debian packages, by cargo-deb.
//!
//! What goes into them stands in `[package.metadata.deb]` of each program's Cargo.toml.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use crate::{progress, workshop};

/// The tool, pinned: its Cargo.toml keys change now and then.
const CARGO_DEB: &str = "3.8.0";
/// Crates that become packages.
const CRATES: [&str; 2] = ["wifi-offload-agent", "portal-aaa"];

/// Builds them and says where they are.
pub(crate) fn run() -> Result<()> {
    let tool = cargo_deb()?;
    workshop::build_shipped(&CRATES)?;
    let folder = workshop::out("packages")?;
    for name in CRATES {
        progress::step(&format!("package {name}"), || {
            let mut deb = Command::new(&tool);
            // `cargo deb` is started as a subcommand, which passes its own name.
            deb.args(["deb", "--no-build", "--profile", "dist", "--package", name, "--output"]).arg(&folder);
            workshop::run(deb.current_dir(workshop::root()))
        })?;
    }
    let mut made = Vec::new();
    for entry in fs::read_dir(&folder)? {
        made.push(entry?.path());
    }
    made.sort();
    ensure!(made.len() == CRATES.len(), "{} packages in {}", made.len(), folder.display());
    for path in made {
        println!("{}", path.display());
    }
    Ok(())
}

/// Built once into the cache, for this machine only.
fn cargo_deb() -> Result<PathBuf> {
    let root = workshop::cache("tools")?;
    let program = root.join("bin/cargo-deb");
    if !program.exists() {
        eprintln!("  ◌ build cargo-deb {CARGO_DEB}, once");
        let root = root.display().to_string();
        workshop::cargo(&["install", "--locked", "--root", &root, "--version", CARGO_DEB, "cargo-deb"])?;
    }
    Ok(program)
}
