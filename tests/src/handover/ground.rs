//! The world as these cases want it: a policy of short times, and traffic that is watched over a move.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    clock,
    traffic::{Carried, Download, Downloaded, Echo, Echoed, Socket},
    world::{World, ap, netns::Netns},
};

/// Until the agent holds a credential of the new policy.
pub(super) const ARMED: Duration = Duration::from_secs(90);
/// From audible to the route on Wi-Fi, and back: more than any penalty of this policy.
pub(super) const MOVING: Duration = Duration::from_secs(60);
/// How long the flow is watched before something is done to it.
const BEFORE: Duration = Duration::from_secs(3);
/// How long it is watched after the route has moved.
const AFTER: Duration = Duration::from_millis(1500);
/// How long a connection that was told to end may stay silent.
pub(super) const SILENT: Duration = Duration::from_secs(20);
/// Octets a second of a download: small, so that what is captured stays small.
const RATE: u32 = 20_000;

/// An agent with a credential under this policy: a new one where the policy was another.
pub(super) fn begin(world: &mut World, after_move: &str) -> Result<()> {
    begin_with(world, after_move, 0, 1)
}

/// The same with these times, seconds.
pub(super) fn begin_with(world: &mut World, after_move: &str, dwell: u32, penalty: u32) -> Result<()> {
    let changed = world.core.set_policy(&[
        ("cellular-after-move", &format!("\"{after_move}\"")),
        ("dwell-secs", &dwell.to_string()),
        ("penalty-secs", &penalty.to_string()),
    ])?;
    if !changed && world.agent.daemon.pid().is_some() {
        return world.agent.wait_state(&["armed"], ARMED);
    }
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    world.agent.start()?;
    world.agent.wait_event("credential-installed", ARMED)
}

/// The access point is heard as in the middle of its cell.
pub(super) fn near(world: &World) -> Result<()> {
    world.ap()?.radio.heard_at(ap::NEAR)?;
    world.ap()?.radio.in_range(true)
}

/// Into the cell until traffic is on Wi-Fi and the move is over.
pub(super) fn on_wifi(world: &mut World) -> Result<()> {
    near(world)?;
    world.agent.wait_event("moved-to-wifi", MOVING)
}

/// Out of the cell, whatever the state, until the agent waits for Wi-Fi again.
pub(super) fn leave(world: &mut World) -> Result<()> {
    world.ap()?.radio.in_range(false)?;
    world.agent.wait_state(&["armed"], MOVING)
}

/// When the packets of this flow came by cellular at or after `since`.
pub(super) fn back(world: &World, echo: &Echo, since: Instant, limit: Duration) -> Result<Duration> {
    let came = clock::until("packets come by cellular", limit, || {
        let history = world.internet.history(echo);
        Ok(history.into_iter().find(|(at, from)| *at >= since && !on_wlan(*from)).map(|(at, _)| at))
    })?;
    Ok(came.saturating_duration_since(since))
}

/// When the flow's packets came by Wi-Fi at or after `since`.
pub(super) fn forward(world: &World, echo: &Echo, since: Instant, limit: Duration) -> Result<Duration> {
    let came = clock::until("packets come by Wi-Fi", limit, || {
        let history = world.internet.history(echo);
        Ok(history.into_iter().find(|(at, from)| *at >= since && on_wlan(*from)).map(|(at, _)| at))
    })?;
    Ok(came.saturating_duration_since(since))
}

/// Whether an address is of the access point's network.
pub(super) fn on_wlan(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[..3] == [10, 9, 0])
}

/// Traffic that is there before a move and until after it.
pub(super) struct Flows {
    free: Echo,
    connected: Echo,
    download: Download,
    /// The same packets inside the core, where no move reaches them: what they wait, the emulated machine stood still.
    still: Echo,
}

/// What it suffered.
pub(super) struct Suffered {
    /// Packets of the unconnected and of the connected socket.
    pub(super) lost: [u64; 2],
    /// The longest silence of either.
    pub(super) gap: Duration,
    /// The same before anything was done, or of the flow that no move reaches while it was done, where that is longer.
    pub(super) jitter: Duration,
    /// TCP.
    pub(super) tcp: Downloaded,
}

impl Flows {
    /// Begins, and watches the flow undisturbed.
    pub(super) fn start(world: &World) -> Result<(Self, Duration)> {
        let here = Netns::here();
        let flows = Self {
            free: world.internet.echo(&here, Socket::Free)?,
            connected: world.internet.echo(&here, Socket::Connected)?,
            download: world.internet.download(&here, Carried::Tcp, RATE)?,
            still: world.internet.echo(&world.core.place, Socket::Free)?,
        };
        let _ = (flows.gap(), flows.still.gap());
        clock::pause(BEFORE);
        let jitter = flows.gap().max(flows.still.gap());
        Ok((flows, jitter))
    }

    fn gap(&self) -> Duration {
        self.free.gap().max(self.connected.gap())
    }

    /// The unconnected one.
    pub(super) fn free(&self) -> &Echo {
        &self.free
    }

    /// The route has moved: watches for a while longer, and counts.
    pub(super) fn finish(self, jitter: Duration) -> Result<Suffered> {
        self.finish_within(jitter, SILENT)
    }

    /// The same where a connection that stays silent for so long counts as broken.
    pub(super) fn finish_within(self, jitter: Duration, silent: Duration) -> Result<Suffered> {
        clock::pause(AFTER);
        let (gap, jitter) = (self.gap(), jitter.max(self.still.gap()));
        let tcp = self.download.finish_within(silent)?;
        let (free, connected): (Echoed, Echoed) = (self.free.finish()?, self.connected.finish()?);
        Ok(Suffered { lost: [free.lost, connected.lost], gap, jitter, tcp })
    }
}
