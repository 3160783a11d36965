//! `org.freedesktop.ModemManager1.Sms`, from `org.freedesktop.ModemManager1.Sms.xml` by `zbus-xmlgen` 6.0.0. Changed by
//! hand: visibility, documentation, no defaults, `Store` and properties left out.

use zbus::proxy;

#[proxy(interface = "org.freedesktop.ModemManager1.Sms", assume_defaults = false)]
pub(in crate::modem) trait Sms {
    /// Sends it; returns when the network has taken it.
    fn send(&self) -> zbus::Result<()>;
}
