//! DHCPv4 (RFC 2131) where nobody else looks after the link: mozim's client in a task, its lease as plain facts.
//!
//! `links` starts one for the WLAN, and for a bearer that asks for DHCP. mozim sends and times; setting the address
//! is `links`' business.

use std::{net::Ipv4Addr, time::Duration};

use mozim::{DhcpV4Client, DhcpV4Config, DhcpV4Lease, DhcpV4State};
use provisioning::identity::Mac;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::links::{Lease, Link};

/// Until the first lease: two rounds of mozim's (retries come after 3 to 5 s and 7 to 9 s more). Cellular carries
/// the traffic meanwhile, so this bounds a bad join and not a silence.
const FIRST_LEASE: Duration = Duration::from_secs(10);
/// A release needs no answer (RFC 2131 §4.4.6).
const RELEASE_LIMIT: Duration = Duration::from_secs(1);
/// Smallest MTU that is believed: every host must take this much (RFC 791 §3.1).
const MIN_MTU: u16 = 576;
/// RFC 8910 §2.1: DHCP Captive-Portal.
const CAPTIVE_PORTAL: u8 = 114;
/// Longest URI that is believed, octets.
const MAX_URI: usize = 1024;
/// Longest text of mozim's that is passed on, characters.
const MAX_TEXT: usize = 200;

/// On which interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nic {
    /// Such as `wlan0`.
    pub(crate) name: String,
    /// Kernel's index.
    pub(crate) index: u32,
    /// Its present address.
    pub(crate) mac: Mac,
}

/// Whose news: a client that has been stopped may still have some on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Which link.
    pub(crate) link: Link,
    /// Counts the clients.
    pub(crate) number: u64,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// A lease, new or renewed.
    Bound {
        /// What was given.
        lease: Lease,
        /// For how long.
        seconds: u32,
    },
    /// None in time, or none any more. The client has ended.
    Lost(String),
}

/// A running client; dropping it ends it without a word to the server.
#[derive(Debug)]
pub(crate) struct Client {
    /// Which one.
    pub(crate) tag: Tag,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Starts a client.
pub(crate) fn start(nic: &Nic, tag: Tag, news: mpsc::Sender<(Tag, News)>) -> Client {
    let mut config = DhcpV4Config::new(&nic.name);
    config.set_iface_index(nic.index);
    // Six octets are what it checks for.
    let _ = config.set_iface_mac_raw(&nic.mac.0);
    config.use_mac_as_client_id();
    config.request_extra_dhcp_opts(&[CAPTIVE_PORTAL]);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        if let Err(text) = run(config, tag, &news, stopped).await {
            let text = text.chars().take(MAX_TEXT).collect();
            let _ = news.send((tag, News::Lost(text))).await;
        }
    });
    Client { tag, stop: Some(stop), task }
}

impl Client {
    /// Gives the lease back and waits until that is sent; the address must still be set.
    pub(crate) async fn release(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(RELEASE_LIMIT, &mut self.task).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    config: DhcpV4Config,
    tag: Tag,
    news: &mpsc::Sender<(Tag, News)>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), String> {
    let mut client = DhcpV4Client::init(config, None).await.map_err(|error| error.to_string())?;
    let deadline = Instant::now() + FIRST_LEASE;
    let mut held: Option<DhcpV4Lease> = None;
    loop {
        let state = tokio::select! {
            _ = &mut stopped => {
                if let Some(lease) = &held {
                    let released = client.release(lease).await;
                    tracing::debug!(?released, "DHCP lease given back");
                }
                return Ok(());
            }
            () = sleep_until(deadline), if held.is_none() => {
                return Err(format!("no DHCP lease in {} s", FIRST_LEASE.as_secs()));
            }
            state = client.run() => state.map_err(|error| error.to_string())?,
        };
        match state {
            DhcpV4State::Done(given) => {
                let lease = lease(&given).map_err(|error| error.to_string())?;
                let bound = News::Bound { lease, seconds: given.lease_time_sec };
                held = Some(*given);
                if news.send((tag, bound)).await.is_err() {
                    return Ok(());
                }
            }
            // mozim passes over a NAK and asks on until the lease ends; then it is here again.
            DhcpV4State::InitReboot if held.is_some() => return Err("the DHCP lease ended".to_owned()),
            _ => {}
        }
    }
}

/// Why a lease is no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LeaseError {
    /// Not the address of a host.
    #[error("DHCP gave {0}, which is no host's address")]
    Address(Ipv4Addr),
    /// A mask with holes, or of no network.
    #[error("DHCP gave the subnet mask {0}")]
    Mask(Ipv4Addr),
}

/// Whatever answers on the WLAN decides these values: only sane ones come through.
fn lease(given: &DhcpV4Lease) -> Result<Lease, LeaseError> {
    let address = given.yiaddr;
    if !is_host(address) {
        return Err(LeaseError::Address(address));
    }
    let mask = u32::from(given.subnet_mask);
    if mask == 0 || mask.leading_ones() + mask.trailing_zeros() < 32 {
        return Err(LeaseError::Mask(given.subnet_mask));
    }
    let routers = given.gateways.as_deref().unwrap_or_default();
    let router = match &given.classless_routes {
        // RFC 3442: "If the DHCP server returns both a Classless Static Routes option and a Router option, the DHCP
        // client MUST ignore the Router option."
        Some(routes) => routes.iter().find(|route| route.prefix_length == 0).map(|route| route.router),
        None => routers.first().copied(),
    };
    let dns = given
        .dns_srvs
        .iter()
        .flatten()
        .copied()
        .filter(|server| is_host(*server))
        .map(std::net::IpAddr::from)
        .collect();
    Ok(Lease {
        address,
        prefix: given.prefix_length(),
        router: router.filter(|router| is_host(*router) && *router != address),
        dns,
        mtu: given.mtu.filter(|mtu| *mtu >= MIN_MTU).map(u32::from),
        captive_api: given.get_option_raw(CAPTIVE_PORTAL).as_deref().and_then(captive_api),
    })
}

