//! The shell around the machine: carries inputs in and actions out, reads the one clock, and nothing else.

mod clock;
pub mod log;
mod run;
mod start;
mod story;

pub use run::{SupplicantOf, Worlds, run};
pub use start::main;
