//! `org.freedesktop.ModemManager1.Modem`, from `org.freedesktop.ModemManager1.Modem.xml` by `zbus-xmlgen` 6.0.0. Changed
//! by hand: visibility, documentation, no defaults, all but one call left out.

use zbus::proxy;

#[proxy(interface = "org.freedesktop.ModemManager1.Modem", assume_defaults = false)]
pub(in crate::modem) trait Modem {
    /// Switches the radio on; without effect where it is on.
    fn enable(&self, enable: bool) -> zbus::Result<()>;
}
