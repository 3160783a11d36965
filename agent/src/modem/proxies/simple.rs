//! `org.freedesktop.ModemManager1.Modem.Simple`, from `org.freedesktop.ModemManager1.Modem.Simple.xml` by
//! `zbus-xmlgen` 6.0.0. Changed by hand: visibility, documentation, no defaults (both destination and path are found at
//! run time), `GetStatus` left out.

use std::collections::HashMap;

use zbus::proxy;

#[proxy(interface = "org.freedesktop.ModemManager1.Modem.Simple", assume_defaults = false)]
pub(in crate::modem) trait Simple {
    /// Enables the modem, registers and connects as far as each is not done yet; gives the bearer.
    fn connect(&self, properties: HashMap<&str, &zbus::Variant<'_>>) -> zbus::Result<zbus::OwnedObjectPath>;

    /// Disconnects one bearer, or all of them with the path `/`.
    fn disconnect(&self, bearer: &zbus::ObjectPath<'_>) -> zbus::Result<()>;
}
