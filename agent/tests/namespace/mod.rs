//! Network namespaces without a name: each lives as long as this process holds it, so nothing is left over whatever
//! happens to the test, and tests cannot meet.
#![allow(unreachable_pub, reason = "a part of each test that asks for it")]

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::fd::AsRawFd,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns, unshare};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

/// Longest wait for anything that must come.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A network namespace.
pub struct Namespace(File);

impl Namespace {
    /// A new one with its loopback up.
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces: run it as root");
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            File::open("/proc/thread-self/ns/net").expect("its file")
        });
        let namespace = Self(made.join().expect("made"));
        namespace.ip("link set lo up");
        // Addresses that the kernel makes up by itself, some time after an interface is up, are in nobody's way but a
        // comparison's.
        namespace.sysctl("ipv6/conf/default/addr_gen_mode", "1");
        namespace
    }

    /// Runs `work` in the namespace: its sockets belong to it, and so do the programs it starts.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let within = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).expect("into the namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(within).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// `ip ARGUMENTS`, which must succeed; gives what it prints.
    pub fn ip(&self, arguments: &str) -> String {
        self.command("ip", arguments)
    }

    /// A program that must succeed; gives what it prints.
    pub fn command(&self, program: &str, arguments: &str) -> String {
        let done = self.run(|| Command::new(program).args(arguments.split_whitespace()).output());
        let done = done.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        assert!(
            done.status.success(),
            "{program} {arguments}: {}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// A kernel setting of this namespace, such as `ipv4/conf/all/rp_filter`.
    pub fn sysctl(&self, name: &str, value: &str) {
        self.run(|| std::fs::write(format!("/proc/sys/net/{name}"), value)).expect("a kernel setting");
    }

    /// Joins two namespaces with a pair of Ethernet interfaces.
    pub fn join(&self, mine: &str, other: &Self, theirs: &str) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.ip(&format!("link add {mine} type veth peer name {theirs} netns {path}"));
    }

    /// Everything that this project could change about addresses, routes, rules and MPTCP, as `ip` shows it.
    pub fn picture(&self) -> String {
        let addresses = self.ip("-br address");
        // Without the second column: whether the other end is up already.
        let addresses = addresses.lines().map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [&words[..1], &words[2..]].concat().join(" ")
        });
        let routes = self.ip("route show table all");
        let routes = routes.lines().filter(|line| !line.starts_with("multicast")).map(str::to_owned);
        let rest = ["rule", "-6 rule", "mptcp endpoint", "mptcp limits"].map(|what| self.ip(what));
        addresses.chain(routes).chain(rest).collect::<Vec<_>>().join("\n")
    }
}

/// A program with lines of log, killed when dropped.
pub struct Program {
    child: Child,
    lines: UnboundedReceiver<String>,
    seen: String,
}

impl Program {
    /// Starts it in the namespace; what it writes to standard error is its log.
    pub fn start(namespace: &Namespace, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = namespace.run(|| command.spawn()).unwrap_or_else(|error| {
            panic!("this test needs {program} (Debian package of that name, or {program}-base): {error}")
        });
        let (tell, lines) = unbounded_channel();
        let log = child.stderr.take().expect("piped");
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: String::new() }
    }

    /// Waits until the log says this, from where the last wait ended.
    pub async fn wait_for(&mut self, words: &str) {
        loop {
            let Ok(Some(line)) = timeout(LIMIT, self.lines.recv()).await else {
                panic!("`{words}` did not come; before it:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(words) {
                return;
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
