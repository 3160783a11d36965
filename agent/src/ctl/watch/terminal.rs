//! The terminal: another screen while it is open, single keys, its size; as it was when dropped.

use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    thread,
};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use rustix::termios::tcgetwinsize;
use tokio::sync::mpsc;

/// The smallest that is drawn for.
const LEAST: (u16, u16) = (40, 10);

/// The open terminal.
pub(super) struct Terminal {
    before: Termios,
    keys: mpsc::Receiver<u8>,
    colours: bool,
}

impl Terminal {
    pub(super) fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut single = before.clone();
        single.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(&stdin, SetArg::TCSANOW, &single)?;
        let (pressed, keys) = mpsc::channel(16);
        // Ends with the program: nothing else can wake a read of a terminal.
        thread::Builder::new().name("keys".to_owned()).spawn(move || {
            let mut key = [0];
            while io::stdin().read_exact(&mut key).is_ok() {
                if pressed.blocking_send(key[0]).is_err() {
                    break;
                }
            }
        })?;
        // no-color.org: set and not empty.
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = Self { before, keys, colours };
        // Another screen, cleared, without cursor and without wrapping.
        terminal.write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J")?;
        Ok(terminal)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout().as_fd());
        let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
        // One that does not know says nothing.
        let (columns, rows) = if columns == 0 || rows == 0 { (80, 24) } else { (columns, rows) };
        (columns.max(LEAST.0).into(), rows.max(LEAST.1).into())
    }

    pub(super) fn colours(&self) -> bool {
        self.colours
    }

    /// The next key; none at the end of input.
    pub(super) async fn key(&mut self) -> Option<u8> {
        self.keys.recv().await
    }

    /// Puts lines over what was there, at once, so that nothing flickers.
    pub(super) fn show(&self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { "\r\n" });
            // Before the line: after one that reaches the edge the cursor stands on its last character.
            text.push_str("\x1b[K");
            text.push_str(line);
        }
        self.write(&text)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.write("\x1b[?7h\x1b[?25h\x1b[?1049l");
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
