//! Many moves there and back under traffic.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{
    ground::{self, Flows, MOVING, Suffered},
    table::{Table, spread},
};
use crate::{
    report::Reporter,
    traffic::{Asked, Carried, Downloaded, Questions},
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
    let round = Rounds::run(world, reporter, "standby", moves)?;
    round.show(table, "standby");
    for (which, moved) in round.moves.iter().enumerate() {
        let Suffered { lost, gap, jitter, tcp } = &moved.suffered;
        let what =
            format!("move {which} {}: lost {lost:?}, gap {gap:?} (jitter {jitter:?}), {tcp:?}", moved.to);
        ensure!(*lost == [0, 0], "packets were lost. {what}");
        ensure!(*gap <= *jitter + GAP, "a long gap. {what}");
        ensure!(tcp.intact && tcp.resets == 0, "a connection that was open has suffered. {what}");
    }
    ensure!(round.mptcp.intact && round.mptcp.resets == 0, "MPTCP suffered: {:?}", round.mptcp);
    Ok(())
}

/// Cellular is disconnected after the move (the patent's claims 1, 18, 25): counted and shown.
pub(super) fn down(world: &mut World, reporter: &Reporter, moves: u32, table: &mut Table) -> Result<()> {
    let round = Rounds::run(world, reporter, "down", moves)?;
    round.show(table, "down");
    Ok(())
}

struct Moved {
    to: &'static str,
    suffered: Suffered,
}

struct Rounds {
    moves: Vec<Moved>,
    mptcp: Downloaded,
    dns: Asked,
}

impl Rounds {
    fn run(world: &mut World, reporter: &Reporter, after_move: &str, moves: u32) -> Result<Self> {
        ground::begin(world, after_move)?;
        let questions = Questions::start(plan::PORTAL_NAME)?;
        let mptcp = world.internet.download(&Netns::here(), Carried::Mptcp, RATE)?;
        let mut made = Vec::new();
        for number in 1..=moves {
            let suffered = there(world).with_context(|| format!("move {number} to Wi-Fi"))?;
            made.push(Moved { to: "to Wi-Fi", suffered });
            let suffered = and_back(world).with_context(|| format!("move {number} to cellular"))?;
            made.push(Moved { to: "to cellular", suffered });
            if number.is_multiple_of(10) || number == moves {
                reporter.progress(&format!("{after_move}: {number} of {moves} moves there and back"));
            }
        }
        Ok(Self { moves: made, mptcp: mptcp.finish()?, dns: questions.finish()? })
    }

    fn show(&self, table: &mut Table, policy: &str) {
        for to in ["to Wi-Fi", "to cellular"] {
            let those: Vec<&Suffered> =
                self.moves.iter().filter(|moved| moved.to == to).map(|moved| &moved.suffered).collect();
            let sum = |which: fn(&Suffered) -> u64| those.iter().map(|suffered| which(suffered)).sum::<u64>();
            let gaps = |which: fn(&Suffered) -> Duration| {
                spread(&those.iter().map(|suffered| which(suffered)).collect::<Vec<_>>())
            };
            let row = |what: &str| format!("{policy}, {} moves {to}: {what}", those.len());
            let wanted = if policy == "standby" { "0" } else { "counted" };
            let lost = format!("{} and {}", sum(|s| s.lost[0]), sum(|s| s.lost[1]));
            table.add(&row("UDP lost, unconnected and connected"), lost, wanted);
            table.add(&row("longest gap"), gaps(|s| s.gap), "jitter + 100 ms");
            table.add(&row("jitter before"), gaps(|s| s.jitter), "");
            let broken = sum(|s| u64::from(!s.tcp.intact || s.tcp.resets > 0));
            table.add(&row("TCP connections broken"), broken.to_string(), wanted);
        }
        let Downloaded { bytes, intact, resets } = self.mptcp;
        let whole = if intact { "whole" } else { "broken" };
        table.add(
            &format!("{policy}: MPTCP through all of them"),
            format!("{bytes} octets, {whole}, {resets} resets"),
            "whole, 0 resets",
        );
        let Asked { asked, failed } = self.dns;
        table.add(&format!("{policy}: names not resolved in a second"), format!("{failed} of {asked}"), "");
    }
}

fn there(world: &mut World) -> Result<Suffered> {
    let (flows, jitter) = Flows::start(world)?;
    ground::on_wifi(world)?;
    flows.finish(jitter)
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
