//! An Access-Request, from who sent it to the answer.

use ::radius::{Packet, Seen};

use super::{
    drops::Why,
    forward,
    origin::{Origin, Peer},
    random,
    shared::{Shared, locked},
};
use crate::{
    aaa::{
        Now,
        directory::Reject,
        engine::{self, Answer, Request},
        guard::{Verdict, judge},
    },
    proxy::Route,
    store::MessageAuthenticator,
};

pub(super) fn take(
    shared: &Shared,
    origin: &Origin,
    peer: Peer<'_>,
    packet: &Packet<'_>,
) -> Result<Option<Vec<u8>>, Why> {
    let client = peer.client;
    let policy = if peer.proved { MessageAuthenticator::Off } else { client.message_authenticator };
    match judge(packet, peer.secret, policy) {
        Verdict::Genuine => {}
        Verdict::Unproved => shared.audit.note(&client.name, packet.proxy_states() > 0),
        Verdict::Forged => return Err(Why::Forged),
        Verdict::Missing => return Err(Why::Unproved),
    }
    let now = shared.clock.now();
    shared.within_rate(now.monotonic, client)?;
    let source = origin.source(packet.identifier());
    match locked(&shared.logins).check(now.monotonic, source, packet.authenticator()) {
        Seen::New => {}
        Seen::InProgress => return Err(Why::InProgress),
        // RFC 5080 §2.2.2: a repetition gets the same octets.
        Seen::Answered(answer) => return Ok(Some(answer.to_vec())),
    }
    let request =
        Request { packet, client: &client.name, secret: peer.secret, source: origin.address().ip() };
    let answer = if forward::is_looping(shared, packet) {
        shared.drops.count(Why::Looped, source.address.ip());
        // A word ends it at once; silence would leave every proxy on the way waiting.
        refuse(&request, Reject::UnknownRealm, "proxy-loop")
    } else {
        match forward::route(shared, packet) {
            Route::Local => work(shared, now, &request),
            Route::Unknown => refuse(&request, Reject::UnknownRealm, "no such realm here"),
            Route::Pool { pool, user_name } => {
                let onward = forward::onward(origin, peer, packet, pool, user_name);
                match forward::submit(shared, onward) {
                    Ok(()) => return Ok(None),
                    Err(why) => Err(why),
                }
            }
        }
    };
    let mut logins = locked(&shared.logins);
    match answer {
        Ok(Answer { octets, settled }) => {
            logins.answer(now.monotonic, source, packet.authenticator(), octets.clone(), settled);
            Ok(Some(octets))
        }
        Err(why) => {
            logins.forget(source, packet.authenticator());
            Err(why)
        }
    }
}

fn refuse(request: &Request<'_>, why: Reject, detail: &str) -> Result<Answer, Why> {
    engine::refuse(request, why, detail).map_err(|_| Why::NoAnswer)
}

fn work(shared: &Shared, now: Now, request: &Request<'_>) -> Result<Answer, Why> {
    let mut failed = None;
    let mut random = |octets: &mut [u8]| failed = failed.or(random::fill(octets).err());
    let answer = shared.engine.handle(now, &mut random, request);
    // What was made without random octets must not leave.
    if let Some(error) = failed {
        tracing::error!(event = "no-random", %error);
        return Err(Why::NoAnswer);
    }
    match answer {
        Ok(answer) => answer.ok_or(Why::OutOfOrder),
        Err(error) => {
            tracing::error!(event = "answer-failed", nas = request.client, %error);
            Err(Why::NoAnswer)
        }
    }
}
