//! Signal traces: somebody walks away, drives past, stands at the edge. How often does traffic move, how long is it on
//! the better link, what is lost?
//!
//! The better link is Wi-Fi while the access point is heard at the policy's enter-dbm or above, else cellular.

use std::{
    f64::consts::TAU,
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    ground::{self, MOVING, on_wlan},
    table::{Table, Who},
};
use crate::{
    clock,
    report::Reporter,
    traffic::Socket,
    world::{World, netns::Netns, network_manager::NetworkManager, plan},
};

/// The policy's enter-dbm.
const ENTER: f64 = -65.0;
/// How often the level changes.
const STRIDE: Duration = Duration::from_millis(250);
/// The share of time is counted in steps of this.
const STEP: Duration = Duration::from_millis(100);
/// A share may be so much less than NetworkManager's: the machine stands still now and then.
const SLACK: f64 = 0.05;
/// Times of the policy here, seconds: those of a device in the field, and not the shortest that there are.
const DWELL: u32 = 2;
const PENALTY: u32 = 10;
/// NetworkManager lets go of a lost access point after 15 s and more.
const LETS_GO: Duration = Duration::from_secs(90);

/// How an access point is heard, over time.
struct Trace {
    name: &'static str,
    /// Where traffic is when it begins.
    on_wifi: bool,
    /// dBm, by seconds.
    level: fn(f64) -> f64,
    /// How long it is heard, and how long not any more after that.
    heard: Duration,
    silent: Duration,
    /// Moves that the agent may make.
    moves: usize,
}

const HOVERING: Trace = Trace {
    name: "hovering (−68 ± 6 dBm, a wave in 8 s, 60 s)",
    on_wifi: true,
    level: hover,
    heard: Duration::from_secs(60),
    silent: Duration::ZERO,
    moves: 1,
};

/// The same in less time.
const HOVERING_SHORT: Trace =
    Trace {
        name: "hovering (−68 ± 6 dBm, a wave in 8 s, 16 s)", heard: Duration::from_secs(16), ..HOVERING
    };

const WALK_AWAY: Trace = Trace {
    name: "walk-away (−50 to −90 dBm in 40 s, then 10 s of silence)",
    on_wifi: true,
    level: |secs| -50.0 - secs,
    heard: Duration::from_secs(40),
    silent: Duration::from_secs(10),
    moves: 1,
};

const DRIVE_BY: Trace = Trace {
    name: "drive-by (−90 to −50 and back in 15 s, then 10 s of silence)",
    on_wifi: false,
    level: |secs| -50.0 - (secs - 7.5).abs() * 40.0 / 7.5,
    heard: Duration::from_secs(15),
    silent: Duration::from_secs(10),
    moves: 2,
};

fn hover(secs: f64) -> f64 {
    -68.0 + 6.0 * (secs * TAU / 8.0).sin()
}

/// What came of one.
struct Seen {
    moves: usize,
    share: f64,
    lost: u64,
}

/// The agent's, and NetworkManager's where `all` are wanted.
pub(super) fn traces(world: &mut World, reporter: &Reporter, all: bool, table: &mut Table) -> Result<()> {
    let wanted: &[Trace] = if all { &[HOVERING, WALK_AWAY, DRIVE_BY] } else { &[HOVERING_SHORT] };
    ground::begin_with(world, "standby", DWELL, PENALTY)?;
    let mut agent = Vec::new();
    for trace in wanted {
        if trace.on_wifi {
            ground::on_wifi(world)?;
        }
        let seen = trace.play(world)?;
        reporter.progress(&format!("{}: {} moves", trace.name, seen.moves));
        trace.show(table, Who::Agent, &seen);
        agent.push(seen);
        ground::leave(world)?;
    }
    for (trace, seen) in wanted.iter().zip(&agent) {
        ensure!(seen.moves <= trace.moves, "{}: {} moves, that is flapping", trace.name, seen.moves);
    }
    if !all {
        return Ok(());
    }
    let mut manager = world.network_manager()?;
    for (trace, own) in wanted.iter().zip(&agent) {
        let seen = trace.play_to(&mut manager, world)?;
        reporter.progress(&format!("{}: NetworkManager, {} moves", trace.name, seen.moves));
        trace.show(table, Who::NetworkManager, &seen);
        ensure!(
            own.share + SLACK >= seen.share,
            "{}: on the better link for {:.0} % of the time, NetworkManager for {:.0} %",
            trace.name,
            own.share * 100.0,
            seen.share * 100.0
        );
    }
    Ok(())
}

