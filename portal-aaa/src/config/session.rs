//! Tables `[access]`, `[session]` and `[accounting]`: where credentials are good, what access points are told about a
//! session, and how long usage is kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    aaa::policy::SessionPolicy,
    credential::{Access, Policies, Rules},
};

/// RFC 2869 §5.16: the interval MUST NOT be smaller than 60 seconds.
const INTERIM_SECS: std::ops::RangeInclusive<u32> = 60..=86_400;
/// Shorter sessions are a login storm, longer ones no limit.
const TIMEOUT_SECS: std::ops::RangeInclusive<u32> = 60..=31_536_000;
/// Stations sleep for some seconds.
const IDLE_SECS: std::ops::RangeInclusive<u32> = 30..=86_400;
/// What 32 bits of bit/s hold.
const MAX_KBITS: u32 = u32::MAX / 1000;
/// RFC 2865 §5: an attribute has at most 253 octets.
const MAX_FILTER: usize = 253;
/// IEEE 802.11 §9.4.2.2.
const MAX_SSID: usize = 32;
/// A session of which nothing was ever heard counts for a day.
const ASSUME_GONE_SECS: u64 = 86_400;

/// `[access]` as it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccessFragment {
    ssids: Vec<String>,
    nas: Vec<String>,
}

/// `[session]` as it stands in the file. 0 and "" are for what is not sent.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SessionFragment {
    timeout_secs: u32,
    idle_timeout_secs: u32,
    interim_secs: u32,
    vlan: u16,
    filter_id: String,
    max_up_kbits: u32,
    max_down_kbits: u32,
    terminate_at: String,
    max_sessions: u32,
    assume_gone_secs: u64,
    nas: BTreeMap<String, NasFragment>,
}

/// `[session.nas.NAME]`: what is different at one access point.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NasFragment {
    timeout_secs: Option<u32>,
    idle_timeout_secs: Option<u32>,
    interim_secs: Option<u32>,
    vlan: Option<u16>,
    filter_id: Option<String>,
    max_up_kbits: Option<u32>,
    max_down_kbits: Option<u32>,
    terminate_at: Option<String>,
}

/// `[accounting]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountingSettings {
    /// Days that closed sessions and reports are kept; 0 for ever.
    pub keep_days: u32,
}

/// `[session]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// Everywhere, with the second of the day (UTC) at which sessions end.
    pub everywhere: (SessionPolicy, Option<u32>),
    /// At one access point.
    pub nas: BTreeMap<String, (SessionPolicy, Option<u32>)>,
    /// Concurrent sessions of one subscriber; 0 for any number.
    pub max_sessions: u32,
    /// A session of which nothing is heard for so long counts no more.
    pub assume_gone_secs: u64,
}

impl SessionSettings {
    /// Access points that have rules of their own.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.nas.keys().map(String::as_str)
    }

    /// What a login is judged and answered by.
    pub fn rules(&self, access: &Access) -> Rules {
        Rules {
            access: access.clone(),
            policies: Policies::new(self.everywhere.clone(), self.nas.clone()),
            max_sessions: self.max_sessions,
        }
    }
}

impl Default for SessionFragment {
    fn default() -> Self {
        Self {
            timeout_secs: 0,
            idle_timeout_secs: 0,
            interim_secs: 600,
            vlan: 0,
            filter_id: String::new(),
            max_up_kbits: 0,
            max_down_kbits: 0,
            terminate_at: String::new(),
            max_sessions: 0,
            assume_gone_secs: 0,
            nas: BTreeMap::new(),
        }
    }
}

pub(super) fn access(fragment: AccessFragment, unfit: &mut impl FnMut(&str, String)) -> Access {
    for (number, ssid) in fragment.ssids.iter().enumerate() {
        if !(1..=MAX_SSID).contains(&ssid.len()) || ssid.chars().any(char::is_control) {
            unfit(
                &format!("access.ssids.{number}"),
                format!("an SSID has 1 to {MAX_SSID} octets and no control characters"),
            );
        }
    }
    for (number, nas) in fragment.nas.iter().enumerate() {
        if nas.is_empty() || nas.trim() != nas {
            unfit(&format!("access.nas.{number}"), "must be a name given by `portal-aaa nas add`".to_owned());
        }
    }
    Access { ssids: fragment.ssids, nas: fragment.nas }
}

