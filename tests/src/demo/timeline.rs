//! How a person sees the demo, and how a program does (`--json`).

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{Break, Step, Told};
use crate::{
    report::{Line, Stopped, Traffic},
    world::owner::Owner,
};

/// Writes the timeline as it happens.
pub(crate) struct Timeline {
    shown: bool,
    colour: bool,
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy)]
enum Tone {
    Head,
    Number,
    Quiet,
    Good,
    Bad,
}

impl Timeline {
    /// `shown` is false where only JSON is wanted.
    pub(crate) fn new(shown: bool) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { shown, colour }
    }

    /// What will be seen.
    pub(crate) fn title(&self, broken: Option<Break>, owner: Option<Owner>, wispr: bool) {
        if !self.shown {
            return;
        }
        let wrong =
            broken.map(|broken| format!(" One thing is wrong: {}.", words(broken))).unwrap_or_default();
        println!("{}", self.paint(Tone::Head, "\n  One offload to Wi-Fi and the way back"));
        if let Some(owner) = owner {
            println!("  NetworkManager owns {}.", owned(owner));
        }
        if wispr {
            println!("  The network is open, with a WISPr gateway (FIG. 6).");
        }
        println!(
            "  Kernel Wi-Fi, supplicant, access point, modem manager, portal and AAA are the real ones;"
        );
        println!("  only the radio and the modem's air side are simulated.{wrong}\n");
    }

    /// One line of the report.
    pub(crate) fn line(&self, line: &Line) {
        match line {
            Line::Progress { what } => eprintln!("  · {what}"),
            Line::Step(step) if self.shown => println!("{}", self.step(step)),
            Line::Stopped(stopped) if self.shown => println!("{}", self.stop(stopped)),
            _ => {}
        }
    }

    /// The end: traffic, parts, verdict.
    pub(crate) fn end(&self, told: &Told, good: bool, out: &Path) {
        if let Some(traffic) = &told.traffic {
            println!("\n{}", self.traffic(traffic));
        }
        println!("\n{}", self.paint(Tone::Head, "  Real parts"));
        for (name, version) in &told.parts {
            println!("    {name:<18} {}", self.paint(Tone::Quiet, version));
        }
        let verdict = if good { self.paint(Tone::Good, "ok") } else { self.paint(Tone::Bad, "stopped") };
        println!("\n  result: {verdict}");
        println!("  logs and captures: {}\n", out.display());
    }

    fn step(&self, step: &Step) -> String {
        let secs = u32::try_from(step.at_ms).map_or(f64::MAX, f64::from) / 1000.0;
        format!(
            "  {} {secs:>7.2} s  {:<52} {}",
            self.paint(Tone::Number, &format!("{:>8}", step.id)),
            step.what,
            self.paint(Tone::Quiet, &shortened(&step.evidence))
        )
    }

    fn stop(&self, stopped: &Stopped) -> String {
        format!(
            "\n  {} at step {}: {}\n  {}",
            self.paint(Tone::Bad, "stopped"),
            self.paint(Tone::Number, &stopped.step),
            self.paint(Tone::Bad, &stopped.reason),
            stopped.text
        )
    }

    fn traffic(&self, traffic: &Traffic) -> String {
        let (udp, tcp) = (&traffic.udp, &traffic.tcp);
        let lost = if udp.lost == 0 { Tone::Good } else { Tone::Bad };
        let whole = if tcp.intact && tcp.resets == 0 { Tone::Good } else { Tone::Bad };
        let intact = if tcp.intact { "intact" } else { "not intact" };
        format!(
            "{}\n    UDP echo, 50 a second   {} sent, {}, longest gap {} ms\n    TCP download            {} octets, {}",
            self.paint(Tone::Head, "  Traffic through all of it"),
            udp.sent,
            self.paint(lost, &format!("{} lost", udp.lost)),
            udp.longest_gap_ms,
            tcp.bytes,
            self.paint(whole, &format!("{intact}, {} resets", tcp.resets)),
        )
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Head => "1",
            Tone::Number => "36",
            Tone::Quiet => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Usernames are sealed tokens of sixty characters: their beginning and their realm are enough for the eye.
fn shortened(evidence: &str) -> String {
    let short = |word: &str| match word.split_once('@') {
        Some((token, realm)) if token.len() > 16 => format!("{}…@{realm}", token.get(..12).unwrap_or(token)),
        _ => word.to_owned(),
    };
    evidence.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

/// The whole demo as one object.
pub(crate) fn json(told: &Told, good: bool) -> Value {
    let steps: Vec<Value> = told
        .steps
        .iter()
        .map(|step| {
            let what = [step.what.as_str(), step.evidence.as_str()];
            let what = what.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
            json!({ "id": step.id, "at_ms": step.at_ms, "what": what })
        })
        .collect();
    let traffic = told.traffic.clone().unwrap_or_default();
    let parts: Map<String, Value> =
        told.parts.iter().map(|(name, version)| (name.clone(), Value::String(version.clone()))).collect();
    let mut all = json!({
        "steps": steps,
        "udp": traffic.udp,
        "tcp": traffic.tcp,
        "parts": parts,
        "result": if good { "ok" } else { "stopped" },
    });
    if let (Some(stopped), Some(object)) = (&told.stopped, all.as_object_mut()) {
        object.insert("stopped".to_owned(), json!(stopped));
    }
    all
}

fn owned(owner: Owner) -> &'static str {
    match owner {
        Owner::NmWifi => "the WLAN card",
        Owner::NmModem => "the modem",
        Owner::Nm => "the WLAN card and the modem",
    }
}

fn words(broken: Break) -> &'static str {
    match broken {
        Break::WrongMac => "the WLAN card uses another address than the credential was made for",
        Break::WrongPassword => "somebody changed the password in the supplicant",
        Break::NoGatewayFeed => "the packet gateway tells the portal nothing",
        Break::OtherImsi => "the packet gateway says that the address belongs to another SIM",
        Break::RogueAp => "the access point is somebody else's, under the operator's network name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            steps: vec![Step {
                id: "50".into(),
                at_ms: 1,
                what: "up".into(),
                evidence: "IMSI 00101…".into(),
            }],
            traffic: Some(Traffic::default()),
            parts: vec![("Linux".into(), "6.1".into())],
            stopped: None,
        }
    }

    #[test]
    fn json_has_the_agreed_shape() {
        let value = json(&told(), true);
        assert_eq!(value["steps"][0], json!({"id": "50", "at_ms": 1, "what": "up: IMSI 00101…"}));
        assert_eq!(value["udp"], json!({"sent": 0, "lost": 0, "longest_gap_ms": 0}));
        assert_eq!(value["tcp"], json!({"bytes": 0, "intact": false, "resets": 0}));
        assert_eq!(value["parts"], json!({"Linux": "6.1"}));
        assert_eq!(value["result"], "ok");
        assert!(value.get("stopped").is_none());
    }

    #[test]
    fn long_usernames_are_shortened() {
        let token = "abcdefghijkl".repeat(5);
        assert_eq!(
            shortened(&format!("{token}@operator.example · by x")),
            "abcdefghijkl…@operator.example · by x"
        );
        assert_eq!(shortened("me@here"), "me@here");
    }

    #[test]
    fn a_stop_is_named() {
        let stopped = Stopped { step: "70".into(), reason: "wrong-mac".into(), text: "…".into() };
        let value = json(&Told { stopped: Some(stopped), ..told() }, false);
        assert_eq!((&value["result"], &value["stopped"]["step"]), (&json!("stopped"), &json!("70")));
    }
}
