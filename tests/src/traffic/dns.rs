//! A question a second to the name server that the machine has at that moment, as a program's resolver asks it: what is
//! not answered within a second is a name that did not resolve.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use crate::clock;

/// Pace, and patience of one question.
const EVERY: Duration = Duration::from_secs(1);
/// DNS.
const PORT: u16 = 53;

/// What became of the questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Asked.
    pub(crate) asked: u64,
    /// Not answered in time.
    pub(crate) failed: u64,
}

/// A thread that asks.
pub(crate) struct Questions {
    stop: Arc<AtomicBool>,
    counts: Arc<[AtomicU64; 2]>,
    thread: Option<JoinHandle<()>>,
}

impl Questions {
    /// Asks for `name` from here on.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let question = question(name);
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&counts));
        let thread = thread::Builder::new().name("dns".into()).spawn(move || {
            let [asked, failed] = &*counted;
            while !stopped.load(Ordering::Relaxed) {
                let began = clock::now();
                asked.fetch_add(1, Ordering::Relaxed);
                if ask(&question).is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                clock::pause(EVERY.saturating_sub(began.elapsed()));
            }
        })?;
        Ok(Self { stop, counts, thread: Some(thread) })
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Result<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| anyhow!("the questions are over"))?;
        thread.join().map_err(|_| anyhow!("a traffic thread died"))?;
        let [asked, failed] = &*self.counts;
        Ok(Asked { asked: asked.load(Ordering::Relaxed), failed: failed.load(Ordering::Relaxed) })
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask(question: &[u8]) -> Result<()> {
    let settings = fs::read_to_string("/etc/resolv.conf")?;
    let server =
        settings.lines().find_map(|line| line.strip_prefix("nameserver ")).context("no name server")?;
    let server: IpAddr = server.trim().parse()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(EVERY))?;
    socket.connect((server, PORT))?;
    socket.send(question)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    // The same identifier, and an answer in it (RFC 1035 §4.1.1).
    let answer = answer.get(..length).unwrap_or_default();
    let right = answer.get(..2) == question.get(..2) && answer.get(6..8).is_some_and(|count| count != [0, 0]);
    right.then_some(()).context("not an answer")
}

/// An A question with recursion wanted (RFC 1035 §4.1).
fn question(name: &str) -> Vec<u8> {
    let mut octets = vec![0x4f, 0x66, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).unwrap_or(63));
        octets.extend_from_slice(label.as_bytes());
    }
    octets.extend_from_slice(&[0, 0, 1, 0, 1]);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_that_of_the_standard() {
        let wanted = b"\x4f\x66\x01\0\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x01\0\x01";
        assert_eq!(question("a.bc"), wanted);
    }
}
