//! The links' task: orders in, netlink messages out, leases and the drain's clock between. Decides nothing that
//! `plan` and `change` could.

use std::{net::IpAddr, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Command, Event, Lease, Link, Settings, drain,
    keeper::Keeper,
    plan::{Plan, Preferred, Slot, Way},
    resolver::{Outcome, Resolver},
    rt,
};
use crate::{
    modem::{Bearer, Ipv4Config, Ipv6Config},
    wlan::{
        dhcp::{self, Client, News, Nic, Tag},
        nl80211::parse::LinkInfo,
    },
};

/// How often connections are counted while somebody waits for them to end.
const DRAIN_EVERY: Duration = Duration::from_secs(1);
/// DHCP clients' news that wait for the task.
const NEWS: usize = 8;

/// What the handle sends.
#[derive(Debug)]
pub(super) enum Order {
    /// The machine's word.
    Do(Command),
    /// Take everything away and end.
    CleanUp(oneshot::Sender<()>),
}

/// Runs until the handle is dropped or asks for the end.
pub(super) async fn run(settings: Settings, mut orders: mpsc::Receiver<Order>, events: mpsc::Sender<Event>) {
    let keeper = match Keeper::new(settings.metric) {
        Ok(keeper) => keeper,
        Err(error) => {
            let text = format!("open rtnetlink: {error}");
            let _ = events.send(Event::Failed { link: Link::Cellular, text }).await;
            return;
        }
    };
    let (tell_news, mut news) = mpsc::channel(NEWS);
    let mut task = Task {
        keeper,
        resolver: settings.resolv_conf.map(Resolver::new),
        events,
        tell_news,
        clients: 0,
        cellular: Setup::default(),
        wlan: Setup::default(),
        watched: Vec::new(),
        next_count: None,
    };
    if let Err(text) = task.keeper.reconcile(Link::Cellular).await {
        tracing::warn!(text, "what a former run left could not be tidied");
    }
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Do(command)) => task.obey(command).await,
                Some(Order::CleanUp(done)) => {
                    task.clean_up().await;
                    let _ = done.send(());
                    return;
                }
                None => return,
            },
            Some((tag, news)) = news.recv() => task.leased(tag, news).await,
            () = at(task.next_count) => task.count().await,
        }
    }
}

/// What is remembered of one link beside its plan.
#[derive(Debug, Default)]
struct Setup {
    client: Option<Client>,
    /// Who asks for the lease, and the rest of a bearer whose IPv4 comes by DHCP.
    nic: Option<(LinkInfo, Vec<Way>)>,
    lease: Option<Lease>,
    dns: Vec<IpAddr>,
    /// The interface as it was before us: index, up, MTU; what we changed only.
    before: Option<(u32, Option<bool>, Option<u32>)>,
}

struct Task {
    keeper: Keeper,
    resolver: Option<Resolver>,
    events: mpsc::Sender<Event>,
    tell_news: mpsc::Sender<(Tag, News)>,
    clients: u64,
    cellular: Setup,
    wlan: Setup,
    watched: Vec<Link>,
    next_count: Option<Instant>,
}

impl Task {
    async fn obey(&mut self, command: Command) {
        let (link, done) = match command {
            Command::ConfigureCellular(bearer) => (Link::Cellular, self.configure(&bearer).await),
            Command::ReleaseCellular => (Link::Cellular, self.release(Link::Cellular).await),
            Command::AcquireWlan { interface } => {
                (Link::Wlan, self.acquire(Link::Wlan, &interface, vec![]).await)
            }
            Command::AdoptWlan { interface, .. } => {
                (Link::Wlan, Err(format!("{interface} cannot be adopted")))
            }
            Command::CellularBackup(_) => return,
            Command::ReleaseWlan => (Link::Wlan, self.release(Link::Wlan).await),
            Command::Prefer(link) => (link, self.prefer(link).await),
            Command::WatchDrain(link) => {
                if !self.watched.contains(&link) {
                    self.watched.push(link);
                }
                self.count().await;
                return;
            }
        };
        if let Err(text) = done {
            self.tell(Event::Failed { link, text }).await;
        }
    }

