//! offloadctl: asks the daemon how it is. Everything is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::ctl::main()
}
