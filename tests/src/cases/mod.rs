//! What the suites `modem` and `vm` do, inside their namespaces or their virtual machine.
//!
//! Cases of a suite share one world and run in order; each brings the agent back to `armed` (or to what its name
//! says) before it ends, so that one that fails does not make all after it fail.

mod clock;
mod crash;
mod disconnect;
pub(crate) mod doctor;
mod hotspot;
mod leaks;
mod modem;
mod owner;
mod refusals;
mod restarts;
mod rounds;
mod sms;
pub(crate) mod wispr;

use anyhow::{Result, bail};

use crate::{
    report::{Case, Crashes, Line, Reporter},
    world::{Feed, Options, World},
};

/// One case.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'static str,
    pub(crate) run: &'a dyn Fn(&mut World, &Reporter) -> Result<()>,
}

/// Of suite `vm`, the one that needs the message centre.
pub(crate) const BY_SMS: &str = "sms-only-ends-in-a-wifi-login";

const VM: [Entry<'static>; 18] = [
    Entry { name: "whole-offload-and-return", run: &rounds::whole },
    Entry { name: "modemmanager-killed-and-restarted", run: &restarts::modem_manager },
    Entry { name: "supplicant-killed-and-restarted", run: &restarts::supplicant },
    Entry { name: "supplicant-killed-while-on-wifi", run: &restarts::supplicant_on_wifi },
    Entry { name: "portal-aaa-killed-and-restarted", run: &restarts::portal_aaa },
    Entry { name: "wrong-mac-is-refused", run: &refusals::wrong_mac },
    Entry { name: "rogue-access-point-gets-nothing", run: &refusals::rogue },
    Entry { name: "clock-of-1970", run: &clock::of_1970 },
    Entry { name: "clock-of-2040", run: &clock::of_2040 },
    Entry { name: "revoked-session-ends-within-a-second", run: &disconnect::revoked },
    Entry { name: "expired-session-ends-within-a-second", run: &disconnect::expired },
    Entry { name: "networkmanager-owns-wifi-and-modem", run: &owner::both },
    // They leave a policy with an open network behind, and so come after all that know of none.
    Entry { name: "wispr-fig-6-there-and-back", run: &hotspot::fig_6 },
    Entry { name: "wispr-radius-down", run: &hotspot::radius_down },
    Entry { name: "wispr-login-page-of-another-name", run: &hotspot::wrong_name },
    Entry { name: "wispr-revoked-session-ends", run: &hotspot::revoked },
    Entry { name: "nothing-leaks", run: &leaks::nothing },
    // After that: SMPP carries numbers in clear, and the last hop of a message is somebody else's matter.
    Entry { name: BY_SMS, run: &sms::to_wifi },
];

const MODEM: [Entry<'static>; 14] = [
    Entry { name: "modem-comes-late-and-a-credential-is-fetched", run: &modem::late },
    Entry { name: "modem-leaves-and-returns", run: &modem::leaves },
    Entry { name: "network-drops-the-session", run: &modem::dropped },
    Entry { name: "modemmanager-killed-and-restarted", run: &modem::killed },
    Entry { name: "one-address-family-is-remembered", run: &modem::families },
    Entry { name: "locked-sim-is-opened-by-its-pin", run: &modem::pin },
    Entry { name: "wrong-pin-is-sent-once", run: &modem::wrong_pin },
    Entry { name: "networkmanager-owns-the-modem", run: &modem::network_manager },
    Entry { name: "silent-gateway-feed-gives-nothing", run: &modem::silent_feed },
    Entry { name: "another-imsi-gets-nothing", run: &modem::other_imsi },
    Entry { name: "credential-by-sms-without-any-data", run: &sms::without_data },
    Entry { name: "sms-replayed-or-from-a-wrong-sender-is-refused", run: &sms::refused },
    Entry { name: "credential-by-sms-though-asked-by-https", run: &sms::delivered },
    Entry { name: "no-identifier-in-database-or-logs", run: &leaks::nothing_without_radio },
];

/// Suite `vm`; true where all cases are good.
pub(crate) fn vm(
    only: Option<&str>,
    crashes: Crashes,
    options: &Options,
    reporter: &Reporter,
) -> Result<bool> {
    let killed = |world: &mut World, reporter: &Reporter| crash::killed(world, reporter, crashes);
    let mut entries: Vec<&Entry<'_>> = VM.iter().collect();
    let killed = Entry { name: "killed-at-random-moments", run: &killed };
    let before = VM.iter().position(|entry| entry.name.starts_with("wispr")).unwrap_or(VM.len());
    entries.insert(before, &killed);
    all(&entries, only, options, reporter)
}

/// Suite `modem`.
pub(crate) fn modem(only: Option<&str>, options: &Options, reporter: &Reporter) -> Result<bool> {
    all(&MODEM.iter().collect::<Vec<_>>(), only, options, reporter)
}

fn all(entries: &[&Entry<'_>], only: Option<&str>, options: &Options, reporter: &Reporter) -> Result<bool> {
    debug_assert_eq!(options.feed, Feed::Honest);
    let mut world = World::build(options, reporter)?;
    let good = each(&mut world, entries, only, reporter)?;
    world.finish()?;
    Ok(good)
}

/// Runs those whose name contains `only` in this world; true where all are good.
pub(crate) fn each(
    world: &mut World,
    entries: &[&Entry<'_>],
    only: Option<&str>,
    reporter: &Reporter,
) -> Result<bool> {
    let wanted: Vec<&Entry<'_>> =
        entries.iter().copied().filter(|entry| only.is_none_or(|only| entry.name.contains(only))).collect();
    if wanted.is_empty() {
        bail!("no case of that name");
    }
    let mut good = true;
    for entry in wanted {
        let began = crate::clock::now();
        let outcome = world.calm().and_then(|()| (entry.run)(world, reporter));
        let failure = outcome.err().map(|error| format!("{error:?}"));
        good &= failure.is_none();
        let secs = began.elapsed().as_secs_f32();
        reporter.send(&Line::Case(Case { failure, ..Case::good(entry.name, secs) }));
    }
    Ok(good)
}