/// The URI out of the option's pieces, each of code, length and octets (RFC 3396). The URN that says that there is no
/// captive portal is none.
fn captive_api(option: &[u8]) -> Option<String> {
    let mut uri = Vec::new();
    let mut rest = option;
    while let [_code, length, more @ ..] = rest {
        let (piece, after) = more.split_at_checked(usize::from(*length))?;
        uri.extend_from_slice(piece);
        rest = after;
    }
    // Some servers end it with a NUL.
    let uri = std::str::from_utf8(&uri).ok()?.trim_end_matches('\0');
    let fits =
        uri.len() <= MAX_URI && uri.starts_with("https://") && uri.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| uri.to_owned())
}

fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use mozim::DhcpV4ClasslessRoute;
    use proptest::prelude::*;

    use super::*;

    fn given() -> DhcpV4Lease {
        let mut given = DhcpV4Lease::default();
        given.yiaddr = Ipv4Addr::new(10, 9, 0, 106);
        given.subnet_mask = Ipv4Addr::new(255, 255, 255, 0);
        given.gateways = Some(vec![Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 2)]);
        given.dns_srvs = Some(vec![Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::UNSPECIFIED]);
        given.mtu = Some(1400);
        given
    }

    fn route(prefix_length: u8, router: Ipv4Addr) -> DhcpV4ClasslessRoute {
        DhcpV4ClasslessRoute { destination: Ipv4Addr::UNSPECIFIED, prefix_length, router }
    }

    #[test]
    fn the_captive_portal_api_is_told_by_option_114() {
        let long = format!("https://api.example/{}", "x".repeat(400));
        let pieces = |uri: &str| -> Vec<u8> {
            let option = |piece: &[u8]| [&[114, u8::try_from(piece.len()).unwrap()], piece].concat();
            uri.as_bytes().chunks(255).flat_map(option).collect()
        };
        for (uri, told) in [
            ("https://api.example/captive", Some("https://api.example/captive")),
            ("https://api.example/captive\0", Some("https://api.example/captive")),
            (&long, Some(long.as_str())),
            ("http://api.example/captive", None),
            ("urn:ietf:params:capport:unrestricted", None),
            ("https://api.example/a b", None),
            ("", None),
        ] {
            assert_eq!(captive_api(&pieces(uri)).as_deref(), told, "{uri}");
        }
        assert_eq!(captive_api(&[114, 9, b'h']), None);
        assert_eq!(captive_api(&[114, 4, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn a_lease_is_read() {
        let router = Ipv4Addr::new(10, 9, 0, 1);
        let wanted = Lease {
            address: Ipv4Addr::new(10, 9, 0, 106),
            prefix: 24,
            router: Some(router),
            dns: vec![router.into()],
            mtu: Some(1400),
            captive_api: None,
        };
        assert_eq!(lease(&given()), Ok(wanted));
    }

    #[test]
    fn classless_routes_silence_the_router_option() {
        let mut given = given();
        let router = Ipv4Addr::new(10, 9, 0, 7);
        given.classless_routes = Some(vec![route(8, Ipv4Addr::new(10, 9, 0, 6)), route(0, router)]);
        assert_eq!(lease(&given).map(|lease| lease.router), Ok(Some(router)));
        given.classless_routes = Some(vec![route(8, router)]);
        assert_eq!(lease(&given).map(|lease| lease.router), Ok(None));
    }

    #[test]
    fn nonsense_is_refused() {
        for address in
            [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)]
        {
            let mut given = given();
            given.yiaddr = address;
            assert_eq!(lease(&given), Err(LeaseError::Address(address)));
        }
        for mask in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(255, 0, 255, 0), Ipv4Addr::new(0, 255, 255, 255)] {
            let mut given = given();
            given.subnet_mask = mask;
            assert_eq!(lease(&given), Err(LeaseError::Mask(mask)));
        }
        let mut given = given();
        given.mtu = Some(68);
        assert_eq!(lease(&given).map(|lease| lease.mtu), Ok(None));
    }

    proptest! {
        #[test]
        fn what_comes_through_can_be_set(address: u32, mask: u32, router: u32, mtu: u16) {
            let mut given = given();
            given.yiaddr = address.into();
            given.subnet_mask = mask.into();
            given.gateways = Some(vec![router.into()]);
            given.mtu = Some(mtu);
            if let Ok(lease) = lease(&given) {
                prop_assert!((1..=32).contains(&lease.prefix));
                prop_assert!(is_host(lease.address));
                prop_assert!(lease.router.is_none_or(is_host));
                prop_assert!(lease.mtu.is_none_or(|mtu| mtu >= 576));
            }
        }
    }
}