impl Trace {
    fn play_to(&self, manager: &mut NetworkManager, world: &World) -> Result<Seen> {
        manager.waits_for_route(world, "default", LETS_GO)?;
        if self.on_wifi {
            manager.on_wifi(world)?;
        } else {
            world.ap()?.radio.in_range(false)?;
            manager.waits_for_route(world, plan::STAND_IN, LETS_GO)?;
        }
        self.play(world)
    }

    /// Plays it to whoever has the laptop.
    fn play(&self, world: &World) -> Result<Seen> {
        let echo = world.internet.echo(&Netns::here(), Socket::Free)?;
        clock::until("packets arrive", MOVING, || {
            Ok((!world.internet.history(&echo).is_empty()).then_some(()))
        })?;
        let began = clock::now();
        for step in 0u32.. {
            let at = STRIDE * step;
            if at >= self.heard {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "dBm, -90 to -50")]
            world.ap()?.radio.heard_at((self.level)(at.as_secs_f64()).round() as i32)?;
            if step == 0 {
                world.ap()?.radio.in_range(true)?;
            }
            clock::pause((at + STRIDE).saturating_sub(began.elapsed()));
        }
        if !self.silent.is_zero() {
            world.ap()?.radio.in_range(false)?;
            clock::pause((self.heard + self.silent).saturating_sub(began.elapsed()));
        }
        let history = world.internet.history(&echo);
        let lost = echo.finish()?.lost;
        let moves = history.iter().filter(|(at, _)| *at > began).count();
        Ok(Seen { moves, share: self.share(&history, began), lost })
    }

    /// The share of time in which packets came by the better link.
    fn share(&self, history: &[(Instant, IpAddr)], began: Instant) -> f64 {
        let (mut good, mut all) = (0.0, 0.0);
        let mut at = Duration::ZERO;
        while at < self.heard + self.silent {
            let better = at < self.heard && (self.level)(at.as_secs_f64()) >= ENTER;
            let used = history.iter().rfind(|(since, _)| *since <= began + at);
            if used.is_some_and(|(_, from)| on_wlan(*from)) == better {
                good += 1.0;
            }
            all += 1.0;
            at += STEP;
        }
        good / all
    }

    fn show(&self, table: &mut Table, who: Who, seen: &Seen) {
        let found = format!(
            "{} moves, {:.0} % of the time on the better link, {} packets lost",
            seen.moves,
            seen.share * 100.0,
            seen.lost
        );
        let what = format!("{}; the better link is Wi-Fi from {ENTER} dBm on, else cellular", self.name);
        match who {
            Who::Agent => {
                let wanted = format!("{} moves at most, no less on the better link than others", self.moves);
                table.add(&what, found, &wanted);
            }
            _ => table.put(who, &what, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_better_link() {
        let began = clock::now();
        let after = |secs| began + Duration::from_secs(secs);
        let [wlan, cellular]: [IpAddr; 2] = ["10.9.0.100", "10.64.0.2"].map(|text| text.parse().unwrap());
        // Wi-Fi is better for the first 15 of 50 seconds.
        let stays = [(began, wlan)];
        let leaves = [(began, wlan), (after(15), cellular)];
        assert!((WALK_AWAY.share(&stays, began) - 0.3).abs() < 0.01);
        assert!(WALK_AWAY.share(&leaves, began) > 0.99);
        assert!(DRIVE_BY.share(&[(began, cellular)], began) < 0.8);
    }
}
