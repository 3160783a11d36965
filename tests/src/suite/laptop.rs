//! Suite `vm`: boots the virtual laptop once for all its cases.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    progress,
    report::{Case, Line, Order},
    vm,
};

/// Boot and all cases.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs it.
pub(super) fn vm(filter: Option<&str>) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut broke = None;
    let order = Order::Test { only: filter.map(str::to_owned) };
    let run = vm::run("vm", &order, LIMIT, |line| match line {
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
    Ok(cases)
}
