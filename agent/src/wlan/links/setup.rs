//! Setting one link up and taking it away: what each order does, step by step.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Event, Lease, Link,
    advertised::Servers,
    plan::{Plan, Preferred, Slot, Way},
    resolver::Outcome,
    rt,
    task::Task,
};
use crate::{
    modem::{Bearer, Ipv4Config, Ipv6Config},
    wlan::{
        dhcp::{self, Client, News, Nic, Tag},
        nl80211::parse::LinkInfo,
    },
};

const LINKS: [Link; 2] = [Link::Cellular, Link::Wlan];
/// For the first address by router advertisement where a bearer has nothing else: RFC 4861 §6.3.7 sends three
/// solicitations, four seconds apart.
const FIRST_ADVERTISEMENT: Duration = Duration::from_secs(12);
/// The kernel makes addresses from advertisements, but no default route in the main table: a link that is not proved
/// yet attracts nothing, and the route that moves is ours.
const NO_DEFAULT_ROUTE: (&str, &str) = ("accept_ra_defrtr", "0");
/// The modem said that the bearer's addresses come so, whatever the device's defaults; 2 is also while forwarding.
const BY_ADVERTISEMENT: [(&str, &str); 2] = [("disable_ipv6", "0"), ("accept_ra", "2")];
/// The modem told which link-local address to use (3GPP TS 23.401 §5.3.1.2.2); the kernel makes none of its own.
const NO_LINK_LOCAL: (&str, &str) = ("addr_gen_mode", "1");

/// What is remembered of one link beside its plan.
#[derive(Debug, Default)]
pub(super) struct Setup {
    client: Option<Client>,
    /// Who carries it; none until it is set up.
    nic: Option<LinkInfo>,
    lease: Option<Lease>,
    dns: Vec<IpAddr>,
    /// Name servers by router advertisement; they stay until the next one says otherwise.
    advertised_dns: Vec<IpAddr>,
    /// Addresses that were told, by modem, DHCP or another program. Those by router advertisement come on top.
    told: Vec<Way>,
    link_local: Option<Ipv6Addr>,
    /// Whether addresses by router advertisement count.
    learns: bool,
    /// Another program looks after the interface.
    adopted: bool,
    /// Who sent the advertisements.
    router: Option<IpAddr>,
    /// Waits for the first address of all until then.
    deadline: Option<Instant>,
}

impl Setup {
    fn servers(&self) -> Vec<IpAddr> {
        let advertised = self.advertised_dns.iter().filter(|server| !self.dns.contains(server));
        self.dns.iter().chain(advertised).copied().collect()
    }
}

impl Task {
    /// `Command::ConfigureCellular`.
    pub(super) async fn configure(&mut self, bearer: &Bearer) -> Result<(), String> {
        let (mut ways, mut dns) = (Vec::new(), Vec::new());
        let theirs = bearer.managed;
        if let Some(Ipv4Config::Static { address, prefix, gateway, dns: servers }) = &bearer.ipv4 {
            let (ip, gateway) = ((*address).into(), gateway.map(IpAddr::from));
            ways.push(Way { ip, prefix: (*prefix).min(32), gateway, valid: None, theirs });
            dns.extend(servers.iter().copied().map(IpAddr::from));
        }
        if let Some(Ipv6Config::Static { address, prefix, gateway, dns: servers }) = &bearer.ipv6 {
            let (ip, gateway) = ((*address).into(), gateway.map(IpAddr::from));
            ways.push(Way { ip, prefix: (*prefix).min(128), gateway, valid: None, theirs });
            dns.extend(servers.iter().copied().map(IpAddr::from));
        }
        let slaac = match &bearer.ipv6 {
            Some(Ipv6Config::Slaac { link_local }) => Some(*link_local),
            _ => None,
        };
        if bearer.managed {
            return self.adopt_bearer(bearer, ways, dns, slaac.is_some()).await;
        }
        if bearer.ipv4 == Some(Ipv4Config::Dhcp) {
            let setup = self.setup_mut(Link::Cellular);
            setup.dns = dns;
            return self.acquire(Link::Cellular, &bearer.interface, ways, slaac).await;
        }
        if ways.is_empty() && slaac.is_none() {
            return Err(format!("the bearer on {} has no address", bearer.interface));
        }
        let nic = self.bring_up(Link::Cellular, &bearer.interface, bearer.mtu, slaac).await?;
        let waits = ways.is_empty();
        let setup = Setup {
            dns,
            nic: Some(nic),
            told: ways,
            link_local: slaac.flatten(),
            learns: slaac.is_some(),
            deadline: waits.then(|| Instant::now() + FIRST_ADVERTISEMENT),
            ..Setup::default()
        };
        *self.setup_mut(Link::Cellular) = setup;
        self.set(Link::Cellular).await?;
        if self.setup(Link::Cellular).deadline.is_none() && !waits {
            self.tell_ready().await;
        }
        Ok(())
    }

