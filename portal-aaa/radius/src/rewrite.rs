//! What a proxy does to a packet on its way: another identifier, authenticator and shared secret, and all that hangs
//! on them (RFC 2865 §2.3). Attributes keep their order; what is not known passes unharmed.

use md5::{Digest, Md5};
use zeroize::Zeroize;

use crate::{
    Attribute, AttributeType, BuildError, Builder, Code, Packet, Vendor, VendorAttributes, microsoft,
};

/// The next hop of a request.
#[derive(Clone, Copy)]
pub struct Onward<'a> {
    /// Fresh for this hop.
    pub identifier: u8,
    /// Random, for an Access-Request.
    pub authenticator: [u8; 16],
    /// Shared with the next server.
    pub secret: &'a [u8],
    /// Goes instead of User-Name, where the realm is stripped.
    pub user_name: Option<&'a str>,
    /// Our Proxy-State, behind those of others (RFC 2865 §5.33).
    pub proxy_state: &'a [u8],
}

/// Why a packet cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// It does not fit any more.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A hidden value is not of whole blocks.
    #[error("hidden value of {kind:?} is malformed")]
    Hidden {
        /// Which attribute.
        kind: AttributeType,
    },
    /// Neither a request nor a reply that is proxied.
    #[error("{code:?} is not proxied")]
    Code {
        /// Which.
        code: Code,
    },
}

/// What hides a value: the secret of a hop and the authenticator of the request on that hop.
#[derive(Clone, Copy)]
struct Cover<'a> {
    secret: &'a [u8],
    authenticator: &'a [u8; 16],
}

/// Access- or Accounting-Request for the next server. `secret` is the one that the request came with.
pub fn forward_request(
    request: &Packet<'_>,
    secret: &[u8],
    onward: &Onward<'_>,
) -> Result<Vec<u8>, RewriteError> {
    let mut builder = match request.code() {
        Code::ACCESS_REQUEST => Builder::access_request(onward.identifier, onward.authenticator),
        Code::ACCOUNTING_REQUEST => Builder::accounting_request(onward.identifier),
        code => return Err(RewriteError::Code { code }),
    };
    let from = Cover { secret, authenticator: request.authenticator() };
    let to = Cover { secret: onward.secret, authenticator: &onward.authenticator };
    let mut chap = (false, false);
    for attribute in request.attributes() {
        builder = match attribute.kind {
            // The builder has put its own first.
            AttributeType::MESSAGE_AUTHENTICATOR => builder,
            AttributeType::USER_NAME => match onward.user_name {
                Some(name) => builder.text(AttributeType::USER_NAME, name),
                None => builder.attribute(AttributeType::USER_NAME, attribute.value),
            },
            AttributeType::USER_PASSWORD => {
                let mut hidden = attribute.value.to_vec();
                cover(&mut hidden, &[], from, to).ok_or(RewriteError::Hidden { kind: attribute.kind })?;
                builder.attribute(attribute.kind, &hidden)
            }
            kind => {
                chap.0 |= kind == AttributeType::CHAP_PASSWORD;
                chap.1 |= kind == AttributeType::CHAP_CHALLENGE;
                builder.attribute(kind, attribute.value)
            }
        };
    }
    if chap == (true, false) {
        // RFC 2865 §5.3: the challenge was the Request Authenticator, which the next hop does not see.
        builder = builder.attribute(AttributeType::CHAP_CHALLENGE, request.authenticator());
    }
    Ok(builder.attribute(AttributeType::PROXY_STATE, onward.proxy_state).finish(onward.secret)?)
}

