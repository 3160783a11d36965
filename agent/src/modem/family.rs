//! Address families of a bearer, and which to try when the network refuses one. Pure.

/// `MMBearerIpFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Both in one bearer (3GPP TS 23.401 §5.3.1.1).
    #[default]
    Ipv4v6,
}

impl Family {
    /// As ModemManager numbers it.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
            Self::Ipv4v6 => 4,
        }
    }

    /// What to try after the network or the modem has answered this one with `error`, a D-Bus error name. Only both
    /// families together are ever replaced by one: who asks for IPv6 alone wants no IPv4.
    pub(super) fn after(self, error: &str) -> Option<Self> {
        let reason = error.rsplit('.').next().unwrap_or_default();
        match (self, reason) {
            // 3GPP TS 24.301 §6.5.1.4, causes 50, 51, 28. Modems that know one family only say "unsupported".
            (Self::Ipv4v6, "Ipv4OnlyAllowed" | "UnknownPdpAddressOrType" | "Unsupported") => Some(Self::Ipv4),
            (Self::Ipv4v6, "Ipv6OnlyAllowed") => Some(Self::Ipv6),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_family_where_both_are_refused() {
        let after = |family: Family, error: &str| {
            family.after(&format!("org.freedesktop.ModemManager1.Error.{error}"))
        };
        assert_eq!(after(Family::Ipv4v6, "MobileEquipment.Ipv4OnlyAllowed"), Some(Family::Ipv4));
        assert_eq!(after(Family::Ipv4v6, "MobileEquipment.Ipv6OnlyAllowed"), Some(Family::Ipv6));
        assert_eq!(after(Family::Ipv4v6, "Core.Unsupported"), Some(Family::Ipv4));
        assert_eq!(after(Family::Ipv4v6, "Core.Timeout"), None);
        assert_eq!(after(Family::Ipv4, "Core.Unsupported"), None);
        assert_eq!(after(Family::Ipv6, "MobileEquipment.Ipv4OnlyAllowed"), None);
        assert_eq!(Family::Ipv4v6.after(""), None);
    }
}
