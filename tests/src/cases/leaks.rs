//! Nothing that must stay secret stands where it can be read: database, logs, and what could be overheard.
//!
//! The packet gateway's own feed carries the IMSI by 3GPP's rules; it runs inside the core and is not captured.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    report::Reporter,
    world::{World, plan},
};

/// What must be in each capture: one that has caught nothing proves nothing.
const CAUGHT: [(&str, &str); 3] = [
    ("air.pcap", plan::SSID),
    // The NAS-Identifier of the access point's requests.
    ("ap-to-aaa.pcap", "ap1.operator.example"),
    // The server name in the TLS ClientHello.
    ("device-to-portal.pcap", plan::PORTAL_NAME),
];

/// After all the others: their traces are all there.
pub(super) fn nothing(world: &mut World, _: &Reporter) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], super::rounds::ARMED)?;
    let password = world.supplicant()?.password()?;
    ensure!(password.len() >= 16, "the supplicant's password is no password");
    let files = search(world, &[("IMSI", plan::IMSI), ("IMEI", plan::IMEI), ("password", &password)])?;
    for (name, caught) in CAUGHT {
        let proof =
            files.iter().any(|(path, content)| path.ends_with(name) && contains(content, caught.as_bytes()));
        ensure!(proof, "{name} has not caught {caught}");
    }
    Ok(())
}

/// Without a radio there is no supplicant to tell the password.
pub(super) fn nothing_without_radio(world: &mut World, _: &Reporter) -> Result<()> {
    search(world, &[("IMSI", plan::IMSI), ("IMEI", plan::IMEI)]).map(drop)
}

/// All that could be read; an error where a secret is in it.
fn search(world: &mut World, secrets: &[(&str, &str)]) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let places = world.readable_traces()?;
    let mut files = BTreeMap::new();
    for place in &places {
        collect(place, &mut files)?;
    }
    ensure!(!files.is_empty(), "there is nothing to search");
    let mut found = Vec::new();
    for (path, content) in &files {
        for (name, secret) in secrets {
            if spellings(secret).iter().any(|spelling| contains(content, spelling)) {
                found.push(format!("{name} in {}", path.display()));
            }
        }
    }
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(files)
}

/// As text, as UTF-16, and, for digits, as telephony packs them (TBCD, 3GPP TS 29.002 §17.7.8).
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut all =
        vec![secret.as_bytes().to_vec(), secret.encode_utf16().flat_map(u16::to_le_bytes).collect()];
    if secret.bytes().all(|octet| octet.is_ascii_digit()) {
        let digits: Vec<u8> = secret.bytes().map(|octet| octet - b'0').collect();
        // The last, half filled octet differs by filler: the whole ones are enough to be sure.
        all.push(
            digits
                .chunks_exact(2)
                .filter_map(|pair| match pair {
                    [low, high] => Some(high << 4 | low),
                    _ => None,
                })
                .collect(),
        );
    }
    all
}

fn contains(content: &[u8], wanted: &[u8]) -> bool {
    !wanted.is_empty() && content.windows(wanted.len()).any(|window| window == wanted)
}

fn collect(place: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    if place.is_dir() {
        for entry in fs::read_dir(place)? {
            collect(&entry?.path(), files)?;
        }
    } else if place.is_file() {
        files.insert(place.to_owned(), fs::read(place).with_context(|| place.display().to_string())?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_spelling() {
        let all = spellings("001010123456789");
        assert_eq!(all[2], [0x00, 0x01, 0x01, 0x21, 0x43, 0x65, 0x87]);
        for spelling in &all {
            let content = [b"before".as_slice(), spelling, b"after"].concat();
            assert!(contains(&content, spelling));
        }
        assert!(!contains(b"00101012345678", b"001010123456789"));
    }

    #[test]
    fn a_password_has_no_packed_spelling() {
        assert_eq!(spellings("s3cret").len(), 2);
    }
}
