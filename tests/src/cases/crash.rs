//! The agent is killed at random moments of its whole life, and started again as systemd would.
//!
//! A life here is: a first start without a credential, into the cell, out of it (after which the policy wants a new
//! credential), and starts in between. After each kill: the credential that was had is still had, traffic flows again
//! soon, and in the end the kernel's picture is, line by line, what a life without kills shows in the same place.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::rounds;
use crate::{
    atsim::Order,
    clock,
    report::{Crashes, Reporter},
    text::{Follower, tail},
    world::{World, ap, picture::Picture},
};

/// Short times, so that many lives fit into minutes. A new credential after each return: the last part of a life.
const POLICY: [(&str, &str); 4] =
    [("dwell-secs", "0"), ("penalty-secs", "1"), ("drain-secs", "1"), ("renew-after-return", "true")];
/// As `world/core.rs` has it, for the cases after this.
const POLICY_BEFORE: [(&str, &str); 4] =
    [("dwell-secs", "1"), ("penalty-secs", "2"), ("drain-secs", "60"), ("renew-after-return", "false")];
/// From the start after a kill to traffic by cellular or Wi-Fi.
const CARRIES: Duration = Duration::from_secs(20);
/// From there to the picture of a life without kills.
const SETTLED: Duration = Duration::from_secs(60);
/// The agent begins a move within that time, mostly.
const BEGINS: Duration = Duration::from_secs(10);
/// What stays that long is how it is.
const UNCHANGED: Duration = Duration::from_secs(3);
/// Something shows the picture: it starts some programs.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Failures that are told; more have the same cause.
const ENOUGH: usize = 5;
/// From so many kills on each state must have been met.
const MANY: u32 = 100;

/// The case.
pub(super) fn killed(world: &mut World, reporter: &Reporter, crashes: Crashes) -> Result<()> {
    reporter.progress(&format!("{} kills, --seed {}", crashes.number, crashes.seed));
    world.agent.daemon.stop()?;
    let found = Picture::take()?;
    ensure!(found.is_untouched(), "the agent, stopped in good order, has left something:\n{found}");
    world.core.set_policy(&POLICY)?;
    // The portal is started anew and hears of a session when it begins.
    world.cellular.modem.simulator.order(&Order::DropSession);
    world.agent.lay_over(Some("[offload]\nreturn-drain-secs = 1\n"))?;
    let killed = lives(world, reporter, crashes).with_context(|| format!("--seed {}", crashes.seed));
    world.agent.daemon.stop()?;
    let left = Picture::take()?;
    world.agent.lay_over(None)?;
    world.core.set_policy(&POLICY_BEFORE)?;
    world.cellular.modem.simulator.order(&Order::DropSession);
    world.agent.forget()?;
    killed?;
    ensure!(left == found, "not as found:\n{}", found.difference(&left));
    let ledger = Path::new("/run/wifi-offload/links.json");
    ensure!(!ledger.exists(), "{} is left", ledger.display());
    rounds::quick(world)
}

