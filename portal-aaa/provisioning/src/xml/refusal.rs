//! `<refusal>`: what the portal answers instead of a credential, read leniently.

use std::time::Duration;

use super::{
    XmlError,
    names::Named,
    read::{Node, Space, parse},
    text::number,
    write::{Document, Writer},
};
use crate::message::{Flaw, Reason, Refusal};

const ROOT: &str = "refusal";

/// Writes a refusal. A part of a second counts as a whole one: coming early would be refused again.
pub fn encode_refusal(refusal: &Refusal) -> Result<Document, XmlError> {
    Writer::document(ROOT, |w| {
        w.leaf("reason", refusal.reason.name("reason")?);
        if let Some(wait) = refusal.retry_after {
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
            w.leaf("retry-after", &seconds.min(u64::from(u32::MAX)).to_string());
        }
        if let Some(flaw) = &refusal.flaw {
            w.leaf("flaw", flaw.code());
            if let Some(field) = flaw.field() {
                w.leaf("field", field);
            }
        }
        Ok(())
    })
}

/// Reads a refusal. A reason that this version does not know is [`XmlError::Value`]: go by the HTTP status then.
pub fn decode_refusal(octets: &[u8]) -> Result<Refusal, XmlError> {
    read_refusal(&parse(octets, ROOT)?)
}

/// The same, of an element that stands in something else.
pub(super) fn read_refusal(root: &Node) -> Result<Refusal, XmlError> {
    if !root.is(Space::Ours, ROOT) {
        return Err(XmlError::Root { expected: ROOT });
    }
    let reason = root.required("reason")?.leaf("reason")?;
    let retry_after = match root.optional("retry-after")? {
        Some(node) => Some(number::<u32>("retry-after", node.leaf("retry-after")?)?),
        None => None,
    };
    Ok(Refusal {
        reason: Reason::read("reason", reason)?,
        retry_after: retry_after.map(|seconds| Duration::from_secs(seconds.into())),
        flaw: match root.optional("flaw")? {
            Some(code) => {
                let field = root.optional("field")?.map(|node| node.leaf("field")).transpose()?;
                Flaw::new(code.leaf("flaw")?, field)
            }
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::NAMESPACE;

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        let refusal = Refusal::new(Reason::NoSession, Some(Duration::from_millis(1500)));
        let written = encode_refusal(&refusal).expect("fits");
        let read = decode_refusal(written.as_bytes()).expect("valid");
        assert_eq!(read.retry_after, Some(Duration::from_secs(2)));
        let endless = Refusal::new(Reason::NoSession, Some(Duration::MAX));
        assert!(encode_refusal(&endless).is_ok_and(|w| decode_refusal(w.as_bytes()).is_ok()));
    }

    #[test]
    fn a_newer_portal_is_understood() {
        let newer = format!(
            "<refusal xmlns='{NAMESPACE}' lang='en'><detail><code>7</code></detail><reason>rate-limited</reason></refusal>"
        );
        assert_eq!(decode_refusal(newer.as_bytes()), Ok(Refusal::new(Reason::RateLimited, None)));
        // Words that are none are no reason to lose the rest.
        let odd = newer.replace("</refusal>", "<flaw>What?</flaw><field>imsi</field></refusal>");
        assert_eq!(decode_refusal(odd.as_bytes()), Ok(Refusal::new(Reason::RateLimited, None)));
        let odd = newer.replace("</refusal>", "<flaw>bad-value</flaw><field>001 010</field></refusal>");
        let read = decode_refusal(odd.as_bytes()).expect("valid").flaw;
        assert_eq!(read, Flaw::new("bad-value", None));
        let unknown = newer.replace("rate-limited", "moon-phase");
        assert_eq!(decode_refusal(unknown.as_bytes()), Err(XmlError::Value { element: "reason" }));
    }
}
