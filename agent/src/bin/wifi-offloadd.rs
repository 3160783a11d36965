//! wifi-offloadd: the agent's daemon. Everything is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::daemon::main()
}
