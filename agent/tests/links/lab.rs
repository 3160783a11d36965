//! The two namespaces, the agent's links in one of them, and traffic between.

use std::{
    fs,
    future::Future,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use agent::{
    modem::{Bearer, Ipv4Config},
    wlan::links::{self, Command, Event, Handle, Lease, Link, Links, Settings},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

use crate::namespace::{LIMIT, Namespace, Program};

pub(crate) const CELLULAR: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

pub(crate) struct Lab {
    pub(crate) laptop: Namespace,
    pub(crate) core: Namespace,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let (laptop, core) = (Namespace::new(), Namespace::new());
        laptop.join("wwan0", &core, "gw0");
        laptop.join("wlan0", &core, "ap0");
        for (interface, address) in [("gw0", "10.64.0.1/30"), ("ap0", "10.9.0.1/24"), ("lo", "10.99.0.1/32")]
        {
            core.ip(&format!("address add {address} dev {interface}"));
            core.ip(&format!("link set {interface} up"));
            core.sysctl(&format!("ipv4/conf/{interface}/rp_filter"), "1");
            // A gateway does not answer for addresses that are behind it.
            core.sysctl(&format!("ipv4/conf/{interface}/arp_ignore"), "1");
        }
        // The radio is up as the supplicant leaves it; the bearer's interface is ours to put up.
        laptop.ip("link set wlan0 up");
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("resolv.conf"), "nameserver 192.0.2.1\n").expect("writable");
        Self { laptop, core, folder }
    }

    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.folder.path().join("resolv.conf")
    }

    pub(crate) fn resolvers(&self) -> String {
        fs::read_to_string(self.resolv_conf()).expect("readable")
    }

    pub(crate) fn dhcp(&self, options: &[&str]) -> Program {
        let leases = self.folder.path().join("leases");
        let leases = format!("--dhcp-leasefile={}", leases.display());
        let mut arguments = vec![
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--user=root",
            "--port=0",
            "--interface=ap0",
            "--bind-interfaces",
            "--no-ping",
            "--log-dhcp",
            "--log-facility=-",
            "--dhcp-authoritative",
            "--dhcp-range=10.9.0.100,10.9.0.150,255.255.255.0,1h",
            "--dhcp-option=option:router,10.9.0.1",
            "--dhcp-option=option:dns-server,10.9.0.1",
            &leases,
        ];
        arguments.extend(options);
        Program::start(&self.core, "dnsmasq", &arguments)
    }

    /// Runs the agent's side in the laptop.
    pub(crate) fn run<T: Send>(&self, test: impl AsyncFnOnce(&Self) -> T + Send) -> T {
        self.laptop.run(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(test(self))
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            resolv_conf: Some(self.resolv_conf()),
            state: Some(self.folder.path().join("links.json")),
            ..Settings::default()
        }
    }

    pub(crate) fn spawn(&self) -> Agent {
        Agent::start(self.settings())
    }
}

pub(crate) struct Agent {
    pub(crate) links: Handle,
    pub(crate) inbox: mpsc::Receiver<Event>,
}

impl Agent {
    pub(crate) fn start(settings: Settings) -> Self {
        let (events, inbox) = mpsc::channel(16);
        Self { links: links::spawn(settings, events), inbox }
    }

    /// The next event that is no hint: those come whenever a test disturbs a link.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            match soon(self.inbox.recv()).await.expect("the task lives") {
                Event::Suspect(_) => {}
                event => return event,
            }
        }
    }

    pub(crate) async fn order(&mut self, command: Command) -> Event {
        self.links.send(command);
        self.next().await
    }

    pub(crate) async fn cellular(&mut self) {
        let event = self.order(Command::ConfigureCellular(bearer())).await;
        assert!(matches!(event, Event::CellularReady { .. }), "{event:?}");
    }

    pub(crate) async fn wlan(&mut self) -> Lease {
        let event = self.order(Command::AcquireWlan { interface: "wlan0".to_owned() }).await;
        let Event::WlanReady(lease) = event else { panic!("{event:?}") };
        lease
    }

    pub(crate) async fn prefer(&mut self, link: Link) {
        assert_eq!(self.order(Command::Prefer(link)).await, Event::Moved(link));
    }

    /// Sends an order that has no event of its own, and waits until it is done.
    pub(crate) async fn quietly(&mut self, command: Command) {
        self.links.send(command);
        let event = self.order(Command::AcquireWlan { interface: "nothing0".to_owned() }).await;
        let Event::Failed { link: Link::Wlan, text } = event else { panic!("{event:?}") };
        assert!(text.contains("nothing0") && text.contains("ENODEV"), "{text}");
    }
}

