//! `fixtures/*.txt`: conversations with gateways, quirks included, played against the client on a virtual clock.
//!
//! | line | what |
//! |---|---|
//! | `# …` | who does so |
//! | `allow NAME`, `location TEXT`, `api URL`, `stay` | the task; before the first request |
//! | `> GET URL`, `> POST URL` | the client must ask for this next |
//! | `< STATUS [LOCATION]` | the answer; lines after it are its body, up to the next line of this table |
//! | `! STEP TEXT` | the request fails |
//! | `@ SECONDS` | the client must be waiting until then, in seconds since the start; then it is so late |
//! | `log-off` | nobody wants the session any more |
//! | `= …` | what the client must tell |

use std::{fs, path::Path, time::Duration};

use proptest::prelude::*;
use provisioning::{secret::Password, wispr::Wispr as Rules};

use super::{
    Answer, Event, Fault, LOGIN_LIMIT, Task,
    client::{Client, Input, Output},
    codes::{MessageType, ResponseCode},
};

const PASSWORD: &str = "pass word&1";

pub(super) fn task() -> Task {
    Task {
        interface: "wlan0".to_owned(),
        dns: Vec::new(),
        probe_url: "http://probe.example/generate_204".to_owned(),
        api_url: None,
        username: "token@operator.example".to_owned(),
        password: Password::new(PASSWORD.to_owned()),
        rules: Rules { login_names: vec!["login.hotspot.example".to_owned()], ..Rules::default() },
        ca_pem: String::new(),
    }
}

/// As fixtures write it.
fn shown(output: &Output) -> String {
    match output {
        Output::Get { url, .. } => format!("> GET {url}"),
        Output::Post { url, form } => {
            assert!(form.expose().contains("UserName=token%40operator.example&Password=pass+word%261&"));
            format!("> POST {url}")
        }
        Output::Tell(event) => told(event),
    }
}

fn told(event: &Event) -> String {
    match event {
        Event::Online => "= online".to_owned(),
        Event::LoggedOn { gateway, location, ends_in } => {
            let location = location.as_ref().map(|location| format!(" at {location}")).unwrap_or_default();
            let end = ends_in.map(|end| format!(" for {} s", end.as_secs())).unwrap_or_default();
            format!("= logged-on {gateway}{location}{end}")
        }
        Event::Refused { text } => format!("= refused {text}").trim_end().to_owned(),
        Event::Failed { fault, text } => format!("= failed {}: {text}", fault.code()).trim_end().to_owned(),
        Event::LoggedOff { confirmed } => {
            format!("= logged-off{}", if *confirmed { "" } else { " unconfirmed" })
        }
    }
}