    /// `Command::AcquireWlan`, and bearers with DHCP: starts the client; the rest comes with the lease.
    pub(super) async fn acquire(
        &mut self,
        link: Link,
        interface: &str,
        others: Vec<Way>,
        slaac: Option<Option<Ipv6Addr>>,
    ) -> Result<(), String> {
        let slaac = if link == Link::Wlan { Some(None) } else { slaac };
        let nic = self.bring_up(link, interface, None, slaac).await?;
        let mac = nic.current.ok_or_else(|| format!("{interface} has no MAC address for DHCP"))?;
        self.clients = self.clients.wrapping_add(1);
        let tag = Tag { link, number: self.clients };
        let asked = Nic { name: nic.name.clone(), index: nic.index, mac };
        let client = dhcp::start(&asked, tag, self.tell_news.clone());
        let dns = std::mem::take(&mut self.setup_mut(link).dns);
        *self.setup_mut(link) = Setup {
            client: Some(client),
            nic: Some(nic),
            dns,
            told: others,
            link_local: slaac.flatten(),
            learns: slaac.is_some(),
            ..Setup::default()
        };
        Ok(())
    }

    /// `Command::AdoptWlan`.
    pub(super) async fn adopt_wlan(&mut self, interface: &str, lease: Lease) -> Result<(), String> {
        let way = Way {
            ip: lease.address.into(),
            prefix: lease.prefix.min(32),
            gateway: lease.router.map(IpAddr::from),
            valid: None,
            theirs: true,
        };
        self.adopt(Link::Wlan, interface, vec![way], lease.dns.clone(), true).await?;
        self.tell(Event::WlanReady(lease)).await;
        Ok(())
    }

    async fn adopt_bearer(
        &mut self,
        bearer: &Bearer,
        ways: Vec<Way>,
        dns: Vec<IpAddr>,
        learns: bool,
    ) -> Result<(), String> {
        let mut ways = ways;
        if bearer.ipv4 == Some(Ipv4Config::Dhcp) {
            let nic = self.find(&bearer.interface).await?;
            let set = rt::foreign_v4(&mut self.keeper.route, nic.index).await;
            ways.extend(set.map_err(|error| format!("read the addresses of {}: {error}", nic.name))?);
        }
        self.adopt(Link::Cellular, &bearer.interface, ways, dns, learns).await?;
        if self.keeper.wanted.plan(Link::Cellular).is_none_or(|plan| plan.ways.is_empty()) {
            self.setup_mut(Link::Cellular).deadline = Some(Instant::now() + FIRST_ADVERTISEMENT);
        } else {
            self.tell_ready().await;
        }
        Ok(())
    }