    async fn configure(&mut self, bearer: &Bearer) -> Result<(), String> {
        self.setup_mut(Link::Cellular).dns.clear();
        let mut ways = Vec::new();
        let mut dns = Vec::new();
        if let Some(Ipv4Config::Static { address, prefix, gateway, dns: servers }) = &bearer.ipv4 {
            let (ip, gateway) = ((*address).into(), gateway.map(IpAddr::from));
            ways.push(Way { ip, prefix: (*prefix).min(32), gateway, valid: None });
            dns.extend(servers.iter().copied().map(IpAddr::from));
        }
        // Addresses by router advertisement are the kernel's own work, and so are their routes.
        if let Some(Ipv6Config::Static { address, prefix, gateway, dns: servers }) = &bearer.ipv6 {
            let (ip, gateway) = ((*address).into(), gateway.map(IpAddr::from));
            ways.push(Way { ip, prefix: (*prefix).min(128), gateway, valid: None });
            dns.extend(servers.iter().copied().map(IpAddr::from));
        }
        self.setup_mut(Link::Cellular).dns = dns;
        if bearer.ipv4 == Some(Ipv4Config::Dhcp) {
            return self.acquire(Link::Cellular, &bearer.interface, ways).await;
        }
        if ways.is_empty() {
            return Err(format!("the bearer on {} has no address", bearer.interface));
        }
        self.setup_mut(Link::Cellular).client = None;
        let nic = self.bring_up(Link::Cellular, &bearer.interface, bearer.mtu).await?;
        self.set(Link::Cellular, &nic, ways).await?;
        let dns = self.setup_mut(Link::Cellular).dns.clone();
        self.tell(Event::CellularReady { dns }).await;
        Ok(())
    }

    /// Starts DHCP; the rest comes with the lease.
    async fn acquire(&mut self, link: Link, interface: &str, others: Vec<Way>) -> Result<(), String> {
        let nic = self.bring_up(link, interface, None).await?;
        let mac = nic.current.ok_or_else(|| format!("{interface} has no MAC address for DHCP"))?;
        self.clients = self.clients.wrapping_add(1);
        let tag = Tag { link, number: self.clients };
        let asked = Nic { name: nic.name.clone(), index: nic.index, mac };
        let client = dhcp::start(&asked, tag, self.tell_news.clone());
        let setup = self.setup_mut(link);
        setup.client = Some(client);
        setup.nic = Some((nic, others));
        setup.lease = None;
        Ok(())
    }

    async fn leased(&mut self, tag: Tag, news: News) {
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
        let Some((nic, others)) = self.setup_mut(link).nic.clone() else { return Ok(()) };
        let news = self.setup_mut(link).lease.as_ref() != Some(&lease);
        if news {
            self.limit_mtu(link, &nic, lease.mtu).await;
        }
        let gateway = lease.router.map(IpAddr::from);
        let mut ways =
            vec![Way { ip: lease.address.into(), prefix: lease.prefix, gateway, valid: Some(seconds) }];
        ways.extend(others);
        let setup = self.setup_mut(link);
        setup.lease = Some(lease.clone());
        setup.dns = lease.servers();
        self.set(link, &nic, ways).await?;
        if news {
            self.tell(match link {
                Link::Cellular => Event::CellularReady { dns: lease.servers() },
                Link::Wlan => Event::WlanReady(lease),
            })
            .await;
        }
        Ok(())
    }

    async fn set(&mut self, link: Link, nic: &LinkInfo, ways: Vec<Way>) -> Result<(), String> {
        let plan = Plan { interface: nic.index, name: nic.name.clone(), ways };
        *self.keeper.wanted.slot_mut(link) = Slot::Set(plan);
        self.keeper.reconcile(link).await?;
        if self.keeper.wanted.preferred == Preferred::Link(link) {
            self.name_servers();
        }
        Ok(())
    }

    async fn prefer(&mut self, link: Link) -> Result<(), String> {
        if self.keeper.wanted.plan(link).is_none() {
            return Err("cannot be preferred: it has no address".to_owned());
        }
        let before = std::mem::replace(&mut self.keeper.wanted.preferred, Preferred::Link(link));
        if let Err(text) = self.keeper.reconcile(link).await {
            // No later order may move the route by the way.
            self.keeper.wanted.preferred = before;
            return Err(text);
        }
        self.name_servers();
        if let Ok(Some(metric)) = rt::rival(&mut self.keeper.route, self.keeper.wanted.metric).await {
            tracing::warn!(metric, "another program's default route is preferred to ours");
        }
        self.tell(Event::Moved(link)).await;
        Ok(())
    }