fn lives(world: &mut World, reporter: &Reporter, crashes: Crashes) -> Result<()> {
    let mut life = Life::begin(world)?;
    let mut random = Random(crashes.seed);
    let mut seen = Seen::default();
    let mut failures = Vec::new();
    for number in 1..=crashes.number {
        let moment = Moment::choose(&mut random);
        if let Err(error) = life.point(world, &moment, &mut seen) {
            let text = format!("kill {number}, {moment:?}: {error:?}");
            reporter.progress(&text);
            failures.push(text);
            if failures.len() >= ENOUGH {
                bail!("{}", failures.join("\n\n"));
            }
            life.fresh(world, false)?;
        }
        if number.is_multiple_of(20) || number == crashes.number {
            reporter.progress(&format!("{number} kills: {}", seen.text()));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    if crashes.number >= MANY {
        for state in ["attached", "provisioning", "armed", "joining", "verifying", "offloaded", "returning"] {
            ensure!(seen.states.contains_key(state), "no kill met {state}");
        }
    }
    Ok(())
}

/// What leads up to a kill.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// A first start: nothing is known.
    First,
    /// Into the cell, or out of it, once the agent has begun to do something about that.
    Move,
    /// A start after another kill.
    Start,
}

/// A kill so long after it.
#[derive(Debug)]
struct Moment {
    cause: Cause,
    after: Duration,
    /// For a first start: whether it is in the cell.
    near: bool,
}

impl Moment {
    fn choose(random: &mut Random) -> Self {
        let (cause, longest) = match random.below(10) {
            0 | 1 => (Cause::First, 4_000),
            2 | 3 => (Cause::Start, 2_000),
            _ => (Cause::Move, 4_000),
        };
        Self { cause, after: Duration::from_millis(random.below(longest)), near: random.below(2) == 0 }
    }
}

/// A life that is ended again and again.
struct Life {
    log: Follower,
    /// As the log told last.
    state: String,
    /// A credential has come, so one must be there.
    had: bool,
    near: bool,
    /// Of a life without kills: out of the cell, and in it.
    armed: Picture,
    offloaded: Picture,
}

impl Life {
    /// A life without kills, which shows how it should be.
    fn begin(world: &mut World) -> Result<Self> {
        let nothing = Picture::default();
        let log = Follower::from_now(world.agent.daemon.log());
        let mut life = Self {
            log,
            state: String::new(),
            had: false,
            near: false,
            armed: nothing.clone(),
            offloaded: nothing,
        };
        life.fresh(world, false)?;
        world.agent.wait_event("credential-installed", rounds::ARMED)?;
        life.armed = lasting()?;
        ensure!(!life.armed.is_untouched(), "the agent does nothing:\n{}", life.armed);
        life.to(world, true)?;
        world.agent.wait_event("cellular-down", rounds::OFFLOADED)?;
        life.offloaded = lasting()?;
        life.to(world, false)?;
        life.settles()?;
        Ok(life)
    }

    /// One kill, and what must be so after it.
    fn point(&mut self, world: &mut World, moment: &Moment, seen: &mut Seen) -> Result<()> {
        match moment.cause {
            Cause::First => self.fresh(world, moment.near)?,
            Cause::Move => {
                self.read()?;
                self.to(world, !self.near)?;
                self.moves()?;
            }
            Cause::Start => {
                world.agent.daemon.kill()?;
                world.agent.start()?;
            }
        }
        clock::pause(moment.after);
        world.agent.daemon.kill()?;
        self.read()?;
        seen.state(&self.state);
        let began = clock::now();
        self.state.clear();
        world.agent.start()?;
        let checked = self.check(world, began, seen);
        checked.with_context(|| tail(world.agent.daemon.log(), 40))
    }

    fn check(&mut self, world: &mut World, began: Instant, seen: &mut Seen) -> Result<()> {
        if self.had {
            let status = clock::until("the agent answers", CARRIES, || Ok(world.agent.status().ok()))?;
            ensure!(
                status.get("credential").is_some_and(Value::is_object),
                "the credential is lost: {status}"
            );
        }
        clock::until("traffic flows again", CARRIES, || {
            world.agent.daemon.must_run()?;
            Ok(world.internet_connects().then_some(()))
        })?;
        seen.carried.push(began.elapsed());
        self.settles()?;
        seen.settled.push(began.elapsed());
        self.read()
    }

    /// A first start, with nothing known.
    fn fresh(&mut self, world: &mut World, near: bool) -> Result<()> {
        world.agent.daemon.stop()?;
        world.agent.forget()?;
        self.read()?;
        (self.had, self.state) = (false, String::new());
        self.to(world, near)?;
        world.agent.start()
    }

    /// Into the cell, or out of it: it fades, as on a walk.
    fn to(&mut self, world: &World, near: bool) -> Result<()> {
        let radio = &world.ap()?.radio;
        radio.heard_at(if near { ap::NEAR } else { FADED })?;
        radio.in_range(true)?;
        self.near = near;
        Ok(())
    }

    /// Until the agent changes its state, if it does soon; else it is killed where it is.
    fn moves(&mut self) -> Result<()> {
        let before = self.state.clone();
        let deadline = clock::now() + BEGINS;
        while self.state == before && clock::now() < deadline {
            clock::pause(LOOK_EVERY);
            self.read()?;
        }
        Ok(())
    }

    /// Until everything is as in a life without kills.
    fn settles(&self) -> Result<()> {
        let wanted = if self.near { &self.offloaded } else { &self.armed };
        let mut last = Picture::default();
        clock::until_every(LOOK_EVERY, "the kernel's picture is as it should be", SETTLED, || {
            last = Picture::take()?;
            Ok((last == *wanted).then_some(()))
        })
        .with_context(|| wanted.difference(&last))
    }

    fn read(&mut self) -> Result<()> {
        for line in self.log.lines()? {
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            match event.get("event").and_then(Value::as_str) {
                Some("state") => {
                    self.state = event.get("to").and_then(Value::as_str).unwrap_or_default().to_owned();
                }
                Some("credential-received") => self.had = true,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The picture once nothing has changed in it for a while: the rules that let old flows drain go a moment after the link.
fn lasting() -> Result<Picture> {
    let (mut last, mut since) = (Picture::take()?, clock::now());
    clock::until_every(LOOK_EVERY, "the kernel's picture stays as it is", SETTLED, || {
        let now = Picture::take()?;
        if now != last {
            (last, since) = (now, clock::now());
        }
        Ok((since.elapsed() >= UNCHANGED).then(|| last.clone()))
    })
}

/// Under the policy's leave-dbm, and still heard.
const FADED: i32 = -85;

/// What the kills met, and what came after them.
#[derive(Default)]
struct Seen {
    states: BTreeMap<String, u32>,
    carried: Vec<Duration>,
    settled: Vec<Duration>,
}

impl Seen {
    fn state(&mut self, state: &str) {
        let state = if state.is_empty() { "starting" } else { state };
        *self.states.entry(state.to_owned()).or_default() += 1;
    }

    fn text(&self) -> String {
        let mut text = String::from("in");
        for (state, times) in &self.states {
            let _ = write!(text, " {state} {times},");
        }
        for (what, times) in [("traffic", &self.carried), ("settled", &self.settled)] {
            let mut times = times.clone();
            times.sort();
            let middle = times.get(times.len() / 2).copied().unwrap_or_default();
            let last = times.last().copied().unwrap_or_default();
            let _ = write!(
                text,
                " {what} after {:.1} s (at most {:.1});",
                middle.as_secs_f32(),
                last.as_secs_f32()
            );
        }
        text
    }
}

/// SplitMix64: enough for moments.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_moments_and_they_are_spread() {
        let moments = |seed| {
            let mut random = Random(seed);
            (0..200).map(|_| format!("{:?}", Moment::choose(&mut random))).collect::<Vec<_>>()
        };
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
        for cause in ["First", "Move", "Start"] {
            assert!(moments(7).iter().filter(|moment| moment.contains(cause)).count() > 20);
        }
    }
}
