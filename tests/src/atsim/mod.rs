//! A cellular modem without hardware: ours from the AT commands down, Debian's own ModemManager above.
//!
//! | file | what |
//! |---|---|
//! | `modem`, `sim`, `data`, `messages` | the modem's mind: AT commands in, answers out; pure |
//! | `settings` | the lab's identities and addresses |
//! | `order` | what a test can do to it: lose the network, pull the SIM |
//! | `simulator` | the modem on pseudo-terminals |
//! | `control` | orders by a UNIX socket, for a person |
//! | `fakesys` | the sysfs tree and `/dev` by which ModemManager finds it |
//! | `manager` | D-Bus, polkit and ModemManager, started around it; plug and unplug |
//! | `gateway` | the network's side: RADIUS accounting of the data session |
//!
//! ModemManager sees a USB modem with two serial ports and the network interface `wwan0`, takes its Huawei plugin,
//! and connects over the interface. The interface is one end of a veth pair; traffic is real.

mod control;
mod data;
mod fakesys;
pub(crate) mod gateway;
pub(crate) mod manager;
mod messages;
pub(crate) mod modem;
mod order;
pub(crate) mod settings;
mod sim;
pub(crate) mod simulator;
#[cfg(test)]
mod tests;

pub(crate) use messages::Message;
pub(crate) use order::Order;
