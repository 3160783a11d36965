//! NetworkManager owns Wi-Fi and modem: the same offload and return, and its connections afterwards as before.

use anyhow::Result;

use super::rounds;
use crate::{
    atsim::Order,
    report::Reporter,
    world::{World, owner::Owner},
};

/// Both at once; either alone is `cargo lab demo --owner …`.
pub(super) fn both(world: &mut World, reporter: &Reporter) -> Result<()> {
    world.agent.daemon.stop()?;
    // The demo begins without a credential, and without a data session.
    world.agent.forget()?;
    world.cellular.modem.simulator.order(&Order::DropSession);
    world.give(Owner::Nm)?;
    let played = rounds::whole(world, reporter);
    world.agent.daemon.stop()?;
    let found = world.connections_are_as_found();
    world.take_back()?;
    played?;
    found?;
    rounds::quick(world)
}