/// Plays one of them; an error names the line.
fn play(text: &str) -> Result<(), String> {
    let mut task = task();
    let mut client: Option<Client> = None;
    let mut now = Duration::ZERO;
    let mut waiting: Vec<Output> = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    let is_order = |line: &str| {
        let word = line.split(' ').next().unwrap_or_default();
        matches!(word, "#" | ">" | "<" | "!" | "@" | "=" | "log-off")
    };
    while let Some((number, line)) = lines.next() {
        let fail = |text: String| format!("line {}: {line}: {text}", number + 1);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut input = None;
        match word {
            "#" | "" => {}
            "allow" => task.rules.login_names = vec![rest.to_owned()],
            "location" => task.rules.location = Some(rest.to_owned()),
            "api" => task.api_url = Some(rest.to_owned()),
            "stay" => task.rules.stay_logged_on = true,
            ">" | "=" => {
                if client.is_none() {
                    let (started, outputs) = Client::start(now, &task).map_err(|event| fail(told(&event)))?;
                    client = Some(started);
                    waiting = outputs;
                }
                if waiting.is_empty() {
                    return Err(fail(format!(
                        "nothing, waits until {:?}",
                        client.and_then(|c| c.deadline())
                    )));
                }
                let said = shown(&waiting.remove(0));
                if said != line {
                    return Err(fail(said));
                }
            }
            "<" => {
                let mut words = rest.splitn(2, ' ');
                let status =
                    words.next().and_then(|word| word.parse().ok()).ok_or_else(|| fail("status".into()))?;
                let mut body = String::new();
                while let Some((_, line)) = lines.next_if(|(_, line)| !is_order(line)) {
                    body.push_str(line);
                    body.push_str("\r\n");
                }
                let location = words.next().map(str::to_owned);
                input = Some(Input::Answer(Answer { status, location, body: body.into_bytes() }));
            }
            "!" => {
                let (step, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let known = ["dns", "connect", "tls", "date", "http"];
                let step = *known.iter().find(|known| **known == step).ok_or_else(|| fail("step".into()))?;
                input = Some(Input::Failed { step, text: text.to_owned() });
            }
            "@" => {
                let at = rest.parse().map(Duration::from_secs_f64).map_err(|_| fail("seconds".into()))?;
                let wanted = client.as_ref().and_then(Client::deadline);
                if wanted != Some(at) {
                    return Err(fail(format!("waits until {wanted:?}")));
                }
                now = at;
                input = Some(Input::Timeout);
            }
            "log-off" => input = Some(Input::LogOff),
            _ => return Err(fail("no order".to_owned())),
        }
        if let Some(input) = input {
            let Some(client) = &mut client else { return Err(fail("before the first request".to_owned())) };
            if !waiting.is_empty() {
                return Err(fail(format!("the client had more to say: {waiting:?}")));
            }
            waiting = client.handle(now, input);
        }
    }
    if waiting.is_empty() { Ok(()) } else { Err(format!("at the end: {waiting:?}")) }
}

#[test]
fn conversations_go_as_the_fixtures_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wispr/fixtures");
    let mut played = 0;
    for file in fs::read_dir(folder).expect("the fixtures") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("text");
        if let Err(error) = play(&text) {
            panic!("{}: {error}", path.display());
        }
        played += 1;
    }
    assert!(played >= 30, "only {played} of them");
}

fn xml(child: &str) -> Input {
    let body = format!("<WISPAccessGatewayParam>{child}</WISPAccessGatewayParam>").into_bytes();
    Input::Answer(Answer { status: 200, location: None, body })
}

fn redirect() -> Input {
    xml("<Redirect><MessageType>100</MessageType><ResponseCode>0</ResponseCode>\
         <LoginURL>https://login.hotspot.example/l</LoginURL><AbortLoginURL>http://g.example/a</AbortLoginURL></Redirect>")
}

/// One of everything that can happen.
fn input() -> impl Strategy<Value = Input> {
    let kinds = [
        "Redirect",
        "Proxy",
        "AuthenticationReply",
        "AuthenticationPollReply",
        "LogoffReply",
        "AbortLoginReply",
        "X",
    ];
    let code = proptest::sample::select(vec![0u32, 50, 100, 102, 105, 150, 151, 200, 201, 255, 7]);
    let some = (proptest::sample::select(kinds.to_vec()), code, any::<u8>(), 0..40u32).prop_map(
        |(kind, code, fields, delay)| {
            let mut child = format!("<{kind}><ResponseCode>{code}</ResponseCode>");
            for (bit, name, value) in [
                (1, "LoginURL", "https://login.hotspot.example/l"),
                (2, "AbortLoginURL", "http://g.example/a"),
                (4, "LoginResultsURL", "http://g.example/r"),
                (8, "LogoffURL", "http://g.example/o"),
                (16, "NextURL", "http://g.example/n"),
                (32, "LoginURL", "https://evil.example/l"),
                (64, "ReplyMessage", "Already logged on"),
            ] {
                if fields & bit != 0 {
                    child.push_str(&format!("<{name}>{value}</{name}>"));
                }
            }
            if fields & 128 != 0 {
                child.push_str(&format!("<Delay>{delay}</Delay>"));
            }
            xml(&format!("{child}</{kind}>"))
        },
    );
    let page = |status, location: Option<&str>| {
        Input::Answer(Answer { status, location: location.map(str::to_owned), body: Vec::new() })
    };
    prop_oneof![
        6 => some,
        1 => Just(page(204, None)),
        1 => Just(page(302, Some("/x"))),
        1 => Just(page(307, Some("https://evil.example/"))),
        1 => Just(page(200, None)),
        1 => Just(Input::Failed { step: "tls", text: String::new() }),
        1 => Just(Input::Failed { step: "connect", text: String::new() }),
        4 => Just(Input::Timeout),
        1 => Just(Input::LogOff),
    ]
}

