//! What can be done to the simulated modem from outside: by a test, or by a line on the `control` socket.

use std::str::FromStr;

use anyhow::{Result, bail};

use super::{
    messages::Message,
    modem::{Modem, Registration, Sim},
};

/// One thing that happens to the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// The network registers the device, or throws it out.
    Registration(Registration),
    /// Signal as `+CSQ` gives it: 0 to 31, 99 unknown.
    Signal(u8),
    /// The SIM changes; seen after a replug.
    Sim(Sim),
    /// What the network tells of the time, seconds since 1970.
    NetworkTime(Option<u64>),
    /// Another subscriber's SIM.
    Imsi(String),
    /// The network ends the data session.
    DropSession,
    /// The network gives data sessions, or none.
    Data(bool),
    /// A short message comes.
    Receive(Message),
    /// The device is pulled. ModemManager learns it by `manager`.
    Unplug,
    /// The device is there again.
    Plug,
}

impl Order {
    /// Does it. Power is the ports' matter.
    pub(super) fn apply(&self, modem: &mut Modem) {
        match self {
            Self::Registration(registration) => modem.set_registration(*registration),
            Self::Signal(signal) => modem.set_signal(*signal),
            Self::Sim(sim) => modem.set_sim(*sim),
            Self::NetworkTime(unix) => modem.set_network_time(*unix),
            Self::Imsi(imsi) => modem.set_imsi(imsi),
            Self::DropSession => modem.drop_session(),
            Self::Data(allowed) => modem.allow_data(*allowed),
            Self::Receive(message) => modem.receive(message),
            Self::Unplug | Self::Plug => modem.power_cycle(),
        }
    }
}

/// `registration 0|1|2|3|5`, `csq N`, `time SECONDS|unknown`, `sim ready|absent|pin`, `imsi DIGITS`, `net drop|none|data`,
/// `unplug`, `plug`.
impl FromStr for Order {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        Ok(match words.as_slice() {
            ["registration", number] => Self::Registration(match *number {
                "0" => Registration::Idle,
                "1" => Registration::Home,
                "2" => Registration::Searching,
                "3" => Registration::Denied,
                "5" => Registration::Roaming,
                _ => bail!("registration is 0 idle, 1 home, 2 searching, 3 denied or 5 roaming"),
            }),
            ["csq", number] => Self::Signal(number.parse()?),
            ["time", "unknown"] => Self::NetworkTime(None),
            ["time", seconds] => Self::NetworkTime(Some(seconds.parse()?)),
            ["sim", "ready"] => Self::Sim(Sim::Ready),
            ["sim", "absent"] => Self::Sim(Sim::Absent),
            ["sim", "pin"] => Self::Sim(Sim::Pin),
            ["imsi", digits] if digits.len() == 15 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Self::Imsi((*digits).to_owned())
            }
            ["net", "drop"] => Self::DropSession,
            ["net", "none"] => Self::Data(false),
            ["net", "data"] => Self::Data(true),
            ["unplug"] => Self::Unplug,
            ["plug"] => Self::Plug,
            _ => bail!(
                "one of: registration 0|1|2|3|5, csq N, time SECONDS|unknown, sim ready|absent|pin, imsi DIGITS, net drop|none|data, unplug, plug"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_orders() {
        let order = |line: &str| line.parse::<Order>();
        assert_eq!(order("registration 5").unwrap(), Order::Registration(Registration::Roaming));
        assert_eq!(order("time 7").unwrap(), Order::NetworkTime(Some(7)));
        assert_eq!(order(" net  drop \n").unwrap(), Order::DropSession);
        assert_eq!(order("imsi 001010999999999").unwrap(), Order::Imsi("001010999999999".into()));
        for bad in ["", "registration 4", "registration", "csq x", "imsi 1", "sim", "unplug now"] {
            assert!(order(bad).is_err(), "{bad}");
        }
    }
}
