//! The twins of the matrix that must fail: every cell with a wrong password, another's card, a credential that has
//! expired or was revoked, and a server that the peer must not trust.

use std::thread;

use anyhow::{Result, anyhow, ensure};

use super::{Limits, Task, bed::Bed, matrix};
use crate::peers::{
    User,
    certificate::Kind,
    eapol::{Attempt, Method, Tls},
};

/// Not the name of any server.
const OTHER_NAME: &str = "aaa.elsewhere.example";

/// Logins of a station that resumes again and again, ten a second.
const AGAIN: u32 = 60;

/// A case a cell, and what becomes of a session when its credential ends.
pub(super) fn tasks() -> Vec<Task> {
    let mut tasks = cells();
    for tls in Tls::ALL {
        let name = format!("resumption ends with the credential, TLS {}", tls.name());
        tasks.push(Task::new(name, move |bed| resumed_until_revoked(bed, tls)));
    }
    tasks
}

fn cells() -> Vec<Task> {
    matrix::cells()
        .map(|(kind, method, tls)| {
            let name = format!("{}, TLS {}, {}: refusals", method.name(), tls.name(), kind.name());
            Task::new(name, move |bed| cell(bed, kind, method, tls))
        })
        .collect()
}

fn cell(bed: &Bed, kind: Kind, method: Method, tls: Tls) -> Result<Limits> {
    // First, so that its second goes by while the others are tried.
    let expired = bed.issue(kind, "1")?;
    let good = bed.issue(kind, "device")?;
    let attempt = |user: &User| bed.attempt(kind, user, method, tls);

    let liar = User { password: "not-the-password".to_owned(), ..good.clone() };
    bed.must_refuse(kind, &attempt(&liar), "wrong-password")?;
    let other_card = User { station: bed.station(), ..good.clone() };
    bed.must_refuse(kind, &attempt(&other_card), "wrong-mac")?;

    let distrust = Attempt { server_name: OTHER_NAME.to_owned(), ..attempt(&good) };
    let outcome = bed.run(&distrust)?;
    ensure!(!outcome.accepted, "a server of another name was trusted");
    let told = "CTRL-EVENT-EAP-TLS-CERT-ERROR";
    ensure!(outcome.text.contains(told), "the peer does not mind the name\n{}", outcome.evidence());
    ensure!(outcome.rejected(), "no Access-Reject after the peer's alert\n{}", outcome.evidence());

    bed.until_refused(kind, &attempt(&expired), "expired")?;
    bed.must_refuse(kind, &attempt(&expired), "expired")?;

    ensure!(bed.run(&attempt(&good))?.accepted, "the same credential is good without all that");
    bed.server(kind).admin(&["credential", "revoke", &good.name])?;
    bed.until_refused(kind, &attempt(&good), "revoked")?;
    // A session of before must not help, either.
    bed.must_refuse(kind, &Attempt { again: 1, ..attempt(&good) }, "revoked")?;
    Ok(Limits::new())
}

/// A station resumes its session over and over while its credential is revoked: from then on it must not get in.
fn resumed_until_revoked(bed: &Bed, tls: Tls) -> Result<Limits> {
    let kind = Kind::P256;
    let user = bed.issue(kind, "device")?;
    let attempt = Attempt { again: AGAIN, ..bed.attempt(kind, &user, Method::PeapMschapv2, tls) };
    let outcome = thread::scope(|scope| {
        let station = scope.spawn(|| bed.run(&attempt));
        let resumed = bed.until_resumed(kind, &user.name);
        let revoked = resumed.and_then(|()| bed.server(kind).admin(&["credential", "revoke", &user.name]));
        let outcome = station.join().map_err(|_| anyhow!("a thread died"))?;
        revoked.and(outcome)
    })?;
    ensure!(outcome.rejected(), "no login was refused\n{}", outcome.evidence());
    let verdicts = bed.verdicts(kind, &user.name)?;
    let accepted = verdicts.iter().take_while(|verdict| *verdict == "accepted").count();
    let rest = verdicts.get(accepted..).unwrap_or_default();
    ensure!(
        !rest.is_empty() && rest.iter().all(|verdict| verdict == "revoked"),
        "in this order: {verdicts:?}"
    );
    Ok(Limits::new())
}
