//! Usage from the packet to the bill: `serve` takes reports, `accounting` shows them; and credentials in bulk.

use std::net::{SocketAddr, UdpSocket};

use radius::{AttributeType as A, Builder, Code, Packet, Vendor, hide_password, tgpp};

use super::*;

const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;

struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    secret: &'static str,
    next: u8,
}

impl Client {
    /// Sends a report and waits until it is acknowledged, that is, on disk.
    fn report(&mut self, fill: impl FnOnce(Builder) -> Builder) {
        self.next += 1;
        let packet = fill(Builder::accounting_request(self.next)).finish(self.secret.as_bytes()).unwrap();
        self.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        self.socket.send_to(&packet, self.server).unwrap();
        let mut buffer = [0; 4096];
        let (length, _) = self.socket.recv_from(&mut buffer).expect("an acknowledgement");
        assert!(length >= 20 && buffer[0] == 5 && buffer[1] == self.next);
    }
}

/// A running `serve` with an access point and a packet gateway at different loopback addresses.
fn serving(installation: &Installation) -> (Serving, Client, Client) {
    for (kind, name, network) in [("nas", "ap-1", "127.0.0.2"), ("gateway", "pgw", "127.0.0.3")] {
        installation.run(&[kind, "add", name, "--network", network, "--secret", SECRET]).well();
    }
    let mut serving = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    let server = serving.event("radius-ready")["accounting"].as_str().unwrap().parse().unwrap();
    let client =
        |own: &str| Client { socket: UdpSocket::bind((own, 0)).unwrap(), server, secret: SECRET, next: 0 };
    let (nas, gateway) = (client("127.0.0.2"), client("127.0.0.3"));
    (serving, nas, gateway)
}

fn seconds() -> u32 {
    u32::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

fn session(builder: Builder, status: u32, username: &str, at: u32, secs: u32, octets: u32) -> Builder {
    builder
        .integer(A::ACCT_STATUS_TYPE, status)
        .text(A::ACCT_SESSION_ID, "5F3A-0001")
        .text(A::USER_NAME, username)
        .text(A::CALLING_STATION_ID, "02-00-00-00-00-01")
        .text(A::CALLED_STATION_ID, "00-10-A4-23-19-C0:=cafe,\"x\"")
        .text(A::NAS_IDENTIFIER, "hall")
        .integer(A::EVENT_TIMESTAMP, at)
        .integer(A::ACCT_SESSION_TIME, secs)
        .integer(A::ACCT_INPUT_OCTETS, octets)
        .integer(A::ACCT_OUTPUT_OCTETS, octets)
        .integer(A::ACCT_OUTPUT_GIGAWORDS, 1)
}

#[test]
fn usage_goes_from_the_report_to_the_bill() {
    let installation = Installation::new();
    let issued = installation.issue(&[]);
    let username = issued["username"].as_str().unwrap();
    let (serving, mut nas, mut gateway) = serving(&installation);
    let at = seconds() - 300;
    nas.report(|b| session(b, START, username, at, 0, 0));
    nas.report(|b| session(b, INTERIM, username, at + 60, 60, 500));
    gateway.report(|b| {
        b.integer(A::ACCT_STATUS_TYPE, STOP)
            .text(A::ACCT_SESSION_ID, "g1")
            .text(A::USER_NAME, IMSI)
            .integer(A::EVENT_TIMESTAMP, at + 50)
            .integer(A::ACCT_INPUT_OCTETS, 77)
            .integer(A::ACCT_OUTPUT_OCTETS, 88)
            .attribute(A::FRAMED_IP_ADDRESS, &[10, 64, 0, 2])
            .vendor(Vendor::TGPP, tgpp::IMSI, IMSI.as_bytes())
    });
    let from = at.to_string();
    let export = |more: &[&str]| {
        let mut arguments = vec!["accounting", "export", "--from", &from];
        arguments.extend_from_slice(more);
        installation.run(&arguments)
    };
    let open: Value = serde_json::from_str(&export(&["--format", "jsonl"]).well()).unwrap();
    assert_eq!(
        (&open["state"], &open["end"], &open["corrected"]),
        (&"open".into(), &Value::Null, &false.into())
    );
    nas.report(|b| session(b, STOP, username, at + 100, 100, 900).integer(A::ACCT_TERMINATE_CAUSE, 1));

    let line = export(&["--format", "jsonl"]).well();
    let closed: Value = serde_json::from_str(&line).unwrap();
    let time = |after: u32| jiff::Timestamp::from_second(i64::from(at + after)).unwrap().to_string();
    for (key, value) in [
        ("start", Value::from(time(0))),
        ("end", time(100).into()),
        ("state", "closed".into()),
        ("username", username.into()),
        ("mac", MAC.into()),
        ("client", "ap-1".into()),
        ("ssid", "=cafe,\"x\"".into()),
        ("place", "hall".into()),
        ("session_id", "5F3A-0001".into()),
        ("input_octets", 900.into()),
        ("output_octets", (900u64 + (1 << 32)).into()),
        ("duration_secs", 100.into()),
        ("closed_by", "stop".into()),
        ("terminate_cause", "user-request".into()),
        ("cellular_input_octets", 77.into()),
        ("cellular_output_octets", 88.into()),
    ] {
        assert_eq!(closed[key], value, "{key}");
    }
    let subscriber = closed["subscriber"].as_str().unwrap();
    assert_eq!(subscriber.len(), 12);
    assert!(!line.contains(IMSI) && !line.contains(IMEI));
    assert_eq!(installation.holding(&[IMSI, IMEI]), Vec::<PathBuf>::new(), "nor in the database");

    let file = installation.path("usage.csv");
    export(&["--output", file.to_str().unwrap()]).well();
    let csv = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!installation.path("usage.csv.part").exists());
    assert_eq!(csv, export(&[]).well());
    let (header, line) = csv.split_once("\r\n").unwrap();
    assert_eq!(
        header,
        "start,end,last_update,state,username,subscriber,mac,client,called_station,ssid,place,session_id,\
         input_octets,output_octets,duration_secs,closed_by,terminate_cause,corrected,cellular_input_octets,\
         cellular_output_octets"
    );
    assert!(line.contains(",\"'=cafe,\"\"x\"\"\",hall,"), "{line}");
    assert!(line.ends_with(",100,stop,user-request,false,77,88\r\n"), "{line}");
    let end = (at + 100).to_string();
    assert_eq!(export(&["--to", &end]).well().lines().count(), 1, "the end does not belong to it");
    assert!(export(&["--to", &from]).badly(1).contains("must lie before"));
    assert!(installation.run(&["accounting", "export", "--from", "soon"]).badly(2).contains("2026-11-28"));
    let nowhere = installation.path("no/such/folder");
    assert!(export(&["--output", nowhere.to_str().unwrap()]).badly(1).contains("No such file"));

    let totals = |by: &str| -> Value {
        let arguments = ["accounting", "totals", "--by", by, "--from", &from, "--json"];
        serde_json::from_str(&installation.run(&arguments).well()).unwrap()
    };
    assert_eq!(
        (&totals("subscriber")[0]["of"], &totals("place")[0]["of"]),
        (&subscriber.into(), &"hall".into())
    );
    assert_eq!((&totals("nas")[0]["sessions"], &totals("nas")[0]["input_octets"]), (&1.into(), &900.into()));
    assert_eq!(totals("subscriber")[0]["cellular_output_octets"], 88);
    let text = installation.run(&["accounting", "totals", "--by", "ssid", "--from", "2020-01-01"]).well();
    assert!(text.contains("input octets") && text.contains("=cafe"), "{text}");
    serving.signal(Signal::SIGTERM);
}