    /// Only rules and routes, on what another program has set up.
    async fn adopt(
        &mut self,
        link: Link,
        interface: &str,
        told: Vec<Way>,
        dns: Vec<IpAddr>,
        learns: bool,
    ) -> Result<(), String> {
        let nic = self.find(interface).await?;
        // What we may have done to it before that program took it.
        self.keeper.put_back(link).await;
        *self.setup_mut(link) =
            Setup { nic: Some(nic), dns, told, learns, adopted: true, ..Setup::default() };
        self.set(link).await
    }

    async fn find(&mut self, interface: &str) -> Result<LinkInfo, String> {
        let found = rt::interface(&mut self.keeper.route, interface).await;
        found.map_err(|error| format!("find {interface}: {error}"))
    }

    async fn bring_up(
        &mut self,
        link: Link,
        name: &str,
        mtu: Option<u32>,
        slaac: Option<Option<Ipv6Addr>>,
    ) -> Result<LinkInfo, String> {
        let mut settings = Vec::new();
        if let Some(link_local) = slaac {
            settings.extend(link_local.map(|_| NO_LINK_LOCAL));
            settings.push(NO_DEFAULT_ROUTE);
            if link == Link::Cellular {
                settings.extend(BY_ADVERTISEMENT);
            }
        }
        self.keeper.bring_up(link, name, mtu, &settings).await
    }

    /// A DHCP client's news.
    pub(super) async fn leased(&mut self, tag: Tag, news: News) {
        let link = tag.link;
        if self.setup_mut(link).client.as_ref().is_none_or(|client| client.tag != tag) {
            return;
        }
        let done = match news {
            News::Bound { lease, seconds } => self.bound(link, lease, seconds).await,
            News::Lost(text) => Err(text),
        };
        let Err(text) = done else { return };
        // RFC 2131 §4.4.5: without a lease the client "MUST immediately stop any other network processing".
        self.setup_mut(link).client = None;
        if let Err(error) = self.release(link).await {
            tracing::warn!(error, ?link, "the lost lease's address could not be taken away");
        }
        self.tell(match link {
            Link::Wlan => Event::NoLease(text),
            Link::Cellular => Event::Failed { link, text },
        })
        .await;
    }

    async fn bound(&mut self, link: Link, lease: Lease, seconds: u32) -> Result<(), String> {
        let Some(nic) = self.setup(link).nic.clone() else { return Ok(()) };
        let former = self.setup(link).lease.clone();
        let news = former.as_ref() != Some(&lease);
        if news {
            self.keeper.limit_mtu(link, &nic, lease.mtu).await;
        }
        let gateway = lease.router.map(IpAddr::from);
        let prefix = lease.prefix;
        let way = Way { ip: lease.address.into(), prefix, gateway, valid: Some(seconds), theirs: false };
        let setup = self.setup_mut(link);
        setup.told.retain(|way| way.ip.is_ipv6());
        setup.told.insert(0, way);
        setup.dns.retain(|server| former.as_ref().is_none_or(|former| !former.dns.contains(server)));
        setup.dns.splice(0..0, lease.dns.iter().copied());
        setup.lease = Some(lease.clone());
        self.set(link).await?;
        if news {
            match link {
                Link::Cellular => self.tell_ready().await,
                Link::Wlan => self.tell(Event::WlanReady(lease)).await,
            }
        }
        Ok(())
    }

    async fn tell_ready(&mut self) {
        let dns = self.setup(Link::Cellular).servers();
        self.tell(Event::CellularReady { dns }).await;
    }

    /// Makes the kernel's state what the link's set-up says.
    async fn set(&mut self, link: Link) -> Result<(), String> {
        let Some(plan) = self.plan(link).await else { return Ok(()) };
        *self.keeper.wanted.slot_mut(link) = Slot::Set(plan);
        self.keeper.reconcile(link).await?;
        let setup = self.setup(link);
        if setup.learns
            && !setup.adopted
            && setup.router.is_some()
            && let Some(index) = setup.nic.as_ref().map(|nic| nic.index)
            && let Err(error) = rt::drop_advertised(&mut self.keeper.route, index).await
        {
            tracing::debug!(%error, "the kernel's default route by router advertisement stays");
        }
        if self.keeper.wanted.preferred == Preferred::Link(link) {
            self.name_servers().await;
        }
        Ok(())
    }

