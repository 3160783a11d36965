//! One live session, small: a hundred thousand of them must fit where nobody notices.

use std::{net::IpAddr, sync::Arc};

use provisioning::identity::Mac;

use crate::aaa::directory::{Reject, Subscriber};

/// Times in a table are seconds since 1970 in 32 bits (until 2106); this is none.
pub(super) const NEVER: u32 = 0;
/// No other session of this subscriber follows.
pub(super) const NONE: u32 = u32::MAX;

pub(super) fn short(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A session that counts.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) class: [u8; 16],
    pub(super) names: Names,
    /// Shared by all sessions of the client.
    pub(super) client: Arc<str>,
    pub(super) address: IpAddr,
    pub(super) nas_address: Option<IpAddr>,
    pub(super) mac: Option<Mac>,
    pub(super) subscriber: Subscriber,
    pub(super) stamp: u64,
    /// The credential's end.
    pub(super) expires_at: u32,
    /// The access point ends it here by itself.
    pub(super) ends_at: u32,
    pub(super) admitted_at: u32,
    pub(super) heard_at: u32,
    /// Seconds between its reports, as far as it was told; 0 for none.
    pub(super) interim_secs: u32,
    /// Tells this session from another one in the same place of the table.
    pub(super) serial: u32,
    /// Next session of the same subscriber.
    pub(super) next: u32,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Logged on; nothing was reported yet.
    Admitted,
    /// Its access point reports on it.
    Reported,
    /// Must end, and whoever sends Disconnect-Requests knows; so many times before.
    Ending(Reject, u8),
    /// Must end, and its access point does not do it.
    Refused,
}

/// Texts of a session in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Names(Box<[u8]>);

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Username,
    SessionId,
    MultiSessionId,
    CallingStation,
    NasIdentifier,
}

const NAMES: usize = 5;
/// Length of a text that is not there.
const ABSENT: u16 = u16::MAX;

impl Names {
    /// In the order of [`Name`].
    pub(super) fn new(texts: [Option<&str>; NAMES]) -> Self {
        let mut octets = Vec::with_capacity(texts.iter().map(|text| 2 + text.map_or(0, str::len)).sum());
        for text in texts {
            // Attributes are shorter by far.
            let length = text.map_or(ABSENT, |text| u16::try_from(text.len()).unwrap_or(ABSENT));
            octets.extend_from_slice(&length.to_be_bytes());
            if length != ABSENT {
                octets.extend_from_slice(text.unwrap_or_default().as_bytes());
            }
        }
        Self(octets.into_boxed_slice())
    }

    pub(super) fn get(&self, name: Name) -> Option<&str> {
        let mut rest = &*self.0;
        for _ in 0..name as usize {
            rest = split(rest)?.1;
        }
        std::str::from_utf8(split(rest)?.0?).ok()
    }

    /// The same with other texts where there are some.
    pub(super) fn with(&self, changes: &[(Name, Option<&str>)]) -> Option<Self> {
        let all = [
            Name::Username,
            Name::SessionId,
            Name::MultiSessionId,
            Name::CallingStation,
            Name::NasIdentifier,
        ];
        let new = |name| changes.iter().find(|(of, _)| *of == name).and_then(|(_, text)| *text);
        let changed = all.iter().any(|name| new(*name).is_some_and(|text| self.get(*name) != Some(text)));
        changed.then(|| Self::new(all.map(|name| new(name).or(self.get(name)))))
    }
}

fn split(octets: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    match u16::from_be_bytes(*length) {
        ABSENT => Some((None, rest)),
        length => rest.split_at_checked(usize::from(length)).map(|(text, rest)| (Some(text), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_given_back() {
        let names = Names::new([Some("user"), None, Some(""), Some("ö"), None]);
        assert_eq!(names.get(Name::Username), Some("user"));
        assert_eq!(names.get(Name::SessionId), None);
        assert_eq!(names.get(Name::MultiSessionId), Some(""));
        assert_eq!(names.get(Name::CallingStation), Some("ö"));
        assert_eq!(names.get(Name::NasIdentifier), None);
        assert!(names.with(&[(Name::Username, None), (Name::CallingStation, Some("ö"))]).is_none());
        let other = names.with(&[(Name::SessionId, Some("1")), (Name::Username, None)]).unwrap();
        assert_eq!((other.get(Name::SessionId), other.get(Name::Username)), (Some("1"), Some("user")));
        assert_eq!(Names::default().get(Name::Username), None);
    }

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Option<Entry>>() <= 152, "{}", size_of::<Option<Entry>>());
    }
}