/// The reply for whom the request came from. `onward` is how that request was forwarded; `secret` is the one that it
/// came with. The reply has been checked by [`crate::check_reply`].
pub fn return_reply(
    reply: &Packet<'_>,
    onward: &Onward<'_>,
    request: &Packet<'_>,
    secret: &[u8],
) -> Result<Vec<u8>, RewriteError> {
    let code = reply.code();
    if !code.is_access_reply() && code != Code::ACCOUNTING_RESPONSE {
        return Err(RewriteError::Code { code });
    }
    let from = Cover { secret: onward.secret, authenticator: &onward.authenticator };
    let to = Cover { secret, authenticator: request.authenticator() };
    // Proxy-States come back as they came in, whatever the home server has made of them: ours goes with that.
    let mut builder = Builder::reply(code, request);
    for attribute in reply.attributes() {
        builder = match attribute.kind {
            AttributeType::MESSAGE_AUTHENTICATOR | AttributeType::PROXY_STATE => builder,
            AttributeType::TUNNEL_PASSWORD => {
                // RFC 2868 §3.5: Tag, then Salt and blocks as of a key.
                let mut value = attribute.value.to_vec();
                value
                    .get_mut(1..)
                    .and_then(|salted| cover_salted(salted, from, to))
                    .ok_or(RewriteError::Hidden { kind: attribute.kind })?;
                builder.attribute(attribute.kind, &value)
            }
            AttributeType::VENDOR_SPECIFIC => {
                let mut value = attribute.value.to_vec();
                cover_keys(attribute, &mut value, from, to)
                    .ok_or(RewriteError::Hidden { kind: attribute.kind })?;
                builder.attribute(attribute.kind, &value)
            }
            kind => builder.attribute(kind, attribute.value),
        };
    }
    Ok(builder.finish(secret)?)
}

/// Covers the keys inside a Vendor-Specific attribute anew; `value` is a copy of it. Of other vendors nothing is hidden
/// that way.
fn cover_keys(attribute: Attribute<'_>, value: &mut [u8], from: Cover<'_>, to: Cover<'_>) -> Option<()> {
    let Some(inside) = VendorAttributes::of(attribute) else { return Some(()) };
    let mut at = 4;
    for inner in inside {
        let start = at + 2;
        at = start + inner.value.len();
        if inner.vendor != Vendor::MICROSOFT {
            continue;
        }
        let octets = value.get_mut(start..at)?;
        match inner.kind {
            microsoft::MPPE_SEND_KEY | microsoft::MPPE_RECV_KEY => cover_salted(octets, from, to)?,
            // RFC 2548 §2.4.1: hidden like a password.
            microsoft::CHAP_MPPE_KEYS => cover(octets, &[], from, to)?,
            _ => {}
        }
    }
    Some(())
}

/// Salt, then blocks (RFC 2548 §2.4.2).
fn cover_salted(value: &mut [u8], from: Cover<'_>, to: Cover<'_>) -> Option<()> {
    let (salt, blocks) = value.split_first_chunk_mut::<2>()?;
    cover(blocks, salt, from, to)
}

/// Takes the one cover off and puts the other on, block by block: b(1) = MD5(S + R + salt), b(i) = MD5(S + c(i-1)).
fn cover(value: &mut [u8], salt: &[u8], from: Cover<'_>, to: Cover<'_>) -> Option<()> {
    let (blocks, []) = value.as_chunks_mut::<16>() else { return None };
    if blocks.is_empty() {
        return None;
    }
    let first = |cover: Cover<'_>| -> [u8; 16] {
        let md5 = Md5::new().chain_update(cover.secret).chain_update(cover.authenticator);
        md5.chain_update(salt).finalize().into()
    };
    let next = |cover: Cover<'_>, cipher: &[u8; 16]| -> [u8; 16] {
        Md5::new().chain_update(cover.secret).chain_update(cipher).finalize().into()
    };
    let (mut off, mut on) = (first(from), first(to));
    for block in blocks {
        let before = *block;
        block.iter_mut().zip(off.iter().zip(&on)).for_each(|(octet, (off, on))| *octet ^= off ^ on);
        off = next(from, &before);
        on = next(to, block);
    }
    off.zeroize();
    on.zeroize();
    Some(())
}

impl Packet<'_> {
    /// How many proxies a request has come through, as far as they say.
    pub fn proxy_states(&self) -> usize {
        self.all(AttributeType::PROXY_STATE).count()
    }
}

#[cfg(test)]
mod tests;
