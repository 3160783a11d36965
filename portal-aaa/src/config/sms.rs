//! Table `[sms]`: what may stand there, and what is made of it.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use provisioning::secret::Password;
use serde::Deserialize;

use crate::sms::{Delivery, Long, Settings, settings::Address};

/// SMPP 3.4 §5.2.1, §5.2.3, §5.2.8: without the octet that ends them.
const MAX_SYSTEM_ID: usize = 15;
const MAX_PASSWORD: usize = 8;
const MAX_SYSTEM_TYPE: usize = 12;
const MAX_ADDRESS: usize = 20;
/// Letters of an alphanumeric address (3GPP TS 23.040 §9.1.2.5).
const MAX_LETTERS: usize = 11;
/// Type of number: alphanumeric (SMPP 3.4 §5.2.5).
const ALPHANUMERIC: u8 = 5;
/// Longer, and a stolen request could be used days later; at most a day.
const CLOCK_WINDOW_SECS: std::ops::RangeInclusive<u64> = 60..=86_400;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmsFragment {
    server: String,
    system_id: String,
    password_file: PathBuf,
    #[serde(default)]
    system_type: String,
    source: String,
    #[serde(default = "international")]
    source_ton: u8,
    #[serde(default = "isdn")]
    source_npi: u8,
    #[serde(default = "international")]
    dest_ton: u8,
    #[serde(default = "isdn")]
    dest_npi: u8,
    #[serde(default)]
    long: LongFragment,
    #[serde(default = "window")]
    window: u32,
    #[serde(default = "per_second")]
    max_rate: u32,
    #[serde(default = "yes")]
    receipts: bool,
    #[serde(default = "first")]
    keys: Vec<u8>,
    #[serde(default = "clock_window")]
    clock_window_secs: u64,
    #[serde(default = "burst")]
    subscriber_burst: u32,
    #[serde(default = "refill")]
    subscriber_refill_secs: u32,
    #[serde(default)]
    delivery: DeliveryFragment,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LongFragment {
    #[default]
    Udh,
    Sar,
    Payload,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DeliveryFragment {
    #[default]
    AsAsked,
    SmsOnly,
}

fn international() -> u8 {
    1
}

fn isdn() -> u8 {
    1
}

fn window() -> u32 {
    10
}

fn per_second() -> u32 {
    10
}

fn yes() -> bool {
    true
}

fn first() -> Vec<u8> {
    vec![1]
}

fn clock_window() -> u64 {
    900
}

fn burst() -> u32 {
    5
}

fn refill() -> u32 {
    300
}

/// `unfit` hears of everything that cannot work.
pub(super) fn settings(
    fragment: SmsFragment,
    data_dir: &Path,
    unfit: &mut impl FnMut(&str, String),
) -> Settings {
    let (host, port) = fragment.server.rsplit_once(':').unwrap_or((&fragment.server, ""));
    if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port != 0) {
        unfit("sms.server", "must be HOST:PORT, such as smsc.operator.example:2775".to_owned());
    }
    for (key, text, most) in [
        ("sms.system_id", &fragment.system_id, MAX_SYSTEM_ID),
        ("sms.system_type", &fragment.system_type, MAX_SYSTEM_TYPE),
    ] {
        if text.len() > most || !text.bytes().all(|b| b.is_ascii_graphic()) {
            unfit(key, format!("has at most {most} printable characters"));
        }
    }
    let letters = fragment.source_ton == ALPHANUMERIC;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let source = fragment.source.strip_prefix('+').unwrap_or(&fragment.source);
    let most = if letters { MAX_LETTERS } else { MAX_ADDRESS };
    if !(1..=most).contains(&source.len()) || !(letters || digits(source)) || !source.is_ascii() {
        unfit(
            "sms.source",
            "is a number of digits, with or without a +; with source_ton = 5 up to 11 letters".to_owned(),
        );
    }
    for (key, value, most) in [
        ("sms.source_ton", fragment.source_ton, 6),
        ("sms.dest_ton", fragment.dest_ton, 6),
        ("sms.source_npi", fragment.source_npi, 18),
        ("sms.dest_npi", fragment.dest_npi, 18),
    ] {
        if value > most {
            unfit(key, format!("must be 0 to {most}"));
        }
    }
    for (key, value, most) in [
        ("sms.window", fragment.window, 1000),
        ("sms.max_rate", fragment.max_rate, 10_000),
        ("sms.subscriber_burst", fragment.subscriber_burst, 100),
        ("sms.subscriber_refill_secs", fragment.subscriber_refill_secs, 86_400),
    ] {
        if !(1..=most).contains(&value) {
            unfit(key, format!("must be 1 to {most}"));
        }
    }
    let different: HashSet<_> = fragment.keys.iter().collect();
    if fragment.keys.is_empty() || different.len() != fragment.keys.len() {
        unfit("sms.keys", "needs at least one number, and none twice".to_owned());
    }
    if !CLOCK_WINDOW_SECS.contains(&fragment.clock_window_secs) {
        let (least, most) = CLOCK_WINDOW_SECS.into_inner();
        unfit("sms.clock_window_secs", format!("must be {least} to {most} seconds"));
    }
    Settings {
        password: password(&data_dir.join(&fragment.password_file), unfit),
        system_id: fragment.system_id,
        system_type: fragment.system_type,
        source: Address { ton: fragment.source_ton, npi: fragment.source_npi, text: source.to_owned() },
        dest_ton: fragment.dest_ton,
        dest_npi: fragment.dest_npi,
        long: match fragment.long {
            LongFragment::Udh => Long::Udh,
            LongFragment::Sar => Long::Sar,
            LongFragment::Payload => Long::Payload,
        },
        window: usize::try_from(fragment.window).unwrap_or(1),
        per_second: fragment.max_rate,
        receipts: fragment.receipts,
        keys: fragment.keys,
        clock_window: Duration::from_secs(fragment.clock_window_secs),
        subscriber_burst: fragment.subscriber_burst,
        subscriber_refill: Duration::from_secs(fragment.subscriber_refill_secs.into()),
        delivery: match fragment.delivery {
            DeliveryFragment::AsAsked => Delivery::AsAsked,
            DeliveryFragment::SmsOnly => Delivery::SmsOnly,
        },
        server: fragment.server,
    }
}

fn password(path: &Path, unfit: &mut impl FnMut(&str, String)) -> Password {
    match fs::read_to_string(path).map(Password::new) {
        Ok(text) => {
            let line = text.expose().trim_end_matches(['\r', '\n']);
            if line.len() > MAX_PASSWORD || !line.bytes().all(|b| b.is_ascii_graphic()) {
                unfit(
                    "sms.password_file",
                    format!("holds one line of at most {MAX_PASSWORD} printable characters"),
                );
            }
            Password::new(line.to_owned())
        }
        Err(error) => {
            unfit("sms.password_file", format!("cannot be read: {error}"));
            Password::new(String::new())
        }
    }
}
