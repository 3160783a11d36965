//! Requests of wpa_supplicant's control interface (wpa_supplicant 2.10, `ctrl_iface.c`), as text for the wire and
//! as text for the log. Called by `operations`.
//!
//! The two differ on purpose: values never reach a log, because one of them is a password and another names a
//! subscriber.

use std::fmt;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Ping,
    Status,
    /// Networks with an id above the given one; an answer holds at most 4096 octets.
    ListNetworks {
        after: Option<u32>,
    },
    /// The new network is disabled.
    AddNetwork,
    SetNetwork {
        id: u32,
        field: &'static str,
        value: Value,
    },
    GetNetwork {
        id: u32,
        field: &'static str,
    },
    /// Enables this network, disables all others, connects.
    SelectNetwork(u32),
    /// Marks as usable without connecting to it now.
    EnableNetworkQuietly(u32),
    DisableNetwork(u32),
    RemoveNetwork(u32),
    Disconnect,
}

/// What a field of a network is set to. No `Debug` of the content.
#[derive(PartialEq, Eq)]
pub(super) enum Value {
    /// Bare words of the protocol: numbers, `PEAP`, `WPA-EAP WPA-EAP-SHA256`.
    Words(&'static str),
    Number(i64),
    /// A fixed string of ours, which needs no escaping.
    Quoted(&'static str),
    /// Anything that came from outside: goes as hexadecimal, so that no quote or newline has a meaning
    /// (`wpa_config_parse_string` takes both forms for every string field).
    Octets(Zeroizing<Vec<u8>>),
}

impl Value {
    pub(super) fn octets(bytes: impl AsRef<[u8]>) -> Self {
        Self::Octets(Zeroizing::new(bytes.as_ref().to_vec()))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Request {
    /// The datagram. Cleared from memory when dropped.
    pub(super) fn wire(&self) -> Zeroizing<String> {
        let Self::SetNetwork { value, .. } = self else { return Zeroizing::new(self.to_string()) };
        let mut text = Zeroizing::new(self.to_string());
        text.push(' ');
        match value {
            Value::Words(words) => text.push_str(words),
            Value::Number(number) => text.push_str(&number.to_string()),
            Value::Quoted(string) => {
                text.push('"');
                text.push_str(string);
                text.push('"');
            }
            Value::Octets(octets) => {
                // Reserved once: growing would leave copies of a password behind.
                text.reserve(octets.len() * 2);
                HEXLOWER.encode_append(octets, &mut text);
            }
        }
        text
    }
}

/// The request without values: what a log may show.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => f.write_str("PING"),
            Self::Status => f.write_str("STATUS"),
            Self::ListNetworks { after: None } => f.write_str("LIST_NETWORKS"),
            Self::ListNetworks { after: Some(id) } => write!(f, "LIST_NETWORKS LAST_ID={id}"),
            Self::AddNetwork => f.write_str("ADD_NETWORK"),
            Self::SetNetwork { id, field, .. } => write!(f, "SET_NETWORK {id} {field}"),
            Self::GetNetwork { id, field } => write!(f, "GET_NETWORK {id} {field}"),
            Self::SelectNetwork(id) => write!(f, "SELECT_NETWORK {id}"),
            Self::EnableNetworkQuietly(id) => write!(f, "ENABLE_NETWORK {id} no-connect"),
            Self::DisableNetwork(id) => write!(f, "DISABLE_NETWORK {id}"),
            Self::RemoveNetwork(id) => write!(f, "REMOVE_NETWORK {id}"),
            Self::Disconnect => f.write_str("DISCONNECT"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn outside_text_is_hexadecimal_on_the_wire_and_absent_from_the_log(bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            let request = Request::SetNetwork { id: 7, field: "password", value: Value::octets(&bytes) };
            let wire = request.wire();
            let hex = wire.strip_prefix("SET_NETWORK 7 password ").unwrap();
            prop_assert_eq!(HEXLOWER.decode(hex.as_bytes()).unwrap(), bytes);
            prop_assert_eq!(request.to_string(), "SET_NETWORK 7 password");
            prop_assert_eq!(format!("{request:?}"), "SetNetwork { id: 7, field: \"password\", value: … }");
        }
    }

    #[test]
    fn words_and_numbers_go_bare() {
        let set = |value| Request::SetNetwork { id: 0, field: "f", value }.wire().to_string();
        assert_eq!(set(Value::Words("WPA-EAP WPA-EAP-SHA256")), "SET_NETWORK 0 f WPA-EAP WPA-EAP-SHA256");
        assert_eq!(set(Value::Number(-3)), "SET_NETWORK 0 f -3");
        assert_eq!(set(Value::Quoted("auth=PAP")), "SET_NETWORK 0 f \"auth=PAP\"");
        assert_eq!(*Request::EnableNetworkQuietly(4).wire(), "ENABLE_NETWORK 4 no-connect");
    }
}
