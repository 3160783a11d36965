//! `org.freedesktop.ModemManager1.Sim`, from `org.freedesktop.ModemManager1.Sim.xml` by `zbus-xmlgen` 6.0.0. Changed by
//! hand: visibility, documentation, no defaults, `SendPuk` and everything about changing a PIN left out.

use zbus::proxy;

#[proxy(interface = "org.freedesktop.ModemManager1.Sim", assume_defaults = false)]
pub(in crate::modem) trait Sim {
    /// Unlocks the SIM; a wrong PIN costs a try.
    fn send_pin(&self, pin: &str) -> zbus::Result<()>;
}
