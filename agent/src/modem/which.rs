//! Which modem of several the configuration means. Pure.

use super::properties::{Properties, text};

/// Fewest digits of an IMEI that name a modem.
const MIN_DIGITS: usize = 4;

/// `[cellular] modem`.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Which {
    /// Whichever is of use.
    #[default]
    Any,
    /// The one whose IMEI ends in these digits, or whose equipment identifier this is, or whose device path in `/sys`
    /// ends in this, such as `usb1/1-3`.
    Named(String),
}

impl std::fmt::Debug for Which {
    /// May hold an IMEI.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Any => "Any",
            Self::Named(_) => "Named(…)",
        })
    }
}

impl Which {
    /// Whether this modem (`org.freedesktop.ModemManager1.Modem`) is meant.
    pub(super) fn means(&self, modem: &Properties) -> bool {
        let Self::Named(name) = self else { return true };
        let equipment = text(modem, "EquipmentIdentifier").unwrap_or_default();
        let device = text(modem, "Device").unwrap_or_default();
        let digits = name.len() >= MIN_DIGITS && name.bytes().all(|octet| octet.is_ascii_digit());
        equipment == name
            || digits && equipment.ends_with(name.as_str())
            || device == name
            || device.strip_suffix(name.as_str()).is_some_and(|before| before.ends_with('/'))
            || text(modem, "DeviceIdentifier") == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use zbus::{OwnedVariant, Variant};

    use super::*;

    #[test]
    fn a_modem_is_named_in_several_ways() {
        let own = |text: &'static str| OwnedVariant::try_from(Variant::from(text)).unwrap();
        let modem = Properties::from([
            ("EquipmentIdentifier".to_owned(), own("490154203237518")),
            ("Device".to_owned(), own("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-3")),
        ]);
        let means = |name: &str| Which::Named(name.to_owned()).means(&modem);
        for name in
            ["490154203237518", "7518", "usb1/1-3", "1-3", "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-3"]
        {
            assert!(means(name), "{name}");
        }
        for name in ["518", "4901", "usb1/1-33", "-3", "sb1/1-3", ""] {
            assert!(!means(name), "{name}");
        }
        assert!(Which::Any.means(&modem) && Which::Any.means(&Properties::new()));
        assert!(!format!("{:?}", Which::Named("490154203237518".into())).contains("7518"));
    }
}