    async fn plan(&mut self, link: Link) -> Option<Plan> {
        let nic = self.setup(link).nic.clone()?;
        let mut ways = self.setup(link).told.clone();
        if self.setup(link).learns {
            let read = rt::advertised(&mut self.keeper.route, nic.index).await;
            let (learned, router) = read.unwrap_or_else(|error| {
                tracing::warn!(%error, interface = nic.name, "addresses by router advertisement are not read");
                Default::default()
            });
            let setup = self.setup_mut(link);
            setup.router = router.or(setup.router);
            // Without a router they are of use on the link alone, and would attract everything into nowhere.
            if let gateway @ Some(_) = setup.router {
                ways.extend(learned.into_iter().map(|way| Way { gateway, ..way }));
            }
        }
        let link_local = self.setup(link).link_local;
        Some(Plan { interface: nic.index, name: nic.name, ways, link_local })
    }

    /// Addresses by router advertisement came or went, or some of the kernel's words were lost.
    pub(super) async fn learn_all(&mut self) {
        for link in LINKS {
            // A WLAN waits for its lease: IPv6 alone is not what the machine asked for.
            let setup = self.setup(link);
            if !setup.learns || setup.client.is_some() && setup.lease.is_none() {
                continue;
            }
            let plan = self.plan(link).await;
            if plan.as_ref() == self.keeper.wanted.plan(link) {
                continue;
            }
            if let Err(text) = self.set(link).await {
                tracing::warn!(text, ?link, "an address by router advertisement is not used");
                continue;
            }
            let has_way = self.keeper.wanted.plan(link).is_some_and(|plan| !plan.ways.is_empty());
            if has_way && self.setup_mut(link).deadline.take().is_some() {
                self.tell_ready().await;
            }
        }
    }

    /// A router has told which name servers to ask.
    pub(super) async fn learn_servers(&mut self, told: Servers) {
        for link in LINKS {
            let setup = self.setup_mut(link);
            let mine = setup.nic.as_ref().is_some_and(|nic| nic.index == told.interface);
            let servers: Vec<IpAddr> = told.servers.iter().copied().map(IpAddr::from).collect();
            if !mine || !setup.learns || setup.advertised_dns == servers {
                continue;
            }
            setup.advertised_dns = servers;
            if self.keeper.wanted.preferred == Preferred::Link(link) {
                self.name_servers().await;
            }
        }
    }

