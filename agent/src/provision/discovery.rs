//! Where the portal is, when nobody told: in the operator's domain, which the SIM gives. Pure.
//!
//! The domain has the form of 3GPP TS 23.003 (as for the ePDG, §19.4.2.9): `mnc<MNC>.mcc<MCC>.pub.3gppnetwork.org`, the
//! MNC of three digits. In it are looked up, by the bearer's own name servers and no others, `_wifi-offload._tcp` (SRV,
//! RFC 2782), else the addresses of `wifi-offload`.
//!
//! Nobody signs these answers. So they say only where to connect to: the certificate must be for `wifi-offload.<domain>`,
//! which follows from the SIM or the configuration, whatever host the SRV record names (RFC 6125 §6.2.1 has the same
//! rule), and from the configured authorities. Who forges an answer reaches nothing but a refused connection.

/// Where the portal's name and its SRV record stand in the domain.
const HOST: &str = "wifi-offload";

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Owner of the SRV record.
    pub service: String,
    /// Name that the certificate must have, and whose addresses are used where there is no SRV record.
    pub host: String,
}

impl Names {
    /// In this domain.
    pub fn of(domain: &str) -> Self {
        Self { service: format!("_{HOST}._tcp.{domain}"), host: format!("{HOST}.{domain}") }
    }
}

/// Domain of the operator with this MCC and MNC, five or six digits as ModemManager's `Sim.OperatorIdentifier` has them.
pub fn domain(operator: &str) -> Option<String> {
    let digits = matches!(operator.len(), 5 | 6) && operator.bytes().all(|b| b.is_ascii_digit());
    let (mcc, mnc) = operator.split_at_checked(3).filter(|_| digits)?;
    Some(format!("mnc{mnc:0>3}.mcc{mcc}.pub.3gppnetwork.org"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mnc_has_three_digits_in_a_domain() {
        let of = |operator| domain(operator).unwrap_or_default();
        assert_eq!(of("26201"), "mnc001.mcc262.pub.3gppnetwork.org");
        assert_eq!(of("310410"), "mnc410.mcc310.pub.3gppnetwork.org");
        for bad in ["", "2620", "2620112", "26a01", "２６２０１", "é2620"] {
            assert_eq!(domain(bad), None, "{bad}");
        }
        let names = Names::of("operator.example");
        assert_eq!(names.service, "_wifi-offload._tcp.operator.example");
        assert_eq!(names.host, "wifi-offload.operator.example");
    }
}
