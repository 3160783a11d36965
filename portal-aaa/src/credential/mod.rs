//! Credentials: made for a device that the portal has proved, checked again at each login (DESIGN §6).
//!
//! [`Authority::issue`] is called by the portal and by `portal-aaa credential issue`; [`Authority`] as a
//! [`Directory`](crate::aaa::directory::Directory) by the AAA. A username is a sealed [`token`], the password
//! follows from it, so a login needs [`Keys`] and no database; accounts made by hand and revocations are in memory
//! (`book`), and only one-time use asks the [`Store`](crate::store::Store).

pub mod account;
mod accounts;
mod authority;
mod book;
mod check;
mod firsts;
mod issue;
mod keyfile;
mod keys;
mod lifetime;
mod msisdn;
mod report;
mod rules;
pub mod token;

pub use authority::{Authority, MacBinding, Terms};
pub use issue::{IssueError, IssueRequest, Random, RandomUnavailable, system_random};
pub use keyfile::{KeyFileError, Rotation, create, load, rotate};
pub use keys::{Keys, OtherKeys, Purpose, SealError};
pub use lifetime::{Lifetime, LifetimeError};
pub use msisdn::{Msisdn, MsisdnError};
pub use report::ReportError;
pub use rules::{Access, Policies, Rules};
