//! Many moves there and back under traffic. What is counted is the same whoever makes them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{
    arrival::{Arrival, Watch},
    ground::{self, Flows, MOVING, SILENT, Suffered},
    table::{Table, Who, spread},
};
use crate::{
    report::Reporter,
    text::Follower,
    traffic::{Asked, Carried, Download, Downloaded, Questions},
    world::{World, netns::Netns, plan},
};

/// A gap may be so much longer than the flow's own jitter just before.
const GAP: Duration = Duration::from_millis(100);
/// Under the policy's leave-dbm, and still heard well enough that nothing is lost for that.
const FADED: i32 = -80;
/// Octets a second of the MPTCP download that runs through all moves.
const RATE: u32 = 20_000;

/// Cellular stands by: nothing may be lost.
pub(super) fn standby(world: &mut World, reporter: &Reporter, moves: u32, table: &mut Table) -> Result<()> {
    let mut logins = Follower::from_now(world.core.portal_aaa.log());
    let round = agent(world, reporter, "standby", moves)?;
    round.show(table, "standby", Who::Agent);
    let logins = logins.lines()?.iter().filter(|line| line.contains("\"login-accepted\"")).count();
    table.add(
        "standby: full logins at the AAA in all moves (the others by a cached key, PMKSA)",
        format!("{logins} in {moves}"),
        "1 at most",
    );
    for (which, moved) in round.moves.iter().enumerate() {
        let Suffered { lost, gap, jitter, tcp } = &moved.suffered;
        let what = format!(
            "move {which} {}: lost {lost:?}, gap {gap:?} (jitter {jitter:?}), {tcp:?}\n{}",
            moved.to, moved.log
        );
        ensure!(*lost == [0, 0], "packets were lost. {what}");
        ensure!(*gap <= *jitter + GAP, "a long gap. {what}");
        ensure!(tcp.intact && tcp.resets == 0, "a connection that was open has suffered. {what}");
    }
    ensure!(round.mptcp.intact && round.mptcp.resets == 0, "MPTCP suffered: {:?}", round.mptcp);
    ensure!(
        logins <= 1,
        "{logins} full logins in {moves} joins with one credential: the PMKSA cache was lost"
    );
    Ok(())
}

/// Cellular is disconnected after the move (the patent's claims 1, 18, 25): counted and shown.
pub(super) fn down(world: &mut World, reporter: &Reporter, moves: u32, table: &mut Table) -> Result<()> {
    agent(world, reporter, "down", moves)?.show(table, "down", Who::Agent);
    Ok(())
}

fn agent(world: &mut World, reporter: &Reporter, after_move: &str, moves: u32) -> Result<Rounds> {
    ground::begin(world, after_move)?;
    let mut rounds = Rounds::start(world)?;
    for number in 1..=moves {
        let mut log = Follower::from_now(world.agent.daemon.log());
        let (suffered, arrival) = there(world).with_context(|| format!("move {number} to Wi-Fi"))?;
        rounds.arrivals.push(arrival);
        rounds.moved("to Wi-Fi", suffered, &mut log)?;
        let suffered = and_back(world).with_context(|| format!("move {number} to cellular"))?;
        rounds.moved("to cellular", suffered, &mut log)?;
        if number.is_multiple_of(10) || number == moves {
            reporter.progress(&format!("{after_move}: {number} of {moves} moves there and back"));
        }
    }
    rounds.finish(SILENT)
}

struct Moved {
    to: &'static str,
    suffered: Suffered,
    /// What the agent said meanwhile, where something is wrong.
    log: String,
}

/// Moves, and what runs through all of them.
pub(super) struct Rounds {
    moves: Vec<Moved>,
    pub(super) arrivals: Vec<Arrival>,
    running: Option<(Questions, Download)>,
    mptcp: Downloaded,
    dns: Asked,
}

impl Rounds {
    /// Begins what runs through all of them.
    pub(super) fn start(world: &World) -> Result<Self> {
        let questions = Questions::start(plan::PORTAL_NAME)?;
        let mptcp = world.internet.download(&Netns::here(), Carried::Mptcp, RATE)?;
        Ok(Self {
            moves: Vec::new(),
            arrivals: Vec::new(),
            running: Some((questions, mptcp)),
            mptcp: Downloaded::default(),
            dns: Asked::default(),
        })
    }

