//! Orders by a UNIX socket, one a line, one answer a line: for a person who looks at a running lab.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
};

use anyhow::{Context as _, Result};

use super::Order;

/// Serves orders at `path` on a thread of its own, one client after the other.
pub(super) fn serve(path: &Path, carry_out: impl Fn(&Order) + Send + 'static) -> Result<()> {
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
    thread::Builder::new().name("at-control".into()).spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that goes away is no matter.
            let _ = converse(&client, &carry_out);
        }
    })?;
    Ok(())
}

fn converse(client: &UnixStream, carry_out: &impl Fn(&Order)) -> std::io::Result<()> {
    let mut answers = client;
    for line in BufReader::new(client).lines() {
        match line?.parse::<Order>() {
            Ok(order) => {
                carry_out(&order);
                writeln!(answers, "ok")?;
            }
            Err(error) => writeln!(answers, "err {error}")?,
        }
    }
    Ok(())
}