proptest! {
    /// Whatever a gateway says: the form goes out once at most, to the listed name, and there is an end.
    #[test]
    fn the_password_is_told_once_and_to_the_right_name_only(
        inputs in proptest::collection::vec(input(), 1..60), api in any::<bool>(), redirected in any::<bool>()
    ) {
        let task = Task { api_url: api.then(|| "https://api.example/".to_owned()), ..task() };
        let (mut client, outputs) = Client::start(Duration::ZERO, &task).expect("starts");
        prop_assert_eq!(outputs.len(), 1);
        let mut now = Duration::ZERO;
        let mut posts = 0;
        let first = redirected.then(redirect);
        for input in first.into_iter().chain(inputs) {
            if input == Input::Timeout {
                now = client.deadline().unwrap_or(now).max(now);
            }
            let outputs = client.handle(now, input);
            prop_assert!(outputs.len() <= 1, "{:?}", outputs);
            for output in outputs {
                if let Output::Post { url, form } = output {
                    posts += 1;
                    prop_assert_eq!(url.as_str(), "https://login.hotspot.example/l");
                    prop_assert!(form.expose().contains("Password=pass+word%261"));
                }
            }
        }
        prop_assert!(posts <= 1);
    }

    /// Time alone ends every login, however far it has come.
    #[test]
    fn silence_ends_it(inputs in proptest::collection::vec(input(), 0..12)) {
        let (mut client, _) = Client::start(Duration::ZERO, &task()).expect("starts");
        let mut now = Duration::ZERO;
        for input in inputs {
            client.handle(now, input);
        }
        let mut rounds = 0;
        while let Some(at) = client.deadline() {
            now = now.max(at);
            client.handle(now, Input::Timeout);
            rounds += 1;
            prop_assert!(rounds < 100, "no end");
        }
        prop_assert!(now <= LOGIN_LIMIT + super::LOG_OFF_LIMIT * 2, "{:?}", now);
    }
}

/// Every response code that a login can have, and what it is to the machine.
#[test]
fn each_code_has_its_meaning() {
    for (code, fault) in [
        (ResponseCode::RADIUS_ERROR, Fault::Radius),
        (ResponseCode::NO_RADIUS_SERVER, Fault::Radius),
        (ResponseCode::INTERNAL_ERROR, Fault::Gateway),
        (ResponseCode::LOGIN_ABORTED, Fault::Pending),
        (ResponseCode::NO_ERROR, Fault::Protocol),
        (ResponseCode(10), Fault::Protocol),
        (ResponseCode(253), Fault::Protocol),
        (ResponseCode(254), Fault::Protocol),
    ] {
        for element in ["AuthenticationReply", "AuthenticationPollReply"] {
            let (mut client, _) = Client::start(Duration::ZERO, &task()).expect("starts");
            client.handle(Duration::ZERO, redirect());
            let reply = format!(
                "<{element}><MessageType>{}</MessageType><ResponseCode>{code}</ResponseCode></{element}>",
                MessageType::AUTHENTICATION
            );
            let outputs = client.handle(Duration::ZERO, xml(&reply));
            let text = format!("code {code}: ");
            assert_eq!(outputs, [Output::Tell(Event::Failed { fault, text })], "{code}");
            assert!(client.is_over());
        }
    }
}
