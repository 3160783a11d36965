//! Where things lie and how the project's own programs are built.
//!
//! Everything that the lab downloads, builds or writes is under Cargo's target folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Our programs, as `cargo build` leaves them.
pub(crate) const PROGRAMS: [&str; 4] = ["portal-aaa", "wifi-offloadd", "offloadctl", "lab"];

/// The checkout's root: the folder above this crate's.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// One of our built programs.
pub(crate) fn program(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// Kept from run to run.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    folder(target().join("lab").join(name))
}

/// Results of one run, emptied first.
pub(crate) fn out(name: &str) -> Result<PathBuf> {
    let path = target().join("lab/out").join(name);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| format!("empty {}", path.display()))?;
    }
    folder(path)
}

/// Builds every program of the workspace as tests and demo use them; Cargo shows its own progress.
pub(crate) fn build() -> Result<()> {
    eprintln!("  ◌ build the programs (cargo build --release)");
    cargo(&["build", "--release", "--workspace", "--bins"])
}

/// One of our programs as it is shipped.
pub(crate) fn shipped(name: &str) -> PathBuf {
    target().join("dist").join(name)
}

/// Builds what is shipped of these crates, with whole-program optimisation.
pub(crate) fn build_shipped(crates: &[&str]) -> Result<()> {
    eprintln!("  ◌ build what is shipped (cargo build --profile dist): some minutes the first time");
    let packages = crates.iter().flat_map(|name| ["--package", name]);
    let arguments: Vec<_> = ["build", "--profile", "dist", "--bins"].into_iter().chain(packages).collect();
    cargo(&arguments)
}

/// Cargo, as a person starts it. `cargo run` tells us of our own package, and ring's build script is run again, with all
/// that stands on ring, wherever that is another's than the last time.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs Cargo in the checkout with our standard error.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    let status = cargo_command()
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("cargo {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

/// Runs an outside program to its end; its output becomes the error where it fails.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout).trim(),
            String::from_utf8_lossy(&output.stderr).trim(),
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn folder(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
    Ok(path)
}
