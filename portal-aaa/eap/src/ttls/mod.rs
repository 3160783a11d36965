//! What both sides of TTLS write inside the tunnel (RFC 5281 §10).

mod avp;

pub(crate) use avp::{AvpCode, Avps, encode, write_avp};
