//! `org.freedesktop.ModemManager1.Modem.Time`, from `org.freedesktop.ModemManager1.Modem.Time.xml` by `zbus-xmlgen`
//! 6.0.0. Changed by hand: visibility, documentation, no defaults, signal and property left out.

use zbus::proxy;

#[proxy(interface = "org.freedesktop.ModemManager1.Modem.Time", assume_defaults = false)]
pub(in crate::modem) trait Time {
    /// ISO 8601; an error where the network has told none.
    fn get_network_time(&self) -> zbus::Result<String>;
}
