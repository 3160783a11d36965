//! What must be true of a server before it is worth timing: the right password gets in, the wrong one does not, keys
//! match, resumed sessions resume. Asked by the generator, and again by `eapol_test`, which is nobody's own.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{
    contestant::Contestant,
    generator::{STATIONS, Tally},
    shape::Shape,
    trust::Trust,
};
use crate::peers::{User, certificate::Certificate, eapol::Attempt};

/// Not the password of anybody.
const WRONG: &str = "not-the-password-of-anybody";

/// An error where the server is not fit to be measured.
pub(super) fn check(
    server: &mut Contestant,
    shape: Shape,
    trust: &Trust,
    certificate: &Certificate,
    work: &Path,
) -> Result<()> {
    server.rest();
    by_generator(server, shape, trust)?;
    // Too few logins for hostapd to need a rest after them.
    by_eapol_test(server, shape, certificate, work)
}

fn by_generator(server: &Contestant, shape: Shape, trust: &Trust) -> Result<()> {
    let mut generator = server.generator(shape, &server.users, trust)?;
    let each = STATIONS as u64;
    let first = generator.run(each)?;
    ensure!(first.accepted == each, "the right password: {first:?}");
    let second = generator.run(each)?;
    ensure!(second.accepted == each, "the right password, again: {second:?}");
    let resumed = if shape.mode.resumes() { each } else { 0 };
    ensure!(second.resumed == resumed, "{} of {each} resumed, expected {resumed}", second.resumed);
    let liars: Vec<User> =
        server.users.iter().take(2).map(|user| User { password: WRONG.to_owned(), ..user.clone() }).collect();
    let refused: Tally = server.generator(shape, &liars, trust)?.run(2)?;
    ensure!(refused.refused == 2, "a wrong password: {refused:?}");
    Ok(())
}

fn by_eapol_test(server: &Contestant, shape: Shape, certificate: &Certificate, work: &Path) -> Result<()> {
    let Some(method) = shape.mode.method() else { return Ok(()) };
    let user = server.users.first().context("nobody to log in")?;
    let file = work.join("eapol.conf");
    let again = u32::from(shape.mode.resumes());
    let right = Attempt::new(server.address(), &certificate.ca, user, method, shape.tls);
    let outcome = Attempt { again, ..right.clone() }.run(&file)?;
    let good = outcome.accepted && outcome.keys_match(again + 1) && outcome.on(shape.tls);
    ensure!(good, "eapol_test with the right password\n{}", outcome.evidence());
    ensure!(again == 0 || outcome.resumed() > 0, "eapol_test does not resume\n{}", outcome.evidence());
    let liar = User { password: WRONG.to_owned(), ..user.clone() };
    let outcome = Attempt { user: liar, ..right }.run(&file)?;
    ensure!(
        !outcome.accepted && outcome.rejected(),
        "eapol_test with a wrong password\n{}",
        outcome.evidence()
    );
    Ok(())
}
