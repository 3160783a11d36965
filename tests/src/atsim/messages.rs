//! Commands about short messages in PDU mode (3GPP TS 27.005 §3.4, §4), and the PDUs themselves (TS 23.040 §9.2.2).
//! Part of `modem`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::modem::{Answer, Modem, Refusal};

/// Messages that the card holds.
const SLOTS: u8 = 50;
/// Received, not read; received, read (TS 27.005 §3.1).
const UNREAD: u8 = 0;
const READ: u8 = 1;
/// The message centre's own number, in front of each PDU.
const CENTRE: &str = "07915155000000F0";
/// 28 November 2026, noon, UTC: two digits in reverse each.
const TIME: [u8; 7] = [0x62, 0x11, 0x82, 0x21, 0x00, 0x00, 0x00];
/// One message after the other: a radio link takes seconds for each, and the host reads one at a time. ModemManager 1.20
/// passes over an announcement that comes while it reads the message before.
const AIR: Duration = Duration::from_millis(200);
/// A host that does not read is waited for so long.
const UNREAD_FOR: Duration = Duration::from_secs(5);
/// Data of eight bits (TS 23.038 §4).
const OCTETS: u8 = 0x04;

/// One message on its way, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The other side's number, without `+`.
    pub(crate) number: String,
    /// Whether the data begins with a header.
    pub(crate) udhi: bool,
    /// Eight bits an octet.
    pub(crate) data: Vec<u8>,
}

/// What the card holds, and what has been sent.
#[derive(Debug, Default)]
pub(super) struct Messages {
    slots: BTreeMap<u8, (u8, String)>,
    /// On their way.
    coming: VecDeque<Message>,
    /// The last that was announced, and when.
    announced: Option<(u8, Duration)>,
    /// The link is taken until then.
    busy_until: Duration,
    sent: Vec<Message>,
    reference: u8,
    prompted: bool,
}

impl Modem {
    /// Answers a command about messages; none where it is another.
    pub(super) fn message_command(&mut self, upper: &str) -> Option<Answer> {
        let used = self.messages.slots.len();
        let answer = match upper {
            "+CSMS=?" => vec!["+CSMS: (0,1)".to_owned()],
            "+CSMS?" => vec!["+CSMS: 1,1,1,1".to_owned()],
            "+CMGF=?" => vec!["+CMGF: (0)".to_owned()],
            "+CMGF?" => vec!["+CMGF: 0".to_owned()],
            "+CMGF=0" => Vec::new(),
            "+CNMI=?" => vec!["+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)".to_owned()],
            "+CPMS=?" => vec!["+CPMS: (\"ME\"),(\"ME\"),(\"ME\")".to_owned()],
            "+CPMS?" => {
                let store = format!("\"ME\",{used},{SLOTS}");
                vec![format!("+CPMS: {store},{store},{store}")]
            }
            "+CMGL=4" => self.list(),
            _ if upper.starts_with("+CSMS=") => vec!["+CSMS: 1,1,1".to_owned()],
            _ if upper.starts_with("+CPMS=") => {
                let store = format!("{used},{SLOTS}");
                vec![format!("+CPMS: {store},{store},{store}")]
            }
            _ if upper.starts_with("+CNMI=") || upper.starts_with("+CMMS=") => Vec::new(),
            _ => match upper.split_once('=') {
                Some(("+CMGR", slot)) => return Some(self.read_message(slot)),
                Some(("+CMGD", slot)) => {
                    let slot = slot.split(',').next().and_then(|slot| slot.parse().ok());
                    slot.and_then(|slot: u8| self.messages.slots.remove(&slot));
                    Vec::new()
                }
                _ => return None,
            },
        };
        Some(Ok(answer))
    }

    /// `+CMGS=LENGTH`: the PDU follows, up to Ctrl-Z.
    pub(super) fn prompts(&mut self, upper: &str) -> bool {
        self.messages.prompted = upper.starts_with("+CMGS=");
        self.messages.prompted
    }

    /// Whether the last command wants a PDU.
    pub(super) fn take_prompted(&mut self) -> bool {
        std::mem::take(&mut self.messages.prompted)
    }

    /// The PDU that was asked for.
    pub(super) fn submit(&mut self, hex: &str) -> String {
        let Some(message) = read_submit(hex) else { return "\r\n+CMS ERROR: 304\r\n".to_owned() };
        if !self.registered() {
            // No network service.
            return "\r\n+CMS ERROR: 331\r\n".to_owned();
        }
        self.messages.sent.push(message);
        self.messages.reference = self.messages.reference.wrapping_add(1);
        format!("\r\n+CMGS: {}\r\n\r\nOK\r\n", self.messages.reference)
    }

