//! Whose address this is: the live table of the packet gateways' sessions, and the proof drawn from it.
//!
//! A device that asks the portal for a credential says which SIM it has; anybody attached to the same network could
//! say so. The packet gateway knows better: its RADIUS accounting (3GPP TS 29.061 §16.4) tells which IMSI and
//! IMEISV hold which address. So a request is served only if its source address belongs to a live session of the
//! very identifiers that it claims, and whatever is unknown, late, stale or contradictory is refused (DESIGN §5).
//!
//! | file | idea |
//! |---|---|
//! | [`prefix`] | an address or network, as key of the table and in the list of trusted networks |
//! | [`table`] | the rules by which a record changes the table: pure, told the time, says what must be written to the database |
//! | `index` | live sessions by key, address and age |
//! | [`proof`] | the decision: pure, from a view of the table and a claim to proved identifiers or a denial |
//! | `crowd` | many identities claimed from one address: address translation; pure |
//! | `numbers` | whose telephone number is whose, as the gateways tell; pure |
//! | [`header`] | the proof by an enriching proxy's header instead; pure |
//! | [`prover`] | the shell: takes accounting records, writes to the store, answers the portal |
//!
//! The accounting listener calls [`Prover`] through [`crate::accounting::feed::GatewayFeed`]; the portal calls
//! [`Prover::prove`]. Identifiers are kept as keyed hashes only.

mod crowd;
pub mod header;
mod index;
mod numbers;
pub mod prefix;
pub mod proof;
pub mod prover;
pub mod table;

pub use header::{HeaderProof, Told, Written};
pub use prefix::Prefix;
pub use proof::{Denial, Proof};
pub use prover::{ProofMode, ProofSettings, Prover};
