//! `portal-aaa doctor`: the chain of a running server, link by link, and the first one that is broken with what helps.
//!
//! `check` looks at what is on disk; this looks at what runs as well: the ports and who has them (`ports`), this machine's
//! clock, whether access points can be reached, whether packet gateways still speak, whether the message centre lets us
//! in (`peers`). Nothing is changed, and nothing that ends a session is sent. Exit status 1 where a link is broken.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::{
    Config,
    check::{self, Finding, Findings},
    installation::Installation,
};
use crate::{config::Settings, server::clock::Clock, store::Store as _};

mod peers;
mod ports;

/// Seconds that what is on record may be ahead of this machine's clock.
const AHEAD_SECS: u64 = 300;
/// The first release; no clock that is right says an earlier time (2026-11-01).
const RELEASED: u64 = 1_793_491_200;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// A link of the chain, and what was found about it; nothing where a link before it has to be mended first.
struct Link {
    name: &'static str,
    found: Vec<Finding>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<ExitCode> {
    let links = examine(options)?;
    let broken = links.iter().find_map(|link| {
        link.found
            .iter()
            .find(|finding| finding.verdict == check::Verdict::Problem)
            .map(|finding| (link.name, finding))
    });
    if options.json {
        let links: Vec<_> =
            links.iter().map(|link| json!({ "link": link.name, "found": link.found })).collect();
        let first = broken
            .map(|(name, finding)| json!({ "link": name, "what": finding.what, "remedy": finding.remedy }));
        writeln!(out, "{}", json!({ "links": links, "first_broken": first }))?;
    } else {
        for link in &links {
            for finding in &link.found {
                writeln!(out, "{:<14}{}", link.name, finding.to_string().replace("\n", "\n              "))?;
            }
            if link.found.is_empty() {
                writeln!(out, "{:<14}-        not looked at", link.name)?;
            }
        }
        match broken {
            None => writeln!(out, "\nNo broken link.")?,
            Some((name, finding)) => {
                let remedy = finding.remedy.as_deref().unwrap_or_default();
                writeln!(out, "\nThe first broken link is: {name}. {}\n→ {remedy}", finding.what)?;
            }
        }
    }
    Ok(if broken.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The chain in its order.
fn examine(options: &Options) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    let mut link = |name, look: &mut dyn FnMut(&mut Findings)| {
        let mut findings = Findings::default();
        look(&mut findings);
        let whole = findings.broken().is_none();
        links.push(Link { name, found: findings.0 });
        whole
    };
    let now = Clock::start().now().unix;
    let (path, mut settings) = (&options.config.path, None);
    link("configuration", &mut |findings| match Settings::load(path) {
        Ok(read) => {
            findings.good(path.display().to_string());
            settings = Some(read);
        }
        Err(error) => findings.problem(
            format!("it cannot be used\n{error}"),
            "correct the file; the one that `portal-aaa init` writes explains each key",
        ),
    });
    let Some(settings) = settings else {
        return Ok(rest(
            links,
            &["clock", "installation", "ports", "access points", "gateways", "message centre"],
        ));
    };
    link("clock", &mut |findings| clock(now, path, findings));
    // Keys, certificates and their dates, database, accounts: as `check` does.
    let sound = link("installation", &mut |findings| {
        check::installation(path, &settings, Duration::from_secs(now), findings);
    });
    link("ports", &mut |findings| ports::look(&settings, findings));
    match Installation::open(path) {
        Ok(installation) if sound => {
            link("access points", &mut |findings| peers::access_points(&installation, now, findings));
            link("gateways", &mut |findings| peers::gateways(&installation, now, findings));
        }
        _ => links = rest(links, &["access points", "gateways"]),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    let mut findings = Findings::default();
    runtime.block_on(peers::message_centre(settings.sms.as_ref(), &mut findings));
    links.push(Link { name: "message centre", found: findings.0 });
    Ok(links)
}

fn rest(mut links: Vec<Link>, names: &[&'static str]) -> Vec<Link> {
    links.extend(names.iter().map(|&name| Link { name, found: Vec::new() }));
    links
}

/// By what is on record: nobody else's clock is at hand where there is no network time.
fn clock(now: u64, path: &std::path::Path, findings: &mut Findings) {
    let remedy = "set it, and have it kept by chrony or systemd-timesyncd: lifetimes and certificates are judged by it";
    let newest = Installation::open(path).ok().and_then(|installation| {
        let newest = installation.store.credentials(&crate::store::rotation::Which::All, 1).ok()?;
        newest.first().map(|record| record.issued_at)
    });
    match newest {
        _ if now < RELEASED => {
            findings.problem("this machine's clock is before the day of this release", remedy)
        }
        Some(newest) if newest > now + AHEAD_SECS => {
            let behind = newest - now;
            findings.problem(format!("the newest credential is of a time {behind} s from now"), remedy);
        }
        _ => findings.good("not before anything on record"),
    }
}
