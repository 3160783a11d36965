//! The HTTPS portal: a device that the cellular network has proved asks for a credential and gets one.
//!
//! `POST /v1/credential` carries the message of the `provisioning` crate (patent FIG. 2, steps 54–64), in XML, SOAP 1.1,
//! SOAP 1.2 or JSON as `Content-Type` says; the reply is in the same or in what `Accept` likes better. `GET` of it with
//! `?wsdl`, `?xsd` or `?json-schema` brings the contract. `GET /healthz` answers `ok`; anything else is 404. One request
//! goes through these files:
//!
//! | file | does |
//! |---|---|
//! | [`listen`] | accepts a connection, within the limits of [`slots`], and bounds its every step in time |
//! | [`tls`] | certificate and key to a TLS 1.2/1.3 configuration |
//! | [`service`] | HTTP: formats, rate ([`rate`]), body, then the order decode → prove → admit → issue → encode |
//! | `issuing` | the one thread that writes credentials, many at a time |
//! | [`decide`] | what each failure on that way means for the device and for the operator; pure |
//! | [`describe`] | the contract as files; pure |
//!
//! Every refusal is one log line with its reason, an internal detail, source, MAC and masked identifiers, and a
//! `<refusal>` to the device that says no more than it may know. Nothing is served on doubt.
//!
//! `portal-aaa serve` builds a [`Portal`] and calls [`serve`].

pub mod decide;
pub mod describe;
pub mod issuer;
mod issuing;
pub mod limits;
pub mod listen;
pub mod rate;
pub mod service;
pub mod slots;
pub mod tls;

pub use issuer::Issuer;
pub use limits::Limits;
pub use listen::serve;
pub use service::Portal;