    /// The next moment at which a wait has been too long.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        LINKS.into_iter().filter_map(|link| self.setup(link).deadline).min()
    }

    /// Gives up what has been waited for too long.
    pub(super) async fn check_deadlines(&mut self) {
        for link in LINKS {
            if self.setup(link).deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.setup_mut(link).deadline = None;
                let text = format!("no router advertisement in {} s", FIRST_ADVERTISEMENT.as_secs());
                if let Err(error) = self.release(link).await {
                    tracing::warn!(error, ?link, "not everything could be taken away");
                }
                self.tell(Event::Failed { link, text }).await;
            }
        }
    }

    /// `Command::Prefer`.
    pub(super) async fn prefer(&mut self, link: Link) -> Result<(), String> {
        if self.keeper.wanted.plan(link).is_none_or(|plan| plan.ways.is_empty()) {
            return Err("cannot be preferred: it has no address".to_owned());
        }
        let rivals = rt::rivals(&mut self.keeper.route).await.unwrap_or_default();
        let metric = self.keeper.wanted.metric;
        let beside = |interface| {
            let plan = |link| self.keeper.wanted.plan(link).map(|plan: &Plan| plan.interface);
            LINKS.into_iter().any(|link| plan(link) == interface)
        };
        // A managing program's default routes on our two links, and the kernel's own: ours must win. Those of other
        // interfaces, a cable for one, may.
        let best = rivals.iter().filter(|rival| rival.interface.is_some() && beside(rival.interface));
        let best = best.map(|rival| rival.metric).min().filter(|best| *best <= metric);
        let before = (self.keeper.wanted.preferred, self.keeper.wanted.main_metric);
        self.keeper.wanted.preferred = Preferred::Link(link);
        self.keeper.wanted.main_metric = best.map(|best| best.saturating_sub(1).max(1));
        let metric = self.keeper.wanted.main_metric.unwrap_or(metric);
        if let Err(text) = self.keeper.reconcile(link).await {
            // No later order may move the route by the way.
            (self.keeper.wanted.preferred, self.keeper.wanted.main_metric) = before;
            return Err(text);
        }
        self.name_servers().await;
        if let Some(rival) = rivals.iter().find(|rival| !rival.v6 && rival.metric < metric) {
            tracing::warn!(metric = rival.metric, "another program's default route is preferred to ours");
        }
        self.watch(Some(link));
        self.tell(Event::Moved(link)).await;
        Ok(())
    }

    /// Takes everything of a link away.
    pub(super) async fn release(&mut self, link: Link) -> Result<(), String> {
        let setup = std::mem::take(self.setup_mut(link));
        if let Some(client) = setup.client {
            client.release().await;
        }
        self.forget_drain(link);
        let preferred = self.keeper.wanted.preferred == Preferred::Link(link);
        self.keeper.wanted.release(link);
        if preferred {
            self.watch(None);
            self.name_servers().await;
        }
        let done = self.keeper.reconcile(link).await;
        self.keeper.put_back(link).await;
        done
    }

    /// Names the preferred link's servers, or puts back what was. Never a reason not to move.
    pub(super) async fn name_servers(&mut self) {
        let Some(resolver) = &self.resolver else { return };
        if resolver.is_resolveds() {
            return self.tell_resolved().await;
        }
        let done = match self.keeper.wanted.preferred {
            Preferred::Link(link) => resolver.set(&self.setup(link).servers()),
            Preferred::Nobody | Preferred::AsFound => resolver.restore(),
        };
        match done {
            Ok(Outcome::Done) => {}
            Ok(Outcome::LeftAlone(target)) => {
                tracing::info!(target = %target.display(), "another program looks after the name servers");
            }
            Err(error) => tracing::warn!(%error, "the name servers are not written"),
        }
    }

    /// Likewise with systemd-resolved. The managing program of an adopted link has told it already.
    async fn tell_resolved(&mut self) {
        let preferred = match self.keeper.wanted.preferred {
            Preferred::Link(link) => Some(self.setup(link)).filter(|setup| !setup.adopted),
            Preferred::Nobody | Preferred::AsFound => None,
        };
        let servers = preferred.map(|setup| (setup, setup.servers())).filter(|(_, all)| !all.is_empty());
        let wanted = servers.and_then(|(setup, all)| Some((setup.nic.as_ref()?.index, all)));
        if let Some((index, servers)) = &wanted {
            self.keeper.ledger.note(|record| {
                record.resolved.retain(|other| other != index);
                record.resolved.push(*index);
            });
            if let Err(error) = self.resolved.set(*index, servers).await {
                tracing::warn!(%error, "the name servers are not set");
            }
        }
        // After the new ones are there: no moment without a name server.
        let wanted = wanted.map(|(index, _)| index);
        for index in self.keeper.ledger.record().resolved.clone() {
            if Some(index) == wanted {
                continue;
            }
            match self.resolved.revert(index).await {
                Ok(()) => self.keeper.ledger.note(|record| record.resolved.retain(|other| *other != index)),
                Err(error) => tracing::warn!(%error, index, "a link's name servers are not taken back"),
            }
        }
    }
}
