//! The real wifi-offloadd on a real bus of the system type, with our policy, a real polkitd and its rules: what somebody
//! who is not root may see and do.
//!
//! Needs root (network and mount namespaces), Debian's dbus, polkitd and util-linux.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    reason = "tests and what they share; Clippy allows it in tests only where it sees `#[test]`"
)]

#[path = "../namespace/mod.rs"]
#[allow(dead_code, reason = "what other tests need of it")]
mod namespace;
mod world;

use std::fs;

use world::{ALLOWED, NOBODY, PASSWORD, ROOT, World};

/// Exit statuses of offloadctl.
const DONE: i32 = 0;
const DENIED: i32 = 4;

#[test]
fn status_is_free_and_changes_are_for_polkit() {
    let world = World::start(true);
    for verb in [&["status"][..], &["status", "--json"], &["policy"], &["log"]] {
        let seen = world.offloadctl(NOBODY, verb);
        assert_eq!(seen.status, DONE, "{verb:?}: {seen:?}");
        assert!(
            seen.out.lines().all(|line| verb.contains(&"--json") || line.chars().count() <= 80),
            "{seen:?}"
        );
    }
    assert!(world.offloadctl(NOBODY, &["policy"]).out.contains("operator (priority 1)"));
    assert!(!world.held(NOBODY));

    // By default an administrator's password is wanted, and nobody is here to type one.
    for verb in [&["renew"][..], &["join"], &["leave"], &["setup", "https://evil.example"]] {
        let denied = world.offloadctl(NOBODY, verb);
        assert_eq!(denied.status, DENIED, "{verb:?}: {denied:?}");
        assert!(denied.err.contains("not allowed"), "{denied:?}");
    }
    assert!(!world.held(NOBODY), "what is denied is not done");
    assert!(!world.setup_fragment().exists());
    // Without leave to ask for a password polkit's own error is told.
    let call = world.call(NOBODY, "net.wifioffload.Agent1.Join", &[]);
    assert!(call.err.contains("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"), "{call:?}");

    // A rule lets this user join and leave, and no more.
    assert_eq!(world.offloadctl(ALLOWED, &["leave"]).status, DONE);
    assert!(world.held(NOBODY));
    assert!(world.offloadctl(NOBODY, &["status"]).out.contains("Held"));
    assert_eq!(world.offloadctl(ALLOWED, &["join"]).status, DONE);
    assert!(!world.held(NOBODY));
    for verb in [&["renew"][..], &["setup", "https://evil.example"]] {
        assert_eq!(world.offloadctl(ALLOWED, verb).status, DENIED, "{verb:?}");
    }

    for verb in ["renew", "leave", "join"] {
        assert_eq!(world.offloadctl(ROOT, &[verb]).status, DONE, "{verb}");
    }
    assert!(world.offloadctl(ROOT, &["status", "--json"]).out.contains("\"renewal-due\":\"user\""));
}

#[test]
fn setup_is_kept_and_checked() {
    let world = World::start(true);
    let bad = world.offloadctl(ROOT, &["setup", "http://portal.example"]);
    assert_eq!((bad.status, bad.err.contains("https URL")), (1, true), "{bad:?}");
    let no_ca = world.write("no-ca.pem", "nothing");
    let bad = world.offloadctl(ROOT, &["setup", "https://portal.example", "--ca", &no_ca]);
    assert_eq!((bad.status, bad.err.contains("certificates")), (1, true), "{bad:?}");
    assert!(!world.setup_fragment().exists());

    let made = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
    let pem = made.cert.pem();
    let ca = world.write("new-ca.pem", &pem);
    let set = world.offloadctl(ROOT, &["setup", "https://portal.example:8443", "--ca", &ca]);
    assert_eq!(set.status, DONE, "{set:?}");
    assert!(
        fs::read_to_string(world.setup_fragment()).expect("is there").contains("https://portal.example:8443")
    );
    assert_eq!(fs::read_to_string(world.ca()).expect("is there"), pem);
}

#[test]
fn without_polkit_only_root_may() {
    let world = World::start(false);
    assert_eq!(world.offloadctl(NOBODY, &["status"]).status, DONE);
    let denied = world.offloadctl(ALLOWED, &["leave"]);
    assert_eq!((denied.status, denied.err.contains("only root may")), (DENIED, true), "{denied:?}");
    assert!(!world.held(ALLOWED));
    assert_eq!(world.offloadctl(ROOT, &["leave"]).status, DONE);
    assert!(world.held(NOBODY));
}

/// Everything that somebody who is not root can ask, read or overhear.
#[test]
fn no_surface_shows_a_credential() {
    let world = World::start(true);
    // It is there, in the daemon and on disk: that it is not seen means something.
    assert!(world.offloadctl(ROOT, &["status", "--json"]).out.contains("\"installed\":"));
    world.offloadctl(ROOT, &["renew"]);
    let mut seen = Vec::new();
    for verb in ["status", "policy", "log"] {
        seen.push(world.offloadctl(NOBODY, &[verb]));
        seen.push(world.offloadctl(NOBODY, &[verb, "--json"]));
    }
    let properties = "org.freedesktop.DBus.Properties";
    let interface = "string:net.wifioffload.Agent1";
    seen.push(world.call(NOBODY, &format!("{properties}.GetAll"), &[interface]));
    assert!(seen.iter().all(|seen| seen.status == 0 && seen.out.len() > 2), "{seen:?}");
    for method in ["GetCredential", "GetPassword", "Dump"] {
        let call = world.call(NOBODY, &format!("net.wifioffload.Agent1.{method}"), &[]);
        assert!(call.err.contains("AccessDenied"), "the bus lets nothing pass that is not listed: {call:?}");
        seen.push(call);
    }
    let set =
        world.call(NOBODY, &format!("{properties}.Set"), &[interface, "string:State", "variant:string:x"]);
    assert!(set.err.contains("AccessDenied"), "{set:?}");
    // Files and memory.
    for path in world.private_files() {
        let read = world.run(NOBODY, &["cat", &path]);
        assert!(
            read.status != 0 && read.out.is_empty() && read.err.contains("Permission denied"),
            "{path}: {read:?}"
        );
    }
    seen.push(world.log());
    for seen in &seen {
        assert!(!seen.out.contains(PASSWORD) && !seen.err.contains(PASSWORD), "{seen:?}");
    }
    // Nor can another take the name, and answer in its place.
    let own = world.call_to(
        NOBODY,
        "org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus.RequestName",
        &[interface, "uint32:2"],
    );
    assert!(own.err.contains("AccessDenied"), "{own:?}");
}

/// The live screen in a terminal of 80 columns and 24 rows, as somebody who is not root sees it; `q` ends it in good order.
#[test]
fn watch_draws_ends_and_leaves_the_terminal_as_it_was() {
    let world = World::start(true);
    let watched = world.watch(NOBODY, "held there by hand", || {
        assert_eq!(world.offloadctl(ROOT, &["leave"]).status, DONE);
    });
    assert_eq!(watched.status, DONE, "{watched:?}");
    for words in ["\x1b[?1049h", "wifi-offload", "Traffic", "Moves", "q quit", "\x1b[?25h", "\x1b[?1049l"] {
        assert!(watched.out.contains(words), "{words}: {watched:?}");
    }
    assert!(!watched.out.contains(PASSWORD));
}