/// Logs on by PAP; the answer's code, and the Class if there is one.
fn log_on(
    radius: SocketAddr,
    own: &UdpSocket,
    name: &str,
    password: &str,
    mac: &str,
    identifier: u8,
) -> (Code, Vec<u8>) {
    let authenticator = [identifier; 16];
    let hidden = hide_password(password.as_bytes(), SECRET.as_bytes(), &authenticator).unwrap();
    let request = Builder::access_request(identifier, authenticator)
        .text(A::USER_NAME, name)
        .attribute(A::USER_PASSWORD, &hidden)
        .text(A::CALLING_STATION_ID, mac)
        .text(A::CALLED_STATION_ID, "00-10-A4-23-19-C0:operator-wifi")
        .finish(SECRET.as_bytes())
        .unwrap();
    own.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    own.send_to(&request, radius).unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = own.recv_from(&mut buffer).expect("an answer");
    let reply = Packet::parse(&buffer[..length]).unwrap();
    (reply.code(), reply.get(A::CLASS).unwrap_or_default().to_vec())
}

#[test]
fn what_is_taken_back_ends_its_session_within_a_second_and_limits_hold() {
    let installation = Installation::new();
    installation.configure("max_sessions = 0", "max_sessions = 1");
    let taken = UdpSocket::bind("127.0.0.2:0").unwrap();
    taken.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let add = ["nas", "add", "ap-1", "--network", "127.0.0.2", "--secret", SECRET, "--coa-port", &port];
    installation.run(&add).well();
    installation.run(&["user", "add", "CORP\\probe", "--password", "pass wörd", "--methods", "pap"]).well();
    installation.run(&["user", "add", "eap only", "--password", "p", "--methods", "peap-mschapv2"]).well();
    let issued = installation.issue(&[]);
    let (username, password) = (issued["username"].as_str().unwrap(), issued["password"].as_str().unwrap());

    let mut serving = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    let radius = serving.event("radius-ready")["auth"].as_str().unwrap().parse().unwrap();
    let own = UdpSocket::bind("127.0.0.2:0").unwrap();
    let on = |name: &str, password: &str, mac: &str, identifier| {
        log_on(radius, &own, name, password, mac, identifier)
    };
    assert_eq!(on("CORP\\probe", "pass wörd", "02-00-00-00-00-09", 1).0, Code::ACCESS_ACCEPT);
    assert_eq!(on("CORP\\probe", "wrong", "02-00-00-00-00-09", 2).0, Code::ACCESS_REJECT);
    assert_eq!(serving.event("login-refused")["reason"], "wrong-password");
    assert_eq!(on("CORP\\probe", "pass wörd", "02-00-00-00-00-08", 3).0, Code::ACCESS_REJECT);
    assert_eq!(serving.event("login-refused")["reason"], "too-many-sessions");
    assert_eq!(on("eap only", "p", "02-00-00-00-00-09", 4).0, Code::ACCESS_REJECT);
    assert_eq!(serving.event("login-refused")["reason"], "method-not-allowed");
    let (code, class) = on(username, password, "0200.0000.0001", 5);
    assert_eq!((code, class.len()), (Code::ACCESS_ACCEPT, 16));
    assert_eq!(
        on(username, password, "02-00-00-00-00-01", 6).0,
        Code::ACCESS_ACCEPT,
        "the same station again"
    );

    // The Disconnect-Request must be on its way within a second of the command's end.
    let ends = |arguments: &[&str], user: &str, code: &str| {
        installation.run(arguments).well();
        let mut buffer = [0; 4096];
        taken.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        // A signal that comes to another test of this process is none of ours.
        let received = (0..100).find_map(|_| match taken.recv_from(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => None,
            received => Some(received),
        });
        let (length, from) = received.unwrap().expect("a Disconnect-Request within a second");
        let request = Packet::parse(&buffer[..length]).unwrap();
        assert_eq!((request.code(), request.text(A::USER_NAME)), (Code(40), Some(user)), "{code}");
        let answer = Builder::reply(Code(41), &request).finish(SECRET.as_bytes()).unwrap();
        taken.send_to(&answer, from).unwrap();
    };
    ends(&["credential", "revoke", username], username, "revoked");
    assert_eq!(on(username, password, "02-00-00-00-00-01", 7).0, Code::ACCESS_REJECT);
    let add = ["user", "add", "CORP\\probe", "--password", "another", "--methods", "pap"];
    ends(&add, "CORP\\probe", "changed");
    assert_eq!(on("CORP\\probe", "pass wörd", "02-00-00-00-00-09", 8).0, Code::ACCESS_REJECT);
    assert_eq!(on("CORP\\probe", "another", "02-00-00-00-00-09", 9).0, Code::ACCESS_ACCEPT);
    ends(&["user", "remove", "CORP\\probe"], "CORP\\probe", "removed");
    let lapse = installation.issue(&["--lifetime", "2"]);
    let (username, password) = (lapse["username"].as_str().unwrap(), lapse["password"].as_str().unwrap());
    assert_eq!(on(username, password, "02-00-00-00-00-01", 10).0, Code::ACCESS_ACCEPT);
    std::thread::sleep(Duration::from_millis(1500));
    ends(&["check"], username, "expired");
}