    /// What has been sent since the last call.
    pub(super) fn take_sent(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages.sent)
    }

    /// A message is on its way.
    pub(super) fn receive(&mut self, message: &Message) {
        self.messages.coming.push_back(message.clone());
    }

    /// Brings the next message, when the one before has been read. A full card takes none. `now` counts from any start.
    pub(super) fn air(&mut self, now: Duration) {
        let messages = &mut self.messages;
        if let Some((slot, since)) = messages.announced {
            let unread = messages.slots.get(&slot).is_some_and(|(status, _)| *status == UNREAD);
            if unread && now < since + UNREAD_FOR {
                return;
            }
            messages.announced = None;
            messages.busy_until = now + AIR;
        }
        let free = (0..SLOTS).find(|slot| !messages.slots.contains_key(slot));
        let Some(slot) = free.filter(|_| now >= messages.busy_until) else { return };
        let Some(message) = messages.coming.pop_front() else { return };
        messages.slots.insert(slot, (UNREAD, write_deliver(&message)));
        messages.announced = Some((slot, now));
        self.announce(&format!("+CMTI: \"ME\",{slot}"));
    }

    /// How many messages the card holds.
    pub(super) fn kept(&self) -> usize {
        self.messages.slots.len()
    }

    fn list(&mut self) -> Vec<String> {
        let lines = self.messages.slots.iter_mut().flat_map(|(slot, (status, pdu))| {
            let head = format!("+CMGL: {slot},{status},,{}", length(pdu));
            *status = READ;
            [head, pdu.clone()]
        });
        lines.collect()
    }

    fn read_message(&mut self, slot: &str) -> Answer {
        let slot: u8 = slot.parse().map_err(|_| Refusal::NotSupported)?;
        let (status, pdu) = self.messages.slots.get_mut(&slot).ok_or(Refusal::NotSupported)?;
        let head = format!("+CMGR: {status},,{}", length(pdu));
        *status = READ;
        Ok(vec![head, pdu.clone()])
    }
}

/// Octets of a PDU without the message centre's number.
fn length(pdu: &str) -> usize {
    pdu.len().saturating_sub(CENTRE.len()) / 2
}

/// SMS-DELIVER (TS 23.040 §9.2.2.1).
fn write_deliver(message: &Message) -> String {
    let mut tpdu = vec![if message.udhi { 0x44 } else { 0x04 }];
    tpdu.push(u8::try_from(message.number.len()).unwrap_or_default());
    // International, ISDN.
    tpdu.push(0x91);
    for pair in message.number.as_bytes().chunks(2) {
        let digit = |at: usize| pair.get(at).map_or(0xf, |digit| digit.wrapping_sub(b'0') & 0xf);
        tpdu.push(digit(1) << 4 | digit(0));
    }
    tpdu.extend([0, OCTETS]);
    tpdu.extend(TIME);
    tpdu.push(u8::try_from(message.data.len()).unwrap_or_default());
    tpdu.extend(&message.data);
    let hex: String = tpdu.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("{CENTRE}{hex}")
}

/// SMS-SUBMIT (§9.2.2.2) of eight-bit data.
fn read_submit(hex: &str) -> Option<Message> {
    let octets: Vec<u8> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    let (centre, rest) = octets.split_first()?;
    let [first, _reference, digits, _type, rest @ ..] = rest.get(usize::from(*centre)..)? else {
        return None;
    };
    let digits = usize::from(*digits);
    let (number, rest) = rest.split_at_checked(digits.div_ceil(2))?;
    let number: String = number
        .iter()
        .flat_map(|octet| [octet & 0xf, octet >> 4])
        .take(digits)
        .map(|digit| char::from(b'0' + digit))
        .collect();
    let [_protocol, coding, rest @ ..] = rest else { return None };
    // Validity period: none, relative in one octet, else in seven (§9.2.3.3).
    let validity = match (first >> 3) & 3 {
        0 => 0,
        2 => 1,
        _ => 7,
    };
    let (length, data) = rest.get(validity..)?.split_first()?;
    let binary = coding & 0x0c == OCTETS && usize::from(*length) == data.len();
    binary.then(|| Message { number, udhi: first & 0x40 != 0, data: data.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::{super::settings, *};

    fn modem() -> Modem {
        Modem::new(settings::identity(), settings::address().unwrap())
    }

    fn ask(modem: &mut Modem, line: &str) -> String {
        modem.line(line).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn a_message_is_sent_after_the_prompt() {
        let mut modem = modem();
        assert_eq!(ask(&mut modem, "AT+CMGS=17"), "|> ");
        assert!(modem.take_prompted() && !modem.take_prompted());
        // Two octets to +15550001000.
        assert_eq!(
            modem.submit("0001000B915155001000F000040257 4F".replace(' ', "").as_str()),
            "\r\n+CMGS: 1\r\n\r\nOK\r\n"
        );
        let sent = Message { number: "15550001000".to_owned(), udhi: false, data: b"WO".to_vec() };
        assert_eq!(modem.take_sent(), [sent]);
        assert!(modem.submit("0001").contains("304") && modem.submit("zz").contains("304"));
    }

    #[test]
    fn a_message_comes_is_read_and_deleted() {
        let mut modem = modem();
        modem.receive(&Message {
            number: "15550001000".to_owned(),
            udhi: true,
            data: vec![5, 0, 3, 1, 1, 1, 7],
        });
        modem.receive(&Message { number: "15550001000".to_owned(), udhi: false, data: vec![8] });
        for ms in [1, 300, 900] {
            modem.air(Duration::from_millis(ms));
        }
        assert_eq!(modem.take_unsolicited(), ["+CMTI: \"ME\",0"], "the second waits until the first is read");
        let pdu = "07915155000000F0440B915155001000F0000462118221000000070500030101 0107".replace(' ', "");
        assert_eq!(ask(&mut modem, "AT+CMGR=0"), format!("|+CMGR: 0,,26|{pdu}||OK|"));
        assert_eq!(ask(&mut modem, "AT+CMGL=4"), format!("|+CMGL: 0,1,,26|{pdu}||OK|"));
        assert_eq!(ask(&mut modem, "AT+CMGD=0"), "|OK|");
        for ms in [1000, 1100, 1200] {
            modem.air(Duration::from_millis(ms));
            assert_eq!(modem.kept(), usize::from(ms == 1200));
        }
        assert_eq!(ask(&mut modem, "AT+CMGD=0"), "|OK|");
        assert_eq!((modem.kept(), ask(&mut modem, "AT+CMGL=4").as_str()), (0, "|OK|"));
    }
}
