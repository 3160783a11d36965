//! wpactrl's known faults, contained.

use std::{os::unix::net::UnixDatagram, sync::mpsc::channel, thread};

use nix::sys::signal::Signal;

use super::{
    super::{
        commands::{Commands, Error},
        monitor::{Heard, Monitor},
        operations, reply,
        request::{Request, Value},
    },
    PATIENCE,
    bench::Bench,
};

/// Each new network is announced to every attached client: `CTRL-EVENT-NETWORK-ADDED id`.
fn announce(commands: &mut Commands, count: u32) {
    for expected in 0..count {
        assert_eq!(reply::network_id(&commands.ask(&Request::AddNetwork).unwrap()), Some(expected));
    }
}

fn announced(id: u32) -> Heard {
    Heard::Line(format!("<3>CTRL-EVENT-NETWORK-ADDED {id}"))
}

#[test]
fn a_second_client_leaves_the_first_alive() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut first = bench.commands();
    let (_monitor, events) = bench.monitor();
    let mut second = bench.commands();
    for client in [&mut first, &mut second] {
        operations::ping(client).unwrap();
    }
    announce(&mut first, 1);
    assert_eq!(events.recv_timeout(PATIENCE), Ok(announced(0)));
    drop(second);
    operations::ping(&mut first).unwrap();
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_one() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut client = bench.commands();
    bench.signal_supplicant(Signal::SIGSTOP);
    assert!(matches!(client.ask(&Request::Ping), Err(Error::Silent(_))));
    bench.signal_supplicant(Signal::SIGCONT);
    assert!(
        matches!(client.ask(&Request::Status), Err(Error::Closed)),
        "a client that failed is not used again"
    );
    let mut next = bench.commands();
    for _ in 0..3 {
        assert!(operations::status(&mut next).is_ok(), "PONG would not be read as a status");
    }
}

#[test]
fn events_come_all_and_in_order() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let (_monitor, events) = bench.monitor();
    let mut commands = bench.commands();
    announce(&mut commands, 200);
    for id in 0..200 {
        assert_eq!(events.recv_timeout(PATIENCE), Ok(announced(id)));
    }
}

/// A reader that is held up, as by a machine under load, finds everything later: far more than one login writes.
#[test]
fn events_wait_for_a_reader_that_is_late() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let (sender, events) = channel();
    let (release, held) = channel::<()>();
    let mut first = true;
    let _monitor = Monitor::attach(&bench.control(), &bench.run_dir(), move |heard| {
        if std::mem::take(&mut first) {
            let _ = held.recv_timeout(PATIENCE);
        }
        sender.send(heard).is_ok()
    })
    .unwrap();
    announce(&mut bench.commands(), 400);
    release.send(()).unwrap();
    for id in 0..400 {
        assert_eq!(events.recv_timeout(PATIENCE), Ok(announced(id)));
    }
}

/// wpactrl takes only UTF-8: what is not costs one event and not the stream.
#[test]
fn an_event_that_is_no_text_is_a_gap_and_no_end() {
    let directory = tempfile::tempdir().unwrap();
    let control = directory.path().join("sta0");
    let supplicant = UnixDatagram::bind(&control).unwrap();
    let (sender, events) = channel();
    let answer = thread::spawn(move || {
        let mut request = [0; 16];
        let (length, from) = supplicant.recv_from(&mut request).unwrap();
        assert_eq!(&request[..length], b"ATTACH");
        let client = from.as_pathname().unwrap().to_owned();
        for datagram in [b"OK\n".as_slice(), b"<3>before", b"<3>\xff\xfe", b"<3>after"] {
            supplicant.send_to(datagram, &client).unwrap();
        }
        supplicant
    });
    let _monitor =
        Monitor::attach(&control, directory.path(), move |heard| sender.send(heard).is_ok()).unwrap();
    let _supplicant = answer.join().unwrap();
    let expected = [Heard::Line("<3>before".into()), Heard::Gap, Heard::Line("<3>after".into())];
    for heard in expected {
        assert_eq!(events.recv_timeout(PATIENCE), Ok(heard));
    }
}

/// Whatever a string holds, the supplicant has exactly that, and nothing else.
#[test]
fn strings_reach_the_supplicant_unchanged() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut commands = bench.commands();
    announce(&mut commands, 1);
    let cases: [&[u8]; 9] = [
        b"plain",
        b"with \"quotes\"",
        b"line\nbreak",
        b"\" key_mgmt=NONE",
        b"back\\slash",
        b"tab\tand\x07bell",
        "Grüße".as_bytes(),
        b"\xff\xfe\x00\x01",
        b"P\"printf\"",
    ];
    for field in ["identity", "anonymous_identity", "ssid"] {
        for case in cases {
            let set = Request::SetNetwork { id: 0, field, value: Value::octets(case) };
            assert_eq!(commands.ask(&set).unwrap(), "OK\n", "{field} {case:?}");
            let reply = commands.ask(&Request::GetNetwork { id: 0, field }).unwrap();
            assert_eq!(string(&reply), case, "{field}: {reply}");
        }
    }
    let key_mgmt = commands.ask(&Request::GetNetwork { id: 0, field: "key_mgmt" }).unwrap();
    assert_ne!(key_mgmt, "NONE");
    let secret = Request::SetNetwork { id: 0, field: "password", value: Value::octets("pa\"ss") };
    assert_eq!(commands.ask(&secret).unwrap(), "OK\n");
    assert_eq!(commands.ask(&Request::GetNetwork { id: 0, field: "password" }).unwrap(), "*");
}

/// The supplicant shows printable strings in quotes, others in hexadecimal.
fn string(reply: &str) -> Vec<u8> {
    match reply.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => text.as_bytes().to_vec(),
        None => data_encoding::HEXLOWER.decode(reply.as_bytes()).unwrap(),
    }
}

#[test]
fn a_supplicant_that_is_not_there_is_an_error_and_no_wait() {
    let Some(bench) = Bench::new() else { return };
    assert!(Commands::open(&bench.control(), &bench.run_dir()).is_err());
    assert!(Monitor::attach(&bench.control(), &bench.run_dir(), |_| true).is_err());
    // Nothing may stay behind: a retry comes every half second.
    assert_eq!(std::fs::read_dir(bench.run_dir()).unwrap().count(), 0);
}