    /// One more move; `log` gives what its maker wrote since the last one.
    pub(super) fn moved(&mut self, to: &'static str, suffered: Suffered, log: &mut Follower) -> Result<()> {
        let lines = log.lines()?;
        let good = suffered.lost == [0, 0]
            && suffered.gap <= suffered.jitter + GAP
            && suffered.tcp.intact
            && suffered.tcp.resets == 0;
        self.moves.push(Moved { to, suffered, log: if good { String::new() } else { lines.join("\n") } });
        Ok(())
    }

    /// Ends what ran through all of them; a connection that stays silent for so long counts as broken.
    pub(super) fn finish(mut self, silent: Duration) -> Result<Self> {
        if let Some((questions, mptcp)) = self.running.take() {
            self.mptcp = mptcp.finish_within(silent)?;
            self.dns = questions.finish()?;
        }
        Ok(self)
    }

    /// A row for each figure.
    pub(super) fn show(&self, table: &mut Table, policy: &str, who: Who) {
        let mut row = |what: &str, found: String, wanted: &str| match who {
            Who::Agent => table.add(&format!("{policy}: {what}"), found, wanted),
            _ => table.put(who, &format!("{policy}: {what}"), found),
        };
        for to in ["to Wi-Fi", "to cellular"] {
            let those: Vec<&Suffered> =
                self.moves.iter().filter(|moved| moved.to == to).map(|moved| &moved.suffered).collect();
            let sum = |which: fn(&Suffered) -> u64| those.iter().map(|suffered| which(suffered)).sum::<u64>();
            let gaps = |which: fn(&Suffered) -> Duration| {
                spread(&those.iter().map(|suffered| which(suffered)).collect::<Vec<_>>())
            };
            let wanted = if policy == "standby" { "0" } else { "counted" };
            let lost = format!("{} and {} in {}", sum(|s| s.lost[0]), sum(|s| s.lost[1]), those.len());
            row(&format!("UDP lost at moves {to}, unconnected and connected"), lost, wanted);
            row(&format!("longest gap at moves {to}"), gaps(|s| s.gap), "jitter + 100 ms");
            row(&format!("jitter before moves {to}"), gaps(|s| s.jitter), "");
            let broken = sum(|s| u64::from(!s.tcp.intact || s.tcp.resets > 0));
            row(
                &format!("TCP connections broken at moves {to}"),
                format!("{broken} of {}", those.len()),
                wanted,
            );
        }
        let column =
            |which: fn(&Arrival) -> Duration| spread(&self.arrivals.iter().map(which).collect::<Vec<_>>());
        row("from audible to associated", column(|arrival| arrival.associated), "");
        row("from associated to the first packet by Wi-Fi", column(|arrival| arrival.packet), "");
        let Downloaded { bytes, intact, resets } = self.mptcp;
        let whole = if intact { "whole" } else { "broken" };
        row(
            "MPTCP through all moves",
            format!("{bytes} octets, {whole}, {resets} resets"),
            "whole, 0 resets",
        );
        let Asked { asked, failed } = self.dns;
        row("names not resolved in a second", format!("{failed} of {asked}"), "");
    }
}

fn there(world: &mut World) -> Result<(Suffered, Arrival)> {
    let (flows, jitter) = Flows::start(world)?;
    let watch = Watch::begin(world.supplicant()?.daemon.log());
    ground::on_wifi(world)?;
    let arrival = watch.end(world, flows.free(), MOVING)?;
    Ok((flows.finish(jitter)?, arrival))
}

fn and_back(world: &mut World) -> Result<Suffered> {
    let (flows, jitter) = Flows::start(world)?;
    world.ap()?.radio.heard_at(FADED)?;
    world.agent.wait_event("moved-to-cellular", MOVING)?;
    let suffered = flows.finish(jitter)?;
    world.agent.wait_event("wifi-left", MOVING)?;
    world.ap()?.radio.in_range(false)?;
    Ok(suffered)
}
