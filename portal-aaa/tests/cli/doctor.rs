//! `portal-aaa doctor` on real parts, with one fault at a time; and that the message centre is left in good order.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    thread,
};

use radius::{Builder, Code, Packet};

use super::*;

/// A message centre of nine lines, by the octets of SMPP 3.4 §3.2 and §4.1, §4.2: lets in with this status, answers
/// unbind; tells the command identifiers that came.
fn message_centre(status: u32) -> (SocketAddr, mpsc::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, came) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Some((id, sequence)) = pdu(&mut stream) {
                let body: &[u8] = if id == 9 && status == 0 { b"lab\0" } else { b"" };
                let length = u32::try_from(16 + body.len()).unwrap();
                let header = [length, id | 0x8000_0000, if id == 9 { status } else { 0 }, sequence];
                let header: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
                if stream.write_all(&[&header, body].concat()).is_err() || sender.send(id).is_err() {
                    break;
                }
            }
        }
    });
    (address, came)
}

fn pdu(stream: &mut TcpStream) -> Option<(u32, u32)> {
    let mut header = [0; 16];
    stream.read_exact(&mut header).ok()?;
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut body = vec![0; usize::try_from(word(0)).ok()? - 16];
    stream.read_exact(&mut body).ok()?;
    Some((word(4), word(12)))
}

/// An access point's Disconnect port: answers with this secret, once.
fn access_point(secret: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.2:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut octets = [0; 4096];
        let (length, from) = socket.recv_from(&mut octets).unwrap();
        let request = Packet::parse(&octets[..length]).unwrap();
        let answer = Builder::reply(Code::DISCONNECT_NAK, &request).finish(secret.as_bytes()).unwrap();
        socket.send_to(&answer, from).unwrap();
    });
    port
}

/// An installation on ports that can be told beforehand.
fn installed() -> Installation {
    let installation = Installation::new();
    let (tcp, udp) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap()),
    );
    let ports = [tcp.local_addr(), udp[0].local_addr(), udp[1].local_addr()];
    for address in ports {
        installation.configure("\"127.0.0.1:0\"", &format!("\"{}\"", address.unwrap()));
    }
    installation
}

fn serve(installation: &Installation) -> Serving {
    let mut serving = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    serving.event("portal-ready");
    serving
}

