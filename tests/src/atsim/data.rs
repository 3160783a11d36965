//! Commands about data sessions: contexts (3GPP TS 27.007 §10.1) and Huawei's network port. Part of `modem`.

use std::net::Ipv4Addr;

use super::modem::{Address, Answer, Modem, Refusal};

impl Modem {
    /// Answers a command about data; none where it is another. `command` keeps the case of names.
    pub(super) fn data_command(&mut self, upper: &str, command: &str) -> Option<Answer> {
        let answer = match upper {
            "+CGDCONT=?" => ["IP", "IPV6", "IPV4V6"]
                .map(|kind| format!("+CGDCONT: (1-8),\"{kind}\",,,(0-2),(0-4)"))
                .to_vec(),
            "+CGDCONT?" => {
                let line = |(id, name): (&u8, &String)| format!("+CGDCONT: {id},\"IP\",\"{name}\",\"\",0,0");
                self.contexts.iter().map(line).collect()
            }
            "+CGACT?" => {
                let active = |id: &u8| u8::from(self.session && *id == 1);
                self.contexts.keys().map(|id| format!("+CGACT: {id},{}", active(id))).collect()
            }
            "+CGATT?" => vec!["+CGATT: 1".to_owned()],
            "+CGEREP=?" => vec!["+CGEREP: (0-2),(0,1)".to_owned()],
            "^NDISSTATQRY?" => vec![format!("^NDISSTATQRY:{},,,\"IPV4\"", u8::from(self.session))],
            "^DHCP?" if self.session => vec![dhcp(&self.address)],
            _ if upper.starts_with("+CGDCONT=") => return Some(self.define_context(command)),
            _ if upper.starts_with("+CGACT=0") => {
                self.end_session();
                Vec::new()
            }
            _ if upper.starts_with("+CGATT=") || upper.starts_with("+CGEREP=") => Vec::new(),
            _ if upper.starts_with("^NDISDUP=") => return Some(self.dial(upper)),
            _ => return None,
        };
        Some(Ok(answer))
    }

    /// `^NDISDUP=CONTEXT,1,"apn"` connects, `^NDISDUP=CONTEXT,0` disconnects.
    fn dial(&mut self, upper: &str) -> Answer {
        let up = match upper.split(',').nth(1) {
            Some("1") if self.registered() && self.data_allowed => true,
            Some("0") => false,
            _ => return Err(Refusal::NotSupported),
        };
        if up {
            self.begin_session();
        } else {
            self.end_session();
        }
        self.announce(&format!("^NDISSTAT:{},,,\"IPV4\"", u8::from(up)));
        Ok(Vec::new())
    }

    fn define_context(&mut self, command: &str) -> Answer {
        let (_, rest) = command.split_once('=').ok_or(Refusal::NotSupported)?;
        let mut words = rest.split(',').map(|word| word.trim_matches('"'));
        let id = words.next().and_then(|id| id.parse().ok()).ok_or(Refusal::NotSupported)?;
        match (words.next(), words.next()) {
            (None, _) => self.contexts.remove(&id),
            (Some(_), name) => self.contexts.insert(id, name.unwrap_or_default().to_owned()),
        };
        Ok(Vec::new())
    }
}

/// Address, mask, gateway, DHCP server, name servers: octets in reverse, in hexadecimal; then the speeds.
fn dhcp(address: &Address) -> String {
    let [first, second] = address.dns;
    let words = [address.own, address.mask, address.gateway, address.gateway, first, second].map(reversed);
    format!("^DHCP: {},150000000,50000000", words.join(","))
}

fn reversed(address: Ipv4Addr) -> String {
    address.octets().iter().rev().map(|octet| format!("{octet:02X}")).collect()
}
