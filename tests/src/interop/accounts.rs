//! Static accounts: names and passwords as people write them, by every method; and only by those listed.

use anyhow::{Result, ensure};

use super::{Limits, Task, bed::Bed};
use crate::peers::{
    User,
    certificate::Kind,
    eapol::{Method, Tls},
};

/// Names and passwords. wpa_supplicant leaves the domain out of MSCHAPv2's hash.
const ACCOUNTS: [(&str, &str, &str); 4] = [
    ("spaces", "probe in building 7", "a password with spaces"),
    ("domain", "LAB\\probe", "correct horse battery"),
    ("umlauts", "Zoë Müller", "pässwörd"),
    ("far", "проверка@станция", "合言葉は秘密です"),
];

/// Its cases.
pub(super) fn tasks() -> Vec<Task> {
    let mut tasks: Vec<Task> = ACCOUNTS
        .into_iter()
        .map(|(short, name, password)| {
            Task::new(format!("account: {short}"), move |bed| every_method(bed, name, password))
        })
        .collect();
    tasks.push(Task::new("account: only the methods listed", listed_only));
    tasks.push(Task::new("account: only the station named", station_only));
    tasks
}

fn every_method(bed: &Bed, name: &str, password: &str) -> Result<Limits> {
    let user = bed.account(name, password, &[])?;
    for tls in Tls::ALL {
        for method in Method::ALL {
            let outcome = bed.run(&bed.attempt(Kind::P256, &user, method, tls))?;
            let good = outcome.accepted && outcome.keys_match(1);
            ensure!(good, "{}, TLS {}\n{}", method.name(), tls.name(), outcome.evidence());
            let liar = User { password: format!("{password}!"), ..user.clone() };
            bed.must_refuse(Kind::P256, &bed.attempt(Kind::P256, &liar, method, tls), "wrong-password")?;
        }
    }
    Ok(Limits::new())
}

fn listed_only(bed: &Bed) -> Result<Limits> {
    for listed in Method::ALL {
        let user =
            bed.account(&format!("only {}", listed.name()), "listed-only", &["--methods", listed.name()])?;
        for method in Method::ALL {
            let attempt = bed.attempt(Kind::P256, &user, method, Tls::V12);
            if method == listed {
                let outcome = bed.run(&attempt)?;
                ensure!(outcome.accepted, "{} is listed\n{}", method.name(), outcome.evidence());
            } else {
                bed.must_refuse(Kind::P256, &attempt, "method-not-allowed")?;
            }
        }
    }
    Ok(Limits::new())
}

fn station_only(bed: &Bed) -> Result<Limits> {
    let station = bed.station();
    let user =
        User { station: station.clone(), ..bed.account("one station", "one-station", &["--mac", &station])? };
    let attempt = |user| bed.attempt(Kind::P256, user, Method::TtlsPap, Tls::V13);
    ensure!(bed.run(&attempt(&user))?.accepted, "the station itself");
    bed.must_refuse(Kind::P256, &attempt(&User { station: bed.station(), ..user.clone() }), "wrong-mac")?;
    Ok(Limits::new())
}
