//! The one thread that has credentials made and recorded: all that wait go to the database in one transaction (group
//! commit), and each device is answered when that has returned.
//!
//! [`super::service`] hands requests over, never more than [`super::Limits::issuing`] at a time.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use provisioning::message::Credential;
use tokio::sync::oneshot;

use super::Issuer;
use crate::{
    credential::{IssueError, IssueRequest},
    server::clock::Clock,
};

/// What one request came to.
pub(super) type Issued = Result<Credential, IssueError>;

/// One request on its way to the disk.
struct Job {
    request: IssueRequest,
    reply: oneshot::Sender<Issued>,
}

/// The way to the thread; it ends when this goes.
pub(super) struct Issuing {
    jobs: Sender<Job>,
}

impl Issuing {
    /// Starts it.
    pub(super) fn start(issuer: Arc<dyn Issuer>, clock: Clock) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        thread::Builder::new().name("issuing".to_owned()).spawn(move || run(&waiting, &*issuer, clock))?;
        Ok(Self { jobs })
    }

    /// Hands a request over. No answer at all: the thread met a fault of the program with it.
    pub(super) fn issue(&self, request: IssueRequest) -> oneshot::Receiver<Issued> {
        let (reply, answer) = oneshot::channel();
        // Where the thread has gone, so does the sender, and the receiver says so.
        drop(self.jobs.send(Job { request, reply }));
        answer
    }
}

fn run(jobs: &Receiver<Job>, issuer: &dyn Issuer, clock: Clock) {
    while let Ok(first) = jobs.recv() {
        let (requests, replies): (Vec<_>, Vec<_>) =
            std::iter::once(first).chain(jobs.try_iter()).map(|job| (job.request, job.reply)).unzip();
        let now = clock.now().unix;
        // A fault of the program costs those who were in it their answer, not all who come later.
        let issued = catch_unwind(AssertUnwindSafe(|| issuer.issue_each(now, &requests)));
        for (reply, issued) in replies.into_iter().zip(issued.unwrap_or_default()) {
            // Who has gone meanwhile asks again.
            drop(reply.send(issued));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use provisioning::{identity::Mac, report::CredentialReport};

    use super::*;
    use crate::credential::ReportError;

    fn request(last: u8) -> IssueRequest {
        let mac = Mac([2, 0, 0, 0, 0, last]);
        IssueRequest {
            imsi: None,
            imei: None,
            subscriber: None,
            mac,
            lifetime: None,
            source: None,
            runs_policy: None,
        }
    }

    /// Holds the first batch until the others wait, and notes the size of each. Panics at card 9.
    struct Slow {
        began: Barrier,
        go: Barrier,
        batches: Mutex<Vec<usize>>,
        calls: AtomicUsize,
    }

    impl Issuer for Slow {
        fn tell(&self, _: u64, _: &CredentialReport) -> Result<(), ReportError> {
            Err(ReportError::Unproved)
        }

        fn issue(&self, now: u64, _: &IssueRequest) -> Issued {
            Err(IssueError::Clock { now })
        }

        fn issue_each(&self, _: u64, requests: &[IssueRequest]) -> Vec<Issued> {
            self.batches.lock().unwrap().push(requests.len());
            if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
                self.began.wait();
                self.go.wait();
            }
            let answer = |request: &IssueRequest| {
                assert_ne!(request.mac.0[5], 9);
                Err(IssueError::Clock { now: u64::from(request.mac.0[5]) })
            };
            requests.iter().map(answer).collect()
        }
    }

    #[test]
    fn those_who_wait_go_together_and_each_gets_his_own_answer() {
        let slow = Arc::new(Slow {
            began: Barrier::new(2),
            go: Barrier::new(2),
            batches: Mutex::default(),
            calls: AtomicUsize::new(0),
        });
        let issuing = Issuing::start(slow.clone(), Clock::start()).unwrap();
        let first = issuing.issue(request(1));
        slow.began.wait();
        let others = [2, 3, 4].map(|last| issuing.issue(request(last)));
        slow.go.wait();
        let number = |answer: oneshot::Receiver<Issued>| match answer.blocking_recv() {
            Ok(Err(IssueError::Clock { now })) => now,
            other => panic!("{other:?}"),
        };
        assert_eq!(number(first), 1);
        assert_eq!(others.map(number), [2, 3, 4]);
        assert_eq!(*slow.batches.lock().unwrap(), [1, 3]);
        assert!(issuing.issue(request(9)).blocking_recv().is_err(), "no answer");
        assert_eq!(number(issuing.issue(request(5))), 5, "the next one is served");
    }
}
