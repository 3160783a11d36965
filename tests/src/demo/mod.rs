//! `cargo lab demo`: one whole offload and return on a virtual laptop whose every part is real.
//!
//! This side boots the laptop and shows what it reports (`timeline`); `script` runs inside and makes the world
//! change; `steps` reads from the logs of the real programs what happened.

mod parts;
pub(crate) mod script;
pub(crate) mod steps;
mod timeline;

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    report::{Line, Order, Stopped, Traffic},
    vm, workshop,
    world::owner::Owner,
};

/// Longest demo, boot included; one that takes two minutes is slow.
const LIMIT: Duration = Duration::from_secs(360);

/// The one thing that is made wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Break {
    /// The WLAN card uses another address on the air than the one that the credential was made for.
    WrongMac,
    /// Somebody changes the password in the supplicant.
    WrongPassword,
    /// The packet gateway tells the portal nothing.
    NoGatewayFeed,
    /// The packet gateway says that the address belongs to another SIM.
    OtherImsi,
    /// The network in range has the operator's name and an AAA of its own.
    RogueAp,
}

/// One step of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The number in the patent's FIG. 2 or FIG. 6, or a word for what comes after it.
    pub(crate) id: String,
    /// Milliseconds since the agent started.
    pub(crate) at_ms: u64,
    /// What happened.
    pub(crate) what: String,
    /// What proves it, from the log of the part that did it.
    pub(crate) evidence: String,
}

/// Everything that a demo told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The timeline.
    pub(crate) steps: Vec<Step>,
    /// The traffic through the whole of it.
    pub(crate) traffic: Option<Traffic>,
    /// Real parts and their versions.
    pub(crate) parts: Vec<(String, String)>,
    /// Where it stopped.
    pub(crate) stopped: Option<Stopped>,
}

impl Told {
    /// Takes a line of the report.
    pub(crate) fn hear(&mut self, line: &Line) {
        match line {
            Line::Step(step) => self.steps.push(step.clone()),
            Line::Traffic(traffic) => self.traffic = Some(traffic.clone()),
            Line::Part { name, version } => self.parts.push((name.clone(), version.clone())),
            Line::Stopped(stopped) => self.stopped = Some(stopped.clone()),
            Line::Progress { .. } | Line::Case(_) | Line::End => {}
        }
    }
}

/// Runs it; true where all went well.
pub(crate) fn run(json: bool, broken: Option<Break>, owner: Option<Owner>, wispr: bool) -> Result<bool> {
    workshop::build()?;
    let mut told = Told::default();
    let show = timeline::Timeline::new(!json);
    show.title(broken, owner, wispr);
    let run = vm::run("demo", &Order::Demo { broken, owner, wispr }, LIMIT, |line| {
        told.hear(&line);
        show.line(&line);
    })?;
    told.steps.sort_by_key(|step| step.at_ms);
    told.parts.extend(parts::on_the_host());
    if json {
        println!("{}", timeline::json(&told, run.good));
    } else {
        show.end(&told, run.good, &run.out);
    }
    Ok(run.good)
}
