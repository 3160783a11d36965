//! On which channels to look for the wanted networks. Pure.
//!
//! A scan of all channels takes four seconds and more, of one channel a tenth. A network that was just heard, and is
//! being watched for its dwell time before it is joined, is therefore looked for where it was heard; but never for
//! long without a look at all channels, where a better one may have come up.

use std::time::Duration;

use crate::wlan::Bss;

/// How long a look at all channels counts, and how long ago a network may have been heard.
const FRESH: Duration = Duration::from_secs(10);
/// More than this and a whole scan is as quick.
const MAX_CHANNELS: usize = 4;

/// Most channels of one request: as many as there are.
const MAX_ASKED: usize = 64;

/// The channels that the machine asks for, as the kernel takes them: each once.
pub(crate) fn asked(frequencies: &[u32]) -> Vec<u32> {
    let mut channels: Vec<u32> = frequencies.iter().copied().filter(|mhz| *mhz > 0).collect();
    channels.sort_unstable();
    channels.dedup();
    channels.truncate(MAX_ASKED);
    channels
}

/// The channels to scan where the machine names none, MHz; empty for all. `whole` is how long ago all channels were
/// looked at, `age` how old `results` are.
pub(crate) fn to_scan(
    wanted: &[Vec<u8>],
    results: &[Bss],
    age: Duration,
    whole: Option<Duration>,
) -> Vec<u32> {
    if whole.is_none_or(|ago| ago > FRESH) {
        return Vec::new();
    }
    let heard = |bss: &&Bss| {
        let ago = Duration::from_millis(bss.seen_ms_ago.into()).saturating_add(age);
        wanted.contains(&bss.ssid) && bss.frequency_mhz > 0 && ago <= FRESH
    };
    let mut channels: Vec<u32> = results.iter().filter(heard).map(|bss| bss.frequency_mhz).collect();
    channels.sort_unstable();
    channels.dedup();
    if channels.len() > MAX_CHANNELS { Vec::new() } else { channels }
}

#[cfg(test)]
mod tests {
    use provisioning::identity::Mac;

    use super::*;

    const ALL: [u32; 0] = [];

    fn bss(ssid: &str, frequency_mhz: u32, seen_ms_ago: u32) -> Bss {
        Bss { bssid: Mac([2; 6]), ssid: ssid.into(), signal_dbm: -60, frequency_mhz, seen_ms_ago }
    }

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_network_just_heard_is_looked_for_where_it_was() {
        let wanted = [b"corp".to_vec(), b"guest".to_vec()];
        let results =
            [bss("corp", 5180, 40), bss("corp", 2412, 900), bss("corp", 2412, 20), bss("cafe", 2437, 5)];
        assert_eq!(to_scan(&wanted, &results, secs(1), Some(secs(1))), [2412, 5180]);
        assert_eq!(to_scan(&[b"guest".to_vec()], &results, secs(1), Some(secs(1))), ALL);
    }

    #[test]
    fn what_is_asked_for_is_asked_once() {
        assert_eq!(asked(&[5180, 2412, 5180, 0]), [2412, 5180]);
        assert_eq!(asked(&[]), ALL);
        assert_eq!(asked(&(1..200).collect::<Vec<_>>()).len(), MAX_ASKED);
    }

    #[test]
    fn all_channels_have_their_turn() {
        let wanted = [b"corp".to_vec()];
        let results = [bss("corp", 2412, 0)];
        assert_eq!(to_scan(&wanted, &results, secs(0), None), ALL);
        assert_eq!(to_scan(&wanted, &results, secs(0), Some(secs(11))), ALL);
        assert_eq!(to_scan(&wanted, &results, secs(0), Some(secs(9))), [2412]);
    }

    #[test]
    fn what_was_heard_long_ago_is_looked_for_everywhere() {
        let wanted = [b"corp".to_vec()];
        assert_eq!(to_scan(&wanted, &[bss("corp", 2412, 10_001)], secs(0), Some(secs(0))), ALL);
        assert_eq!(to_scan(&wanted, &[bss("corp", 2412, 6_000)], secs(5), Some(secs(5))), ALL);
        let many: Vec<Bss> = (0..5).map(|channel| bss("corp", 2412 + channel * 5, 0)).collect();
        assert_eq!(to_scan(&wanted, &many, secs(0), Some(secs(0))), ALL);
    }
}
