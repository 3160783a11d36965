//! What a device asks, in few octets.
//!
//! | octets | what |
//! |---|---|
//! | 1 | flags: 1 IMSI, 2 IMEI, 4 authority held, 8 policy obeyed; others are refused |
//! | 4 | when it was made, seconds since 1970 |
//! | 6 | MAC address of the WLAN card |
//! | 1 | why: number of the trigger |
//! | 1 + n | IMSI, two digits an octet |
//! | 1 + n | IMEI, likewise |
//! | 8 | the certificate authorities that the device holds, see [`super::reply`] |
//! | 1 to 10 | version of the policy that the device obeys |
//! | rest | name of the agent, UTF-8 |

use zeroize::Zeroizing;

use super::{
    SmsError,
    wire::{Reader, Writer},
};
use crate::{
    identity::{Imei, Imsi, Mac},
    message::{CredentialRequest, Trigger},
    xml,
};

const IMSI: u8 = 1;
const IMEI: u8 = 2;
const AUTHORITY: u8 = 4;
const POLICY: u8 = 8;

/// A request with what only the way by SMS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it asks; the agent's name may have been cut short to fit.
    pub request: CredentialRequest,
    /// Seconds since 1970, by the device's clock.
    pub made_at: u32,
    /// [`super::Reply::authority`] of what the device holds, so that the reply need not carry it again.
    pub authority: Option<[u8; 8]>,
}

const TRIGGERS: [Trigger; 8] = [
    Trigger::Attach,
    Trigger::Periodic,
    Trigger::BeforeMove,
    Trigger::Expiry,
    Trigger::Used,
    Trigger::ReturnedToCellular,
    Trigger::Rejected,
    Trigger::User,
];

impl Request {
    /// At most `room` octets; the agent's name is cut short to fit.
    pub(super) fn write(&self, room: usize) -> Result<Zeroizing<Vec<u8>>, SmsError> {
        xml::encode_request(&self.request)?;
        let CredentialRequest { imsi, imei, mac, trigger, agent, policy_version } = &self.request;
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        let mut writer = Writer::new();
        writer.octet(
            flag(imsi.is_some(), IMSI)
                | flag(imei.is_some(), IMEI)
                | flag(self.authority.is_some(), AUTHORITY)
                | flag(policy_version.is_some(), POLICY),
        );
        writer.octets(&self.made_at.to_be_bytes());
        writer.octets(&mac.0);
        let number = TRIGGERS.iter().position(|known| known == trigger).and_then(|at| u8::try_from(at).ok());
        writer.octet(number.ok_or(SmsError::Value("trigger"))?);
        if let Some(imsi) = imsi {
            writer.digits(imsi.expose());
        }
        if let Some(imei) = imei {
            writer.digits(imei.expose());
        }
        if let Some(authority) = &self.authority {
            writer.octets(authority);
        }
        if let Some(version) = policy_version {
            writer.number(*version);
        }
        let mut written = writer.done();
        let left = room.checked_sub(written.len()).ok_or(SmsError::TooLarge)?;
        written
            .extend_from_slice(agent.get(..agent.floor_char_boundary(left)).unwrap_or_default().as_bytes());
        Ok(written)
    }

    pub(super) fn read(octets: &[u8]) -> Result<Self, SmsError> {
        let mut reader = Reader::new(octets);
        let flags = reader.octet("flags")?;
        if flags & !(IMSI | IMEI | AUTHORITY | POLICY) != 0 {
            return Err(SmsError::Value("flags"));
        }
        let made_at = u32::from_be_bytes(reader.array("made-at")?);
        let mac = Mac(reader.array("mac")?);
        let trigger = reader.octet("trigger")?;
        let trigger = *TRIGGERS.get(usize::from(trigger)).ok_or(SmsError::Value("trigger"))?;
        let mut imsi = None;
        if flags & IMSI != 0 {
            imsi = Some(reader.digits("imsi")?.parse::<Imsi>().map_err(|_| SmsError::Value("imsi"))?);
        }
        let mut imei = None;
        if flags & IMEI != 0 {
            imei = Some(reader.digits("imei")?.parse::<Imei>().map_err(|_| SmsError::Value("imei"))?);
        }
        let mut authority = None;
        if flags & AUTHORITY != 0 {
            authority = Some(reader.array("authority")?);
        }
        let mut policy_version = None;
        if flags & POLICY != 0 {
            policy_version = Some(reader.number("policy-version")?);
        }
        let agent = std::str::from_utf8(reader.rest()).map_err(|_| SmsError::Value("agent"))?.to_owned();
        let request = CredentialRequest { imsi, imei, mac, trigger, agent, policy_version };
        // What a request may hold is the same in every encoding.
        xml::encode_request(&request)?;
        Ok(Self { request, made_at, authority })
    }
}