pub(crate) fn bearer() -> Bearer {
    Bearer {
        interface: "wwan0".to_owned(),
        ipv4: Some(Ipv4Config::Static {
            address: CELLULAR,
            prefix: 30,
            gateway: Some(Ipv4Addr::new(10, 64, 0, 1)),
            dns: vec![Ipv4Addr::new(10, 64, 0, 1)],
        }),
        ipv6: None,
        mtu: Some(1428),
        managed: false,
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("in time")
}

/// An echo server in the core for TCP and UDP; the source addresses of TCP connections come out.
pub(crate) fn echo(core: &Namespace) -> (SocketAddr, std::sync::mpsc::Receiver<SocketAddr>) {
    let (tcp, udp) = core.run(|| {
        let tcp = TcpListener::bind((SERVER, 0)).expect("a port");
        let udp = UdpSocket::bind(tcp.local_addr().expect("bound")).expect("the same port");
        (tcp, udp)
    });
    let address = tcp.local_addr().expect("bound");
    let (tell, sources) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for connection in tcp.incoming().flatten() {
            let _ = tell.send(connection.peer_addr().expect("connected"));
            thread::spawn(move || {
                let mut connection = connection;
                let mut octets = [0; 64];
                while let Ok(length @ 1..) = connection.read(&mut octets) {
                    let _ = connection.write_all(&octets[..length]);
                }
            });
        }
    });
    thread::spawn(move || {
        let mut octets = [0; 64];
        while let Ok((length, from)) = udp.recv_from(&mut octets) {
            // What cannot be sent back is lost, and counted so.
            let _ = udp.send_to(&octets[..length], from);
        }
    });
    (address, sources)
}

/// A connection that asks and hears, each time at once.
pub(crate) struct Talk(pub(crate) TcpStream);

impl Talk {
    pub(crate) fn begin(server: SocketAddr) -> Self {
        let connection = TcpStream::connect_timeout(&server, LIMIT).expect("connected");
        connection.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self(connection)
    }

    pub(crate) fn works(&mut self) {
        self.0.write_all(b"are you there").expect("sent");
        let mut answer = [0; 13];
        self.0.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"are you there");
    }
}

/// 50 numbered packets a second from an unconnected socket, until stopped; which were lost.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    sender: thread::JoinHandle<()>,
    receiver: thread::JoinHandle<usize>,
}

impl Stream {
    /// Must be called in the laptop.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let sender = {
            let (socket, stop, sent) =
                (socket.try_clone().expect("cloned"), Arc::clone(&stop), Arc::clone(&sent));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = sent.fetch_add(1, Ordering::Relaxed);
                    socket.send_to(&number.to_ne_bytes(), server).expect("a way out at every moment");
                    thread::sleep(Duration::from_millis(20));
                }
            })
        };
        let receiver = thread::spawn(move || {
            let mut octets = [0; 64];
            let mut heard = std::collections::BTreeSet::new();
            while let Ok(8) = socket.recv(&mut octets) {
                heard.insert(octets[..8].to_vec());
            }
            heard.len()
        });
        Self { stop, sent, sender, receiver }
    }

    pub(crate) fn lost(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().expect("nothing failed to be sent");
        let sent = self.sent.load(Ordering::Relaxed);
        (sent, sent - self.receiver.join().expect("read"))
    }
}