/// The first broken link and its words, and that the exit status says the same.
fn doctor(installation: &Installation) -> Option<(String, String)> {
    let ran = installation.run(&["doctor", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    let links: Vec<&str> =
        told["links"].as_array().unwrap().iter().map(|l| l["link"].as_str().unwrap()).collect();
    assert_eq!(
        links,
        ["configuration", "clock", "installation", "ports", "access points", "gateways", "message centre"]
    );
    let first = &told["first_broken"];
    assert_eq!(ran.status.code(), Some(i32::from(!first.is_null())), "{told}");
    let word = |key: &str| first[key].as_str().map(str::to_owned);
    if !first.is_null() {
        assert!(!word("remedy").unwrap().is_empty());
        // People read the same.
        let said = installation.run(&["doctor"]).badly(1);
        assert!(said.contains(&format!("The first broken link is: {}.", word("link").unwrap())), "{said}");
    }
    Some((word("link")?, word("what")?))
}

fn is_broken(installation: &Installation, link: &str, words: &str) {
    let (found, what) = doctor(installation).expect("nothing is broken");
    assert!(found == link && what.contains(words), "{found}: {what}");
}

fn write_at(installation: &Installation, sql: &str) {
    let db = rusqlite::Connection::open(installation.path("portal-aaa.db")).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
}

#[test]
fn the_first_broken_link_is_named_with_its_remedy() {
    let installation = installed();
    is_broken(&installation, "ports", "nobody listens on tcp");
    let mut serving = serve(&installation);
    assert_eq!(doctor(&installation), None);

    // An access point: switched off, another secret, right.
    let add = |name: &str, port: u16, secret: &str| {
        let port = port.to_string();
        let words =
            ["nas", "add", name, "--network", "127.0.0.2/32", "--secret", secret, "--coa-port", &port];
        installation.run(&words).well();
    };
    let closed = UdpSocket::bind("127.0.0.2:0").unwrap().local_addr().unwrap().port();
    add("ap-1", closed, SECRET);
    is_broken(&installation, "access points", "nobody listens at");
    let silent = UdpSocket::bind("127.0.0.2:0").unwrap();
    add("ap-1", silent.local_addr().unwrap().port(), SECRET);
    is_broken(&installation, "access points", "is silent");
    let port = access_point("another-secret-of-somebody");
    add("ap-1", port, SECRET);
    let ran = installation.run(&["doctor", "--json"]);
    assert!(ran.badly(1).contains("not with the secret"));
    let port = access_point(SECRET);
    add("ap-1", port, SECRET);
    let told = installation.run(&["doctor"]).well();
    assert!(told.contains("ap-1 answers at 127.0.0.2") && told.contains("No broken link."), "{told}");
    installation.run(&["nas", "remove", "ap-1"]).well();

    // A gateway that has fallen silent.
    let at = jiff::Timestamp::now().as_second();
    let put = |seen_at: i64| {
        write_at(
            &installation,
            &format!(
                "INSERT OR REPLACE INTO gateway_session (gateway, session_id, address, prefix, subscriber, seen_at)
                 VALUES ('pgw', 's', '10.64.0.2', 32, zeroblob(32), {seen_at})"
            ),
        );
    };
    put(at);
    assert_eq!(doctor(&installation), None);
    put(at - 400);
    is_broken(&installation, "gateways", "after 300 s no device is served");
    put(at);

    // A clock that has gone back.
    let username = installation.issue(&[])["username"].as_str().unwrap().to_owned();
    write_at(
        &installation,
        &format!("UPDATE credential SET issued_at = {} WHERE username = '{username}'", at + 9000),
    );
    is_broken(&installation, "clock", "s from now");
    write_at(&installation, &format!("UPDATE credential SET issued_at = {at} WHERE username = '{username}'"));

    // The message centre: away, refusing, right.
    fs::write(installation.path("smsc.password"), "secret").unwrap();
    let text = fs::read_to_string(installation.path("portal-aaa.toml")).unwrap();
    let sms = |server: SocketAddr| {
        let table = format!(
            "{text}\n[sms]\nserver = \"{server}\"\nsystem_id = \"lab\"\npassword_file = \"smsc.password\"\nsource = \"15550001000\"\n"
        );
        fs::write(installation.path("portal-aaa.toml"), table).unwrap();
    };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    sms(nobody);
    is_broken(&installation, "message centre", "smpp-connect");
    sms(message_centre(0x0d).0);
    is_broken(&installation, "message centre", "refuses the bind");
    let (address, came) = message_centre(0);
    sms(address);
    assert_eq!(doctor(&installation), None);
    assert_eq!(came.try_iter().collect::<Vec<_>>(), [9, 6], "bind_transceiver, unbind");

    // A key that is lost, and a file that is none.
    fs::rename(installation.path("tls/portal.key"), installation.path("kept")).unwrap();
    is_broken(&installation, "installation", "portal.key");
    fs::rename(installation.path("kept"), installation.path("tls/portal.key")).unwrap();
    fs::rename(installation.path("keys.toml"), installation.path("kept")).unwrap();
    is_broken(&installation, "installation", "keys.toml");
    fs::rename(installation.path("kept"), installation.path("keys.toml")).unwrap();
    let whole = fs::read_to_string(installation.path("portal-aaa.toml")).unwrap();
    fs::write(installation.path("portal-aaa.toml"), format!("{whole}\nunknown = 1\n")).unwrap();
    is_broken(&installation, "configuration", "unknown");
    fs::write(installation.path("portal-aaa.toml"), whole).unwrap();

    // Another program has the port.
    serving.signal(Signal::SIGTERM);
    serving.event("stopped");
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = \"")?.strip_suffix('"')).unwrap();
    let _other = TcpListener::bind(listen).unwrap();
    is_broken(&installation, "ports", &format!("listens on tcp {listen}"));
}

#[test]
fn the_message_centre_is_told_when_the_portal_goes() {
    let installation = installed();
    let (server, came) = message_centre(0);
    fs::write(installation.path("smsc.password"), "secret").unwrap();
    let text = fs::read_to_string(installation.path("portal-aaa.toml")).unwrap();
    let table = format!(
        "{text}\n[sms]\nserver = \"{server}\"\nsystem_id = \"lab\"\npassword_file = \"smsc.password\"\nsource = \"15550001000\"\n"
    );
    fs::write(installation.path("portal-aaa.toml"), table).unwrap();
    let mut serving = Serving::start(installation.command(&["serve", "--log-format", "json"]));
    serving.event("smsc-bound");
    serving.signal(Signal::SIGTERM);
    serving.event("smsc-left");
    serving.event("stopped");
    assert_eq!(came.try_iter().collect::<Vec<_>>(), [9, 6], "bind_transceiver, unbind");
}
