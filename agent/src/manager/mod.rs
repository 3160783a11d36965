//! NetworkManager, over D-Bus, where it owns the WLAN interface or the modem.
//!
//! | file | what |
//! |---|---|
//! | `owner` | who owns the WLAN interface: starts the one implementation of `Supplicant` or the other, changes over |
//! | `facts` | what that is decided by: pure, and how it is read |
//! | `station` | the shell: a task that carries the machine's commands to NetworkManager and its events back |
//! | `profile` | a credential as connection profiles: pure |
//! | `secrets` | the secret agent: hands the password over when asked, so that no file ever holds it |
//! | `listen` | signals of NetworkManager and of its wpa_supplicant, as notices |
//! | `tracker` | what the notices mean for a join: pure |
//! | `read` | access point and lease |
//! | `wwan` | the modem: whether NetworkManager has it, connect and disconnect through it |
//! | `proxies` | the D-Bus interfaces, cut down to the calls that are made |
//!
//! NetworkManager is asked and never fought: our profile does not connect by itself, takes no default route and no
//! name server, and what NetworkManager had on the interface before comes back by its own autoconnect.
//!
//! NetworkManager tells of a failed login no more than "no secrets". Why it failed is heard from wpa_supplicant's own
//! D-Bus signals (read only); where those cannot be heard (an iwd back end), every refusal counts as
//! [`Rejected`](crate::supplicant::JoinFailure::Rejected). Crypto binding cannot be required of PEAP through
//! NetworkManager 1.42, which has no property for it: a portal that wants it uses EAP-TTLS.

pub(crate) mod facts;
pub(crate) mod listen;
pub mod owner;
mod profile;
mod proxies;
mod read;
mod secrets;
mod station;
#[cfg(test)]
mod tests;
mod tracker;
pub(crate) mod wwan;

/// NetworkManager's name on the bus.
const NAME: &str = "org.freedesktop.NetworkManager";
/// Its main object, and the root of all its objects.
const ROOT: &str = "/org/freedesktop/NetworkManager";