#[test]
fn open_sessions_are_known_again_after_a_restart_and_old_ones_are_forgotten() {
    let installation = Installation::new();
    let username = installation.issue(&[])["username"].as_str().unwrap().to_owned();
    let (mut first, mut nas, _gateway) = serving(&installation);
    assert_eq!(nas.next, 0);
    let old = seconds() - 3 * 86_400;
    nas.report(|b| session(b, STOP, &username, old, 60, 1).integer(A::ACCT_DELAY_TIME, 0));
    nas.report(|b| session(b, START, &username, seconds(), 0, 0));
    first.signal(Signal::SIGTERM);
    first.event("stopped");
    installation.configure("keep_days = 0", "keep_days = 2");
    let mut second = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    assert_eq!(second.event("sessions-restored")["count"], 1);
    let lines = || installation.run(&["accounting", "export", "--from", "0"]).well().lines().count();
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        lines() == 2
    });
    assert!(gone, "header and the open session are left");
}

#[test]
fn keys_rotate_under_a_running_server_and_both_epochs_log_on() {
    let installation = Installation::new();
    installation.run(&["nas", "add", "ap-1", "--network", "127.0.0.2", "--secret", SECRET]).well();
    let old = installation.issue(&[]);
    let mut serving = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    let radius = serving.event("radius-ready")["auth"].as_str().unwrap().parse().unwrap();
    let own = UdpSocket::bind("127.0.0.2:0").unwrap();
    let on = |issued: &Value, identifier| {
        let word = |key: &str| issued[key].as_str().unwrap();
        log_on(radius, &own, word("username"), word("password"), MAC, identifier).0
    };
    assert_eq!(on(&old, 1), Code::ACCESS_ACCEPT);
    let mut epochs = vec![old];
    for round in 1u8..3 {
        installation.run(&["keys", "rotate"]).well();
        serving.event("keys-reloaded");
        epochs.push(installation.issue(&[]));
        let keys = fs::read_to_string(installation.path("keys.toml")).unwrap();
        let tokens = keys.split_once("\n[tokens]\n").expect("a table").1;
        let epochs_there =
            tokens.lines().take_while(|line| !line.starts_with('[')).filter(|line| line.contains(" = "));
        assert_eq!(epochs_there.count(), usize::from(round) + 1, "an epoch more");
        for (number, issued) in (0u8..).zip(&epochs) {
            assert_eq!(on(issued, round * 10 + number), Code::ACCESS_ACCEPT, "round {round}, epoch {number}");
        }
    }
}

