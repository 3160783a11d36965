//! Methods × TLS versions × certificates: a first login, a resumed one, crypto-binding, and three packet sizes.

use anyhow::{Result, ensure};

use super::{Limits, Task, bed::Bed};
use crate::peers::{
    certificate::Kind,
    eapol::{Attempt, Method, Tls, is_peap},
};

/// Octets of TLS in a packet of the peer, and of what the link carries towards it: hardly anything, half of what is
/// usual, and wpa_supplicant's default.
const SIZES: [u16; 3] = [100, 500, 1398];

/// A case a cell.
pub(super) fn tasks() -> Vec<Task> {
    cells()
        .map(|(kind, method, tls)| {
            let name = format!("{}, TLS {}, {}", method.name(), tls.name(), kind.name());
            Task::new(name, move |bed| cell(bed, kind, method, tls))
        })
        .collect()
}

/// All cells.
pub(super) fn cells() -> impl Iterator<Item = (Kind, Method, Tls)> {
    let kinds = || [Kind::P256, Kind::Rsa].into_iter();
    let versions = || Tls::ALL.into_iter();
    Method::ALL
        .into_iter()
        .flat_map(move |method| versions().flat_map(move |tls| kinds().map(move |kind| (kind, method, tls))))
}

fn cell(bed: &Bed, kind: Kind, method: Method, tls: Tls) -> Result<Limits> {
    let user = bed.issue(kind, "device")?;
    let plain = Attempt { again: 1, ..bed.attempt(kind, &user, method, tls) };
    twice(bed, &plain, "plain")?;
    if is_peap(method) {
        let outcome = twice(bed, &Attempt { binding: true, ..plain.clone() }, "crypto_binding=2")?;
        ensure!(outcome.contains("Valid cryptobinding TLV received"), "crypto_binding=2: no binding seen");
    }
    for size in SIZES {
        let sized = Attempt {
            fragment: Some(size),
            framed_mtu: Some(size),
            binding: is_peap(method),
            ..plain.clone()
        };
        let text = twice(bed, &sized, &format!("packets of {size}"))?;
        let longest = longest_request(&text);
        // The server's certificate alone is longer than the two smaller sizes.
        ensure!(
            size > 500 || (longest <= usize::from(size) && longest + 80 > usize::from(size)),
            "packets of {size}: the longest from the server has {longest} octets"
        );
    }
    Ok(Limits::new())
}

/// A login and one that resumes its session. Gives what the peer printed.
fn twice(bed: &Bed, attempt: &Attempt, what: &str) -> Result<String> {
    let outcome = bed.run(attempt)?;
    let fail = |why: &str| format!("{what}: {why}\n{}", outcome.evidence());
    ensure!(outcome.accepted, "{}", fail("not accepted"));
    ensure!(outcome.on(attempt.tls), "{}", fail("another TLS version"));
    ensure!(outcome.keys_match(2), "{}", fail("the keys are not the peer's"));
    ensure!(
        outcome.resumed() == 1,
        "{}",
        fail(&format!("{} logins resumed, expected 1 of 2", outcome.resumed()))
    );
    Ok(outcome.text)
}

/// Octets of the longest EAP packet that came from the server, as the peer counted them.
fn longest_request(text: &str) -> usize {
    let counted = text.lines().filter_map(|line| {
        let rest = line.split_once("decapsulated EAP packet (")?.1;
        let (_, length) = rest.split_once(" len=")?;
        length.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    });
    counted.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_whole() {
        assert_eq!(cells().count(), 8 * 2 * 2);
    }

    #[test]
    fn packets_are_counted() {
        let text = "decapsulated EAP packet (code=1 id=7 len=94) from RADIUS server: EAP-Request-PEAP (25)\n\
                    decapsulated EAP packet (code=3 id=9 len=4) from RADIUS server: EAP Success\n";
        assert_eq!(longest_request(text), 94);
    }
}
