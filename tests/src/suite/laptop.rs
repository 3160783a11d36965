//! Suites `vm`, `doctor` and `handover`: each boots the virtual laptop once for all its cases.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use crate::{
    cases::doctor,
    handover, progress,
    report::{Case, Crashes, Line, Order},
    vm,
};

/// Boot and all cases.
const LIMIT: Duration = Duration::from_secs(900);
/// One move there and back, traffic before and after it included, in a virtual laptop that is emulated.
const ROUND: Duration = Duration::from_secs(40);

/// A kill of the agent and what comes after it, at worst.
const CRASH: Duration = Duration::from_secs(30);
/// What the whole of suite `handover` takes beside its moves; NetworkManager waits long for everything.
const FULL: Duration = Duration::from_secs(1800);

/// Suite `vm`.
pub(super) fn vm(filter: Option<&str>, crashes: Crashes) -> Result<Vec<Case>> {
    let order = Order::Test { only: filter.map(str::to_owned), crashes };
    run("vm", &order, LIMIT + CRASH * crashes.number).map(|(cases, _)| cases)
}

/// Suite `doctor`; shows what was named as a table.
pub(super) fn doctor(filter: Option<&str>) -> Result<Vec<Case>> {
    let order = Order::Doctor { only: filter.map(str::to_owned) };
    let (cases, out) = run("doctor", &order, LIMIT)?;
    println!("\n{}", fs::read_to_string(out.join(doctor::FILE))?);
    Ok(cases)
}

/// Suite `handover`: so many moves to Wi-Fi and back; shows what came out as a table.
pub(super) fn handover(filter: Option<&str>, extent: handover::Extent) -> Result<Vec<Case>> {
    let handover::Extent { moves, full } = extent;
    let order = Order::Handover { only: filter.map(str::to_owned), moves, full };
    let limit = LIMIT + ROUND * moves + if full { FULL } else { Duration::ZERO };
    let (cases, out) = run("handover", &order, limit)?;
    println!("\n{}", fs::read_to_string(out.join(handover::table::FILE))?);
    Ok(cases)
}

/// Boots, shows cases as they end, gives them and where the results are.
fn run(name: &str, order: &Order, limit: Duration) -> Result<(Vec<Case>, PathBuf)> {
    let mut cases = Vec::new();
    let mut broke = None;
    let run = vm::run(name, order, limit, |line| match line {
        Line::Case(case) => {
            super::show(&case);
            cases.push(case);
        }
        Line::Progress { what } => progress::note(&what),
        Line::Stopped(stopped) => broke = Some(stopped.text),
        _ => {}
    })?;
    if !run.good && cases.iter().all(|case| case.failure.is_none()) {
        bail!(
            "the virtual laptop failed outside its cases: {}\n{}",
            broke.unwrap_or_default(),
            run.out.display()
        );
    }
    Ok((cases, run.out))
}