#[test]
fn expired_credentials_are_forgotten_and_their_bill_is_not() {
    let installation = Installation::new();
    let issue = || installation.issue(&["--lifetime", "3600"])["username"].as_str().unwrap().to_owned();
    let (old, young) = (issue(), issue());
    let (mut first, mut nas, _gateway) = serving(&installation);
    nas.report(|b| session(b, STOP, &old, seconds() - 60, 60, 1).integer(A::ACCT_DELAY_TIME, 0));
    first.signal(Signal::SIGTERM);
    first.event("stopped");
    // The end comes by the clock; here the clock is what it is.
    let ends = |username: &str, days: u32| {
        let db = rusqlite::Connection::open(installation.path("portal-aaa.db")).unwrap();
        let at = seconds() - days * 86_400;
        let set = "UPDATE credential SET expires_at = ?2 WHERE username = ?1";
        assert_eq!(db.execute(set, rusqlite::params![username, at]).unwrap(), 1);
    };
    ends(&old, 29);
    ends(&young, 27);
    let mut second = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    assert_eq!(second.event("credentials-pruned")["gone"], 1);
    let export = installation.run(&["accounting", "export", "--from", "0"]).well();
    let line = export.lines().find(|line| line.contains(&old)).expect("the session is still there");
    let subscriber = line.split(',').nth(5).unwrap();
    assert!(subscriber.len() == 12 && subscriber.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
    let shown = |username: &str| installation.run(&["credential", "show", username]).status.success();
    assert_eq!((shown(&old), shown(&young)), (false, true));
}

#[test]
fn many_credentials_from_a_list() {
    let installation = Installation::new();
    let list = installation.path("list.csv");
    let mut text = "MAC,imsi,imei\r\n".to_owned();
    for number in 0..6000 {
        text += &format!("02:00:00:00:{:02x}:{:02x},00101{number:010},\n", number / 256, number % 256);
    }
    fs::write(&list, &text).unwrap();
    let bulk = ["credential", "issue", "--from", list.to_str().unwrap(), "--json", "--lifetime", "3600"];
    let out = installation.run(&bulk).well();
    let issued: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(issued.len(), 6000);
    let names: std::collections::HashSet<_> =
        issued.iter().map(|one| one["username"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 6000);
    assert_eq!((&issued[1]["line"], &issued[1]["mac"]), (&3.into(), &"02:00:00:00:00:01".into()));
    assert!(issued[0]["expires"].is_string() && issued[0]["ca_path"].as_str().unwrap().ends_with("ca.pem"));
    installation.run(&["credential", "revoke", issued[5999]["username"].as_str().unwrap()]).well();
    fs::remove_file(&list).unwrap();
    assert_eq!(installation.holding(&["001010000000042"]), Vec::<PathBuf>::new());

    // No header, from standard input, and lines that do not fit.
    let mut command = installation.command(&["credential", "issue", "--from", "-", "--json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = format!("{IMSI},{IMEI},{MAC}\n12,,{MAC}\n\n,,{MAC}\n,{IMEI},\n,{IMEI},{MAC}\n");
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let ran = ran(child.wait_with_output().unwrap());
    assert_eq!(ran.out.lines().count(), 2);
    assert!(ran.out.contains("\"line\":6"), "{}", ran.out);
    for said in [
        "line 2: an IMSI is",
        "line 4: a credential needs an IMSI",
        "line 5: a credential needs a MAC",
        "3 lines",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    assert!(!ran.err.contains(IMEI));
    ran.badly(1);
    assert!(installation.run(&["credential", "issue", "--from", "x"]).badly(2).contains("--json"));
    fs::write(&list, "a,b\n").unwrap();
    assert!(installation.run(&bulk).badly(1).contains("imsi,imei,mac"));
}
