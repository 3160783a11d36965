//! Devices: who they are, where they come from, what they ask.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use provisioning::{
    format::Format,
    identity::{Imei, Imsi, Mac},
    message::{CredentialRequest, Trigger},
};

use super::PORTAL_NAME;
use crate::bench::stock;

/// Loopback addresses from here on are the devices'; 127.0.0.1 is nobody's session.
const FIRST: u32 = u32::from_be_bytes([127, 16, 0, 0]);
/// Type allocation code of nobody (GSMA TS.06: 00 is for tests).
const TYPE_ALLOCATION: &str = "00440123";

/// One device on a bearer of its own.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// SIM.
    pub(super) imsi: Imsi,
    /// Equipment, with its check digit.
    pub(super) imei: Imei,
    /// WLAN card.
    pub(super) mac: Mac,
    /// What the packet gateway gave it.
    pub(super) address: Ipv4Addr,
}

impl Device {
    /// The one whose credential stands in a stock under this number.
    pub(super) fn stored(number: usize) -> Result<Self> {
        let [.., m3, m2, m1, m0] = number.to_be_bytes();
        Ok(Self {
            imsi: stock::imsi(number)?,
            imei: imei(number)?,
            mac: Mac([0x02, 0, m3, m2, m1, m0]),
            address: Ipv4Addr::from(FIRST + u32::try_from(number)?),
        })
    }

    /// One with these digits: an IMSI, and twelve of an IMEI.
    pub(super) fn scattered(number: usize, imsi: &str, serial: &str) -> Result<Self> {
        let body = format!("00{serial}");
        let digit = luhn(&body).context("digits")?;
        Ok(Self { imsi: imsi.parse()?, imei: format!("{body}{digit}").parse()?, ..Self::stored(number)? })
    }

    /// What it asks.
    pub(super) fn request(&self) -> CredentialRequest {
        CredentialRequest {
            imsi: Some(self.imsi.clone()),
            imei: Some(self.imei.clone()),
            mac: self.mac,
            trigger: Trigger::Attach,
            agent: "lab/1".to_owned(),
            policy_version: None,
        }
    }

    /// The same as an HTTP request.
    pub(super) fn posted(&self, format: Format) -> Result<Vec<u8>> {
        Ok(posted(format, format.encode_request(&self.request())?.as_bytes()))
    }
}

/// Any octets as an HTTP request in this format.
pub(super) fn posted(format: Format, body: &[u8]) -> Vec<u8> {
    let action = format.soap_action().map_or(String::new(), |action| format!("soapaction: {action}\r\n"));
    let head = format!(
        "POST /v1/credential HTTP/1.1\r\nhost: {PORTAL_NAME}\r\ncontent-type: {}\r\n{action}content-length: {}\r\n\r\n",
        format.request_content_type(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Fifteen digits, the last of them the check digit (3GPP TS 23.003 §B).
fn imei(number: usize) -> Result<Imei> {
    let body = format!("{TYPE_ALLOCATION}{:06}", number % 1_000_000);
    let digit = luhn(&body).context("digits")?;
    Ok(format!("{body}{digit}").parse()?)
}

/// The check digit of these digits.
pub(super) fn luhn(body: &str) -> Option<u32> {
    let sum = body.chars().rev().enumerate().try_fold(0, |sum, (at, digit)| {
        let digit = digit.to_digit(10)? * if at % 2 == 0 { 2 } else { 1 };
        Some(sum + digit / 10 + digit % 10)
    })?;
    Some((10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_different_and_their_numbers_right() {
        // The example of many textbooks.
        assert_eq!(luhn("49015420323751"), Some(8));
        let (first, last) = (Device::stored(0).unwrap(), Device::stored(999_999).unwrap());
        assert_eq!(
            (first.address.to_string(), last.address.to_string().as_str()),
            ("127.16.0.0".to_owned(), "127.31.66.63")
        );
        assert_ne!(first.imsi.expose(), last.imsi.expose());
        assert_ne!(first.mac, last.mac);
        assert_eq!(last.imei.expose().len(), 15);
    }
}
