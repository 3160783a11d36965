//! From "the access point is heard" to "the first packet by Wi-Fi", the agent and a bare supplicant with udhcpc in turn:
//! what lies after the association is login, address and route, and may take a quarter longer than with these two.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    arrival::{Arrival, Watch},
    ground::{self, MOVING},
    table::{Table, Who, median, spread},
};
use crate::{
    clock,
    report::Reporter,
    traffic::Socket,
    world::{World, netns::Netns},
};

/// What is wanted of the medians.
const RATIO: f64 = 1.25;
/// A bare supplicant looks for its network every five seconds, and repeats what was lost on the way.
const BARE: Duration = Duration::from_secs(100);
/// Silences before the access point is heard, so that no search's pace is met by chance.
const SILENCES_MS: [u64; 5] = [2000, 5000, 3200, 6500, 4100];
/// A beacon a tenth of a second; a supplicant that has heard none for this long has let go.
const LETS_GO: Duration = Duration::from_secs(30);

/// What one half of a pair gives: the first login of a fresh process, and one with a key of that login.
type Half = Vec<Arrival>;

/// So many pairs; each half logs in once in full and, where `again`, once more by the key of that login.
pub(super) fn pairs(
    world: &mut World,
    reporter: &Reporter,
    pairs: usize,
    again: bool,
    table: &mut Table,
) -> Result<()> {
    ground::begin(world, "standby")?;
    let (mut agent, mut bare): (Vec<Half>, Vec<Half>) = (Vec::new(), Vec::new());
    for number in 1..=pairs {
        agent.push(agents(world, number, again)?);
        bare.push(bares(world, number, again)?);
        world.calm()?;
        reporter.progress(&format!("{number} of {pairs} pairs of joins"));
    }
    for (which, name) in [(0, "join, full login"), (1, "join again, cached key (PMKSA)")] {
        let of = |halves: &[Half]| halves.iter().filter_map(|half| half.get(which).copied()).collect();
        let [agent, bare]: [Vec<Arrival>; 2] = [of(&agent), of(&bare)];
        show(table, name, &agent, &bare);
        if which == 1 {
            ensure!(
                agent.iter().all(|arrival| arrival.cached),
                "the agent logged in anew where a key of its last login was there: {agent:?}"
            );
        }
    }
    Ok(())
}

fn show(table: &mut Table, name: &str, agent: &[Arrival], bare: &[Arrival]) {
    if agent.is_empty() || bare.is_empty() {
        return;
    }
    let column = |all: &[Arrival], which: fn(&Arrival) -> Duration| all.iter().map(which).collect::<Vec<_>>();
    let what = format!("{name}: from audible to associated");
    table.add(&what, spread(&column(agent, |a| a.associated)), "");
    table.put(Who::Bare, &what, spread(&column(bare, |a| a.associated)));
    let [own, others] = [agent, bare].map(|all| column(all, |a| a.packet));
    let what = format!("{name}: from associated to the first packet by Wi-Fi");
    table.add(&what, spread(&own), "1.25 × the bare one's");
    table.put(Who::Bare, &what, spread(&others));
    if let (Some(own), Some(others)) = (median(&own), median(&others)) {
        let ratio = own.as_secs_f64() / others.as_secs_f64().max(0.001);
        let met = if ratio <= RATIO { "met" } else { "not met" };
        table.add(&format!("{name}: ratio of the medians"), format!("{ratio:.2}, {met}"), "1.25 at most");
    }
}

/// A fresh agent, which puts its credential in anew: the first login is a full one.
fn agents(world: &mut World, number: usize, again: bool) -> Result<Half> {
    world.agent.daemon.stop()?;
    world.agent.start()?;
    world.agent.wait_state(&["armed"], ground::ARMED)?;
    let mut half = Half::new();
    for turn in 0..=usize::from(again) {
        silence(number + turn);
        let echo = world.internet.echo(&Netns::here(), Socket::Free)?;
        let watch = Watch::begin(world.supplicant()?.daemon.log());
        ground::on_wifi(world)?;
        half.push(watch.end(world, &echo, MOVING)?);
        ground::leave(world)?;
    }
    Ok(half)
}

/// A fresh supplicant.
fn bares(world: &mut World, number: usize, again: bool) -> Result<Half> {
    let bare = world.bare()?;
    let mut half = Half::new();
    for turn in 0..=usize::from(again) {
        silence(number + turn);
        let echo = world.internet.echo(&Netns::here(), Socket::Free)?;
        let watch = Watch::begin(bare.supplicant_log());
        ground::near(world)?;
        half.push(watch.end(world, &echo, BARE)?);
        let since = clock::now();
        world.ap()?.radio.in_range(false)?;
        ground::back(world, &echo, since, LETS_GO)?;
    }
    Ok(half)
}

fn silence(number: usize) {
    if let Some(span) = SILENCES_MS.get(number % SILENCES_MS.len()) {
        clock::pause(Duration::from_millis(*span));
    }
}
