//! What a person sees while something takes long: one line a step, its age on a terminal, its length at the end.
//!
//! All of it goes to standard error, so that `--json` owns standard output.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::clock;

/// Without a terminal (CI) a sign of life comes this often; on one the line counts seconds.
const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// Runs one long step and shows it.
pub(crate) fn step<T, E>(title: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let began = clock::now();
    let terminal = io::stderr().is_terminal();
    let (done, ticker) = mpsc::channel::<()>();
    let every = if terminal { Duration::from_secs(1) } else { PLAIN_EVERY };
    let line = title.to_owned();
    if terminal {
        let _ = write!(io::stderr(), "  ◌ {title}");
    }
    let shower = thread::spawn(move || {
        while ticker.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            let secs = began.elapsed().as_secs();
            if terminal {
                let _ = write!(io::stderr(), "\r  ◌ {line}  {secs} s ");
            } else {
                eprintln!("  … {line}, {secs} s");
            }
        }
    });
    let outcome = work();
    drop(done);
    let _ = shower.join();
    finish(title, began, outcome.is_ok(), terminal);
    outcome
}

/// One line that needs no waiting.
pub(crate) fn note(text: &str) {
    eprintln!("  · {text}");
}

fn finish(title: &str, began: Instant, good: bool, terminal: bool) {
    let start = if terminal { "\r\x1b[K" } else { "" };
    let sign = if good { "✓" } else { "✗" };
    eprintln!("{start}  {sign} {title}  {:.1} s", began.elapsed().as_secs_f32());
}
