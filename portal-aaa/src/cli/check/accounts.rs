//! Accounts made by hand, and the names of access points that the configuration and they speak of.

use super::Findings;
use crate::{
    config::Settings,
    credential::{Keys, Purpose},
    store::{Client, ClientKind, Store as _, sqlite::SqliteStore},
};

pub(super) fn check(
    settings: &Settings,
    store: &SqliteStore,
    keys: Option<&Keys>,
    clients: &[Client],
    findings: &mut Findings,
) {
    let known =
        |name: &str| clients.iter().any(|client| client.kind == ClientKind::Nas && client.name == name);
    for name in settings.session.named().filter(|name| !known(name)) {
        findings.note(
            format!("[session.nas.{name}] is about no access point there is"),
            "add it with `nas add`, or correct the name",
        );
    }
    for name in settings.access.nas.iter().filter(|name| !known(name)) {
        findings.note(
            format!("[access] nas lists {name}, which is no access point there is"),
            "add it with `nas add`, or correct the name",
        );
    }
    let accounts = match store.accounts() {
        Ok(accounts) => accounts,
        Err(error) => return findings.problem(error.to_string(), "add the account again with `user add`"),
    };
    if !accounts.is_empty() {
        findings.good(format!("accounts made by hand: {}", accounts.len()));
    }
    for account in &accounts {
        if keys.is_some_and(|keys| keys.open(Purpose::Account, &account.name, &account.password).is_err()) {
            let remedy = "the keys are not those it was added with; add it again, or restore keys.toml";
            findings.problem(format!("the password of account {} does not open", account.name), remedy);
        }
        for nas in account.nas.iter().filter(|name| !known(name)) {
            findings.note(
                format!("account {} is good at {nas}, which is no access point there is", account.name),
                "add it with `nas add`, or the account again without it",
            );
        }
    }
}