    async fn release(&mut self, link: Link) -> Result<(), String> {
        let setup = std::mem::take(self.setup_mut(link));
        if let Some(client) = setup.client {
            client.release().await;
        }
        self.watched.retain(|watched| *watched != link);
        let preferred = self.keeper.wanted.preferred == Preferred::Link(link);
        self.keeper.wanted.release(link);
        if preferred {
            self.name_servers();
        }
        let done = self.keeper.reconcile(link).await;
        if let Some((index, up, mtu)) = setup.before
            && let Err(error) = rt::set_interface(&mut self.keeper.route, index, up, mtu).await
        {
            // Mostly because it is gone.
            tracing::debug!(%error, index, "the interface is not put back as it was");
        }
        done
    }

    async fn clean_up(&mut self) {
        for link in [Link::Wlan, Link::Cellular] {
            if let Err(error) = self.release(link).await {
                tracing::warn!(error, ?link, "not everything could be taken away");
            }
        }
        self.keeper.wanted.preferred = Preferred::Nobody;
        if let Err(error) = self.keeper.reconcile(Link::Cellular).await {
            tracing::warn!(error, "not everything could be taken away");
        }
        self.name_servers();
    }

    /// Finds the interface, and puts it up with this MTU where it is not.
    async fn bring_up(&mut self, link: Link, name: &str, mtu: Option<u32>) -> Result<LinkInfo, String> {
        let nic = rt::interface(&mut self.keeper.route, name)
            .await
            .map_err(|error| format!("find {name}: {error}"))?;
        if !nic.up {
            let up = rt::set_interface(&mut self.keeper.route, nic.index, Some(true), None).await;
            up.map_err(|error| format!("set {name} up: {error}"))?;
        }
        let setup = self.setup_mut(link);
        let (_, up, old_mtu) =
            setup.before.filter(|(index, ..)| *index == nic.index).unwrap_or((nic.index, None, None));
        setup.before = Some((nic.index, if nic.up { up } else { Some(false) }, old_mtu));
        self.limit_mtu(link, &nic, mtu).await;
        Ok(nic)
    }

    /// A wrong MTU costs fragments and is no reason to stay without the link.
    async fn limit_mtu(&mut self, link: Link, nic: &LinkInfo, mtu: Option<u32>) {
        let Some(mtu) = mtu.filter(|mtu| nic.mtu != Some(*mtu)) else { return };
        match rt::set_interface(&mut self.keeper.route, nic.index, None, Some(mtu)).await {
            Ok(()) => {
                if let Some((_, _, before)) = &mut self.setup_mut(link).before {
                    *before = before.or(nic.mtu);
                }
            }
            Err(error) => tracing::warn!(%error, mtu, interface = nic.name, "the link's MTU is not taken"),
        }
    }

    /// Names the preferred link's servers, or puts the former file back. Never a reason not to move.
    fn name_servers(&self) {
        let Some(resolver) = &self.resolver else { return };
        let done = match self.keeper.wanted.preferred {
            Preferred::Link(link) => resolver.set(&self.setup(link).dns),
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

    /// Tells which of the watched links no connection uses any more.
    async fn count(&mut self) {
        let mut still = Vec::new();
        for link in std::mem::take(&mut self.watched) {
            let ways = self.keeper.wanted.plan(link).map(|plan| plan.ways.as_slice()).unwrap_or_default();
            let sources: Vec<IpAddr> = ways.iter().map(|way| way.ip).collect();
            match drain::in_use(&sources).await {
                Ok(false) => self.tell(Event::Drained(link)).await,
                Ok(true) => still.push(link),
                // The machine's own limit ends the wait.
                Err(error) => tracing::warn!(%error, ?link, "connections cannot be counted"),
            }
        }
        self.next_count = (!still.is_empty()).then(|| Instant::now() + DRAIN_EVERY);
        self.watched = still;
    }

    fn setup(&self, link: Link) -> &Setup {
        match link {
            Link::Cellular => &self.cellular,
            Link::Wlan => &self.wlan,
        }
    }

    fn setup_mut(&mut self, link: Link) -> &mut Setup {
        match link {
            Link::Cellular => &mut self.cellular,
            Link::Wlan => &mut self.wlan,
        }
    }

    async fn tell(&self, event: Event) {
        // The daemon ends when the other end is dropped.
        let _ = self.events.send(event).await;
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
