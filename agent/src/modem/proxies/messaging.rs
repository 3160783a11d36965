//! `org.freedesktop.ModemManager1.Modem.Messaging`, from `org.freedesktop.ModemManager1.Modem.Messaging.xml` by
//! `zbus-xmlgen` 6.0.0. Changed by hand: visibility, documentation, no defaults, signals and properties left out.

use std::collections::HashMap;

use zbus::proxy;

#[proxy(interface = "org.freedesktop.ModemManager1.Modem.Messaging", assume_defaults = false)]
pub(in crate::modem) trait Messaging {
    /// All messages: received, stored, sent.
    fn list(&self) -> zbus::Result<Vec<zbus::OwnedObjectPath>>;

    /// Takes one away, of the modem's storage too.
    fn delete(&self, path: &zbus::ObjectPath<'_>) -> zbus::Result<()>;

    /// Makes one; it is neither stored nor sent by that.
    fn create(&self, properties: HashMap<&str, &zbus::Variant<'_>>) -> zbus::Result<zbus::OwnedObjectPath>;
}
