use provisioning::secret::Password;
use rusmpp::pdus::{BindTransceiverResp, DeliverSm, SubmitSmResp};

use super::*;
use crate::sms::{Delivery, Long, pdu::Body, settings::Address};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn settings() -> Settings {
    Settings {
        server: "127.0.0.1:2775".to_owned(),
        system_id: "portal".to_owned(),
        password: Password::new("secret".to_owned()),
        system_type: String::new(),
        source: Address { ton: 1, npi: 1, text: "15550001000".to_owned() },
        dest_ton: 1,
        dest_npi: 1,
        long: Long::Udh,
        window: 2,
        per_second: 1000,
        receipts: true,
        keys: vec![1],
        clock_window: SECOND * 900,
        subscriber_burst: 5,
        subscriber_refill: SECOND * 300,
        delivery: Delivery::AsAsked,
    }
}

fn queue(parts: u8) -> Queue {
    let mut queue = Queue::new(1_000_000);
    let to = "15551234567".parse().unwrap();
    queue.put(SECOND, &to, (0..parts).map(|at| Body::Plain(vec![at])).collect()).unwrap();
    queue
}

fn answer(sequence: u32, status: CommandStatus, pdu: impl Into<Pdu>) -> Command {
    Command::new(status, sequence, pdu)
}

fn bound<'a>(settings: &'a Settings, queue: &mut Queue) -> Session<'a> {
    let (mut session, outputs) = Session::start(settings, SECOND);
    let [Output::Send(bind)] = outputs.as_slice() else { panic!("{outputs:?}") };
    let Some(Pdu::BindTransceiver(sent)) = bind.pdu() else { panic!("{bind:?}") };
    assert_eq!((sent.system_id.as_str(), u8::from(sent.interface_version)), ("portal", 0x34));
    let accepted = answer(bind.sequence_number, CommandStatus::EsmeRok, BindTransceiverResp::default());
    assert_eq!(session.poll(SECOND, queue), [], "nothing before the bind");
    assert_eq!(session.received(SECOND, &accepted, queue), [Output::Bound]);
    session
}

/// The numbers of what is sent.
fn sent(outputs: &[Output]) -> Vec<u32> {
    let number = |output: &Output| match output {
        Output::Send(command) => command.sequence_number,
        other => panic!("{other:?}"),
    };
    outputs.iter().map(number).collect()
}

fn taken(session: &mut Session<'_>, queue: &mut Queue, sequence: u32, status: CommandStatus) -> Vec<Output> {
    let response = SubmitSmResp::builder().message_id("id".parse().unwrap()).build();
    session.received(SECOND, &answer(sequence, status, response), queue)
}

#[test]
fn no_more_goes_than_the_window_lets() {
    let (settings, mut queue) = (settings(), queue(3));
    let mut session = bound(&settings, &mut queue);
    let first = sent(&session.poll(SECOND * 2, &mut queue));
    assert_eq!(first.len(), 2);
    assert_eq!(session.poll(SECOND * 2, &mut queue), []);
    let expected = [Output::Taken { message: 1, id: "id".to_owned() }];
    assert_eq!(taken(&mut session, &mut queue, first[1], CommandStatus::EsmeRok), expected);
    assert_eq!(sent(&session.poll(SECOND * 2, &mut queue)).len(), 1);
    assert_eq!(taken(&mut session, &mut queue, 99, CommandStatus::EsmeRok), [], "nobody asked");
}

#[test]
fn overload_waits_and_refusal_drops_the_message() {
    let (settings, mut queue) = (settings(), queue(3));
    let mut session = bound(&settings, &mut queue);
    let first = sent(&session.poll(SECOND, &mut queue));
    assert_eq!(taken(&mut session, &mut queue, first[0], CommandStatus::EsmeRthrottled), []);
    assert_eq!(session.poll(SECOND, &mut queue), [], "paused");
    assert_eq!(sent(&session.poll(SECOND * 2, &mut queue)).len(), 1);
    let refused = taken(&mut session, &mut queue, first[1], CommandStatus::EsmeRinvdstadr);
    assert_eq!(refused, [Output::Lost { message: 1, status: Some(11) }]);
    assert!(queue.is_empty(), "the last part is of no use");
}

#[test]
fn what_had_no_answer_goes_again_in_order() {
    let (settings, mut queue) = (settings(), queue(3));
    let mut session = bound(&settings, &mut queue);
    assert_eq!(session.poll(SECOND, &mut queue).len(), 2);
    assert_eq!(session.poll(SECOND * 31, &mut queue), [Output::Close("smpp-submit-silent")]);
    assert_eq!(session.deadline(&queue), None);
    assert_eq!(session.ended(&mut queue), []);
    let mut bodies = Vec::new();
    while let Some(part) =
        queue.next(SECOND * 40 + SECOND * u32::try_from(bodies.len()).unwrap(), &mut Vec::new())
    {
        bodies.push(part.body);
    }
    assert_eq!(bodies, [0, 1, 2].map(|at| Body::Plain(vec![at])));
}

