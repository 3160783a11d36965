//! What process 1 does for each order.

use std::path::PathBuf;

use anyhow::Result;

use super::OUT;
use crate::{
    cases,
    demo::script,
    handover,
    report::{Order, Reporter},
    world::{Feed, Options},
};

/// Carries the order out; false where something that was asked for is not so.
pub(crate) fn run(order: &Order, reporter: &Reporter) -> Result<bool> {
    let options = Options {
        feed: Feed::Honest,
        radio: true,
        programs: PathBuf::from("/usr/bin"),
        work: PathBuf::from("/run/lab"),
        out: PathBuf::from(OUT),
    };
    match order {
        Order::Demo { broken, owner, wispr } => script::run(*broken, *owner, *wispr, &options, reporter),
        Order::Handover { only, moves, full } => {
            let extent = handover::Extent { moves: *moves, full: *full };
            handover::run(only.as_deref(), extent, &options, reporter)
        }
        Order::Doctor { only } => cases::doctor::run(only.as_deref(), &options, reporter),
        Order::Test { only, crashes } => cases::vm(only.as_deref(), *crashes, &options, reporter),
    }
}