pub(super) fn session(fragment: &SessionFragment, unfit: &mut impl FnMut(&str, String)) -> SessionSettings {
    let everywhere = NasFragment {
        timeout_secs: Some(fragment.timeout_secs),
        idle_timeout_secs: Some(fragment.idle_timeout_secs),
        interim_secs: Some(fragment.interim_secs),
        vlan: Some(fragment.vlan),
        filter_id: Some(fragment.filter_id.clone()),
        max_up_kbits: Some(fragment.max_up_kbits),
        max_down_kbits: Some(fragment.max_down_kbits),
        terminate_at: Some(fragment.terminate_at.clone()),
    };
    let everywhere = policy("session", &everywhere, &(SessionPolicy::default(), None), unfit);
    let mut nas = BTreeMap::new();
    for (name, different) in &fragment.nas {
        nas.insert(name.clone(), policy(&format!("session.nas.{name}"), different, &everywhere, unfit));
    }
    let timeout = everywhere.0.session_timeout_secs.map(u64::from);
    SessionSettings {
        assume_gone_secs: match fragment.assume_gone_secs {
            0 => timeout.unwrap_or(ASSUME_GONE_SECS),
            secs => secs,
        },
        max_sessions: fragment.max_sessions,
        everywhere,
        nas,
    }
}

fn policy(
    table: &str,
    given: &NasFragment,
    base: &(SessionPolicy, Option<u32>),
    unfit: &mut impl FnMut(&str, String),
) -> (SessionPolicy, Option<u32>) {
    let (mut policy, mut ends_at) = base.clone();
    let mut secs =
        |key: &str, value: Option<u32>, fit: std::ops::RangeInclusive<u32>, slot: &mut Option<u32>| {
            let Some(value) = value else { return };
            if value != 0 && !fit.contains(&value) {
                unfit(
                    &format!("{table}.{key}"),
                    format!("must be 0 (not sent) or {} to {} seconds", fit.start(), fit.end()),
                );
            }
            *slot = (value != 0).then_some(value);
        };
    secs("timeout_secs", given.timeout_secs, TIMEOUT_SECS, &mut policy.session_timeout_secs);
    secs("idle_timeout_secs", given.idle_timeout_secs, IDLE_SECS, &mut policy.idle_timeout_secs);
    secs("interim_secs", given.interim_secs, INTERIM_SECS, &mut policy.interim_interval_secs);
    for (key, value, slot) in [
        ("max_up_kbits", given.max_up_kbits, &mut policy.max_up_bits),
        ("max_down_kbits", given.max_down_kbits, &mut policy.max_down_bits),
    ] {
        let Some(value) = value else { continue };
        if value > MAX_KBITS {
            unfit(&format!("{table}.{key}"), format!("must be 0 (not sent) to {MAX_KBITS}"));
        }
        *slot = (value != 0).then_some(value.saturating_mul(1000));
    }
    if let Some(vlan) = given.vlan {
        if vlan > 4094 {
            unfit(&format!("{table}.vlan"), "must be 1 to 4094 (IEEE 802.1Q), or 0 for none".to_owned());
        }
        policy.vlan = (vlan != 0).then_some(vlan);
    }
    if let Some(filter) = &given.filter_id {
        if filter.len() > MAX_FILTER || filter.chars().any(char::is_control) {
            unfit(
                &format!("{table}.filter_id"),
                format!("has at most {MAX_FILTER} octets and no control characters"),
            );
        }
        policy.filter_id = Some(filter.clone()).filter(|filter| !filter.is_empty());
    }
    if let Some(time) = &given.terminate_at {
        ends_at = second_of_day(time);
        if !time.is_empty() && ends_at.is_none() {
            unfit(
                &format!("{table}.terminate_at"),
                "must be a time of day (UTC) such as \"04:00\"".to_owned(),
            );
        }
    }
    (policy, ends_at)
}

fn second_of_day(time: &str) -> Option<u32> {
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
}