#[test]
fn silence_is_asked_about_and_then_is_the_end() {
    let (settings, mut queue) = (settings(), Queue::new(1));
    let mut session = bound(&settings, &mut queue);
    assert_eq!(session.deadline(&queue), Some(SECOND * 31));
    let asked = session.poll(SECOND * 31, &mut queue);
    let [Output::Send(enquire)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(enquire.pdu(), Some(&Pdu::EnquireLink));
    let answered = answer(enquire.sequence_number, CommandStatus::EsmeRok, Pdu::EnquireLinkResp);
    assert_eq!(session.received(SECOND * 32, &answered, &mut queue), []);
    assert_eq!(session.poll(SECOND * 61, &mut queue), []);
    assert_eq!(session.poll(SECOND * 62, &mut queue).len(), 1);
    assert_eq!(session.poll(SECOND * 72, &mut queue), [Output::Close("smpp-silent")]);
}

#[test]
fn its_requests_are_answered() {
    let (settings, mut queue) = (settings(), Queue::new(1));
    let mut session = bound(&settings, &mut queue);
    let reply = |session: &mut Session<'_>, queue: &mut Queue, pdu: Pdu| {
        session.received(SECOND, &answer(77, CommandStatus::EsmeRok, pdu), queue)
    };
    assert_eq!(
        reply(&mut session, &mut queue, Pdu::EnquireLink),
        [Output::Send(pdu::command(77, Pdu::EnquireLinkResp))]
    );
    let outputs = reply(&mut session, &mut queue, Pdu::DeliverSm(DeliverSm::default()));
    assert!(matches!(outputs.as_slice(), [Output::Delivered(77, _)]), "{outputs:?}");
    let outputs = reply(&mut session, &mut queue, Pdu::DataSm(Default::default()));
    let [Output::Send(nack)] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!((nack.pdu(), nack.status), (Some(&Pdu::GenericNack), CommandStatus::EsmeRinvcmdid));
    let outputs = reply(&mut session, &mut queue, Pdu::Unbind);
    assert_eq!(outputs, [Output::Send(pdu::command(77, Pdu::UnbindResp)), Output::Close("smpp-unbound")]);
}

#[test]
fn who_goes_says_so_and_takes_nothing_more() {
    let (settings, mut queue) = (settings(), queue(3));
    let mut session = bound(&settings, &mut queue);
    let outputs = session.leave(SECOND * 10);
    let [Output::Send(unbind)] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!(unbind.pdu(), Some(&Pdu::Unbind));
    assert!(session.leave(SECOND * 11).is_empty() && session.poll(SECOND * 11, &mut queue).is_empty());
    let mut came = |session: &mut Session<'_>, pdu: Pdu| {
        session.received(SECOND * 11, &answer(5, CommandStatus::EsmeRok, pdu), &mut queue)
    };
    let outputs = came(&mut session, Pdu::DeliverSm(DeliverSm::default()));
    assert_eq!(outputs, [Output::Send(pdu::delivered(5, false))], "it stays with the message centre");
    assert_eq!(came(&mut session, Pdu::UnbindResp), [Output::Close("smpp-left")]);
    // One that says nothing is not waited for.
    let mut session = bound(&settings, &mut queue);
    session.leave(SECOND * 10);
    assert_eq!(session.deadline(&queue), Some(SECOND * 13));
    assert_eq!(session.poll(SECOND * 13, &mut queue), [Output::Close("smpp-unbind-silent")]);
    let (mut session, _) = Session::start(&settings, SECOND);
    assert_eq!(session.leave(SECOND), [Output::Close("smpp-left")], "not let in yet");
}

#[test]
fn a_wrong_password_ends_it_and_so_does_a_silent_bind() {
    let settings = settings();
    let mut queue = Queue::new(1);
    let (mut session, _) = Session::start(&settings, SECOND);
    let refused =
        answer(1, CommandStatus::EsmeRbindfail, Pdu::BindTransceiverResp(BindTransceiverResp::default()));
    assert_eq!(session.received(SECOND, &refused, &mut queue), [Output::Close("smpp-bind-refused")]);
    let (mut session, _) = Session::start(&settings, SECOND);
    assert_eq!(session.deadline(&queue), Some(SECOND * 16));
    assert_eq!(session.poll(SECOND * 16, &mut queue), [Output::Close("smpp-bind-silent")]);
}
