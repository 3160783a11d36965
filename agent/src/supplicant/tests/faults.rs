//! wpactrl's known faults, contained; and the event stream, which is not its.

use std::{
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixDatagram,
    },
    thread,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};

use super::{
    super::{
        commands::{Commands, Error},
        monitor::Monitor,
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

fn announced(id: u32) -> String {
    format!("<3>CTRL-EVENT-NETWORK-ADDED {id}")
}

fn readable(fd: BorrowedFd<'_>, patience: PollTimeout) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], patience).unwrap() > 0
}

fn next(monitor: &Monitor) -> String {
    loop {
        if let Some(line) = monitor.next().unwrap() {
            return line;
        }
        assert!(readable(monitor.as_fd(), PollTimeout::try_from(PATIENCE).unwrap()), "no line in time");
    }
}

#[test]
fn a_second_client_leaves_the_first_alive() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut first = bench.commands();
    let monitor = bench.monitor();
    let mut second = bench.commands();
    for client in [&mut first, &mut second] {
        operations::ping(client).unwrap();
    }
    announce(&mut first, 1);
    assert_eq!(next(&monitor), announced(0));
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

/// Also for a reader that is held up, as by a machine under load: far more than one login writes.
#[test]
fn events_come_all_and_in_order() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let monitor = bench.monitor();
    assert_eq!(monitor.next().unwrap(), None);
    announce(&mut bench.commands(), 400);
    for id in 0..400 {
        assert_eq!(next(&monitor), announced(id));
    }
    assert!(!readable(monitor.as_fd(), PollTimeout::ZERO), "nobody is woken for nothing");
}

#[test]
fn the_end_of_the_supplicant_wakes_who_waits_for_its_lines() {
    let Some(mut bench) = Bench::with_supplicant() else { return };
    let monitor = bench.monitor();
    let process = monitor.process().expect("the kernel tells who answered");
    assert!(!readable(process, PollTimeout::ZERO));
    bench.kill_supplicant();
    assert!(readable(process, PollTimeout::try_from(PATIENCE).unwrap()));
}

#[test]
fn an_event_that_is_no_text_is_no_end() {
    let directory = tempfile::tempdir().unwrap();
    let control = directory.path().join("sta0");
    let supplicant = UnixDatagram::bind(&control).unwrap();
    let answer = thread::spawn(move || {
        let mut request = [0; 16];
        let (length, from) = supplicant.recv_from(&mut request).unwrap();
        assert_eq!(&request[..length], b"ATTACH");
        let client = from.as_pathname().unwrap().to_owned();
        for datagram in [b"<3>early".as_slice(), b"OK\n", b"<3>before", b"late\n", b"<3>\xff", b"<3>after"] {
            supplicant.send_to(datagram, &client).unwrap();
        }
        supplicant
    });
    let monitor = Monitor::attach(&control, directory.path()).unwrap();
    let supplicant = answer.join().unwrap();
    assert_eq!([(); 3].map(|()| next(&monitor)), ["<3>before", "<3>\u{fffd}", "<3>after"]);
    drop(monitor);
    let mut word = [0; 16];
    let length = supplicant.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"DETACH");
}

#[test]
fn a_supplicant_that_refuses_to_attach_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let control = directory.path().join("sta0");
    let supplicant = UnixDatagram::bind(&control).unwrap();
    let answer = thread::spawn(move || {
        let (_, from) = supplicant.recv_from(&mut [0; 16]).unwrap();
        supplicant.send_to(b"FAIL\n", from.as_pathname().unwrap()).unwrap();
    });
    assert!(matches!(Monitor::attach(&control, directory.path()), Err(Error::Refused(_))));
    answer.join().unwrap();
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
    assert!(Monitor::attach(&bench.control(), &bench.run_dir()).is_err());
    // Nothing may stay behind: there will be retries.
    assert_eq!(std::fs::read_dir(bench.run_dir()).unwrap().count(), 0);
}
