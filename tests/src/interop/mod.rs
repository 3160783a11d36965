//! Suite `aaa-interop`: programs of other hands against `portal-aaa` as an operator runs it, all on loopback.
//!
//! Every case is independent of the others (credentials, station and files of its own) and several run at a time: a
//! login is mostly waiting for processes to start. What the peer itself cannot do is no failure, and no silent pass
//! either: the case says so in the peer's own words, and the suite lists it at its end.

mod accounts;
mod bare;
mod bed;
mod front;
mod home;
mod leaks;
mod matrix;
mod refusals;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::{clock, packages, report::Case, workshop};
use bed::Bed;

/// Cases at a time.
const AT_A_TIME: usize = 6;

/// What a case found that the peer cannot do.
type Limits = Vec<String>;

/// What a case does.
type Work = dyn Fn(&Bed) -> Result<Limits> + Send + Sync;

/// One case.
struct Task {
    name: String,
    run: Box<Work>,
}

impl Task {
    fn new(name: impl Into<String>, run: impl Fn(&Bed) -> Result<Limits> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Runs all cases, or those whose name contains the filter; `show` tells of each as it ends.
pub(crate) fn run(filter: Option<&str>, show: fn(&Case)) -> Result<Vec<Case>> {
    packages::ensure(packages::AAA)?;
    let mut tasks = matrix::tasks();
    tasks.extend(refusals::tasks());
    tasks.extend(accounts::tasks());
    tasks.extend(bare::tasks());
    tasks.extend(front::tasks());
    tasks.extend(home::tasks());
    tasks.extend(leaks::tasks());
    tasks.retain(|task| filter.is_none_or(|filter| task.name.contains(filter)));
    if tasks.is_empty() {
        bail!("no case of that name");
    }
    let mut bed = Bed::make(&workshop::out("aaa-interop")?)?;
    let cases = all(&tasks, &bed, show)?;
    bed.end().context("after the last case")?;
    Ok(cases)
}

fn all(tasks: &[Task], bed: &Bed, show: fn(&Case)) -> Result<Vec<Case>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = one(task, bed);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    show(&case);
                    done.push(case);
                }
            });
        }
    });
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn one(task: &Task, bed: &Bed) -> Case {
    let began = clock::now();
    let outcome = (task.run)(bed);
    let secs = began.elapsed().as_secs_f32();
    match outcome {
        Ok(limits) => Case { name: task.name.clone(), failure: None, secs, limits },
        Err(error) => Case { failure: Some(format!("{error:#}")), ..Case::good(&task.name, secs) },
    }
}
