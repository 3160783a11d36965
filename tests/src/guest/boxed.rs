//! The inside of suites `modem`, `wispr` and `matrix`: a private copy of what a daemon touches, in the namespaces that
//! `unshare` made.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};

use crate::{
    cases, matrix,
    report::{Line, Reporter},
    world::{Feed, Options},
};

/// Folders that get a private layer over the machine's own: nothing written there survives.
const LAYERED: [&str; 2] = ["/etc", "/var/lib"];

/// Runs the suite of this name; true where all cases are good. Standard output is the report.
pub(crate) fn run(suite: &str, only: Option<&str>, programs: &Path, out: &Path) -> Result<bool> {
    let reporter = Reporter::new(io::stdout());
    match suite {
        "modem" => world(cases::modem, only, programs, out, &reporter),
        "wispr" => world(cases::wispr::run, only, programs, out, &reporter),
        "matrix" => matrix::inside(only, out, &reporter),
        _ => bail!("no suite {suite} runs in namespaces"),
    }
}

/// A suite that makes a world of its own.
fn world(
    run: fn(Option<&str>, &Options, &Reporter) -> Result<bool>,
    only: Option<&str>,
    programs: &Path,
    out: &Path,
    reporter: &Reporter,
) -> Result<bool> {
    private_folders()?;
    let options = Options {
        feed: Feed::Honest,
        radio: false,
        programs: programs.to_owned(),
        work: PathBuf::from("/run/lab"),
        out: out.to_owned(),
    };
    let good = run(only, &options, reporter)?;
    reporter.send(&Line::End);
    Ok(good)
}

fn private_folders() -> Result<()> {
    // unshare has made all mounts private: nothing of this is seen outside.
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).context("a private /run")?;
    // This namespace's interfaces, not the machine's.
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>).context("a private /sys")?;
    for folder in ["/run/netns", "/run/lock", "/run/dbus", "/run/lab"] {
        fs::create_dir_all(folder)?;
    }
    for (number, folder) in LAYERED.iter().enumerate() {
        let layer = format!("/run/layer-{number}");
        let (upper, work) = (format!("{layer}/upper"), format!("{layer}/work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let options = format!("lowerdir={folder},upperdir={upper},workdir={work}");
        mount(Some("overlay"), *folder, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("a private {folder}"))?;
    }
    Ok(())
}
