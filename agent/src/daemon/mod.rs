//! The shell around the machine: carries inputs in and actions out, reads the one clock, and nothing else.

mod clock;
mod journal;
pub mod log;
pub mod metrics;
mod octets;
mod run;
mod start;
mod story;

pub(crate) use clock::unix;
pub use journal::{Entry, Journal};
pub use octets::octets;
pub use run::{SupplicantOf, Worlds, run};
pub use start::main;
