//! The links' task: orders in, netlink messages out, leases, the kernel's events and the clock between. Decides nothing
//! that `plan` and `change` could. What one order does to a link is in `setup`.

use std::{net::IpAddr, time::Duration};

use linux_raw_sys::netlink::rtnetlink_groups::{RTNLGRP_IPV6_IFADDR, RTNLGRP_ND_USEROPT, RTNLGRP_NEIGH};
use neli::consts::{rtnl::Rtm, socket::NlFamily};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Command, Event, Link, Settings, advertised,
    alarm::Alarm,
    drain,
    keeper::Keeper,
    ledger::Ledger,
    neighbour::{self, Neighbour},
    plan::{Plan, Preferred, Slot},
    resolved::Resolved,
    resolver::Resolver,
    rt,
    setup::Setup,
    suspect::{Sample, Watch},
};
use crate::wlan::{
    dhcp::{News, Tag},
    netlink::{NetlinkError, Socket, frame},
};

/// How often connections are counted while somebody waits for them to end.
const DRAIN_EVERY: Duration = Duration::from_secs(1);
/// DHCP clients' news that wait for the task.
const NEWS: usize = 8;
/// Neighbours, addresses by router advertisement, and name servers in them.
const GROUPS: [u32; 3] = [RTNLGRP_NEIGH as u32, RTNLGRP_IPV6_IFADDR as u32, RTNLGRP_ND_USEROPT as u32];
/// `RTM_NEWNDUSEROPT`.
const ADVERTISED_OPTION: u16 = 68;
/// `RTM_NEWNEIGH`.
const NEW_NEIGHBOUR: u16 = 28;

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
    let opened = async {
        let keeper = Keeper::new(settings.metric, Ledger::open(settings.state)).await?;
        let monitor = Socket::events(NlFamily::Route, &GROUPS)?;
        // Without the right to set alarms (CAP_NET_RAW) the neighbours are heard in full: see `suspect`. A trial.
        let alarms = Alarm::set(0)
            .map(drop)
            .and_then(|()| monitor.filter(&neighbour::without_ordinary(NEW_NEIGHBOUR)));
        Ok::<_, NetlinkError>((keeper, monitor, alarms))
    };
    let (keeper, mut monitor, alarms) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            let text = format!("open rtnetlink: {error}");
            let _ = events.send(Event::Failed { link: Link::Cellular, text }).await;
            return;
        }
    };
    if let Err(error) = &alarms {
        tracing::debug!(%error, "the kernel does not tell of the next packet");
    }
    let (tell_news, mut news) = mpsc::channel(NEWS);
    let mut task = Task {
        keeper,
        resolver: settings.resolv_conf.map(Resolver::new),
        resolved: Resolved::new(settings.bus),
        events,
        tell_news,
        clients: 0,
        cellular: Setup::default(),
        wlan: Setup::default(),
        watched: Vec::new(),
        next_count: None,
        alarms: alarms.is_ok(),
        suspicion: None,
        alarm: None,
        leftovers_go: Some(Instant::now() + settings.keep_leftovers),
    };
    if let Err(text) = task.keeper.reconcile(Link::Cellular).await {
        tracing::warn!(text, "what a former run left could not be tidied");
    }
    if settings.keep_leftovers.is_zero() {
        task.drop_leftovers().await;
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
            datagram = monitor.next() => match datagram {
                Ok(datagram) => task.notices(&datagram).await,
                Err(NetlinkError::Lost) => task.learn_all().await,
                Err(error) => {
                    tracing::error!(%error, "the kernel's events are not heard any more");
                    return;
                }
            },
            () = at(task.next_count) => task.count().await,
            () = at(task.suspicion.as_ref().and_then(Watch::next_look)) => task.look().await,
            () = rung(task.alarm.as_ref()) => task.packet(),
            () = at(task.leftovers_go) => task.drop_leftovers().await,
            () = at(task.next_deadline()) => task.check_deadlines().await,
        }
    }
}

/// Everything that lives as long as the task.
pub(super) struct Task {
    pub(super) keeper: Keeper,
    pub(super) resolver: Option<Resolver>,
    pub(super) resolved: Resolved,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) tell_news: mpsc::Sender<(Tag, News)>,
    pub(super) clients: u64,
    pub(super) cellular: Setup,
    pub(super) wlan: Setup,
    watched: Vec<Link>,
    next_count: Option<Instant>,
    /// Whether the kernel tells of the next packet.
    alarms: bool,
    /// On the WLAN while it is preferred: nothing could be done about a cellular that does not deliver.
    suspicion: Option<Watch>,
    /// Set while the watched link is idle.
    alarm: Option<Alarm>,
    /// When what a former run left, and nobody has asked for since, is taken away.
    leftovers_go: Option<Instant>,
}

impl Task {
    async fn obey(&mut self, command: Command) {
        let (link, done) = match command {
            Command::ConfigureCellular(bearer) => (Link::Cellular, self.configure(&bearer).await),
            Command::ReleaseCellular => (Link::Cellular, self.release(Link::Cellular).await),
            Command::AcquireWlan { interface } => {
                (Link::Wlan, self.acquire(Link::Wlan, &interface, vec![], None).await)
            }
            Command::AdoptWlan { interface, lease } => (Link::Wlan, self.adopt_wlan(&interface, lease).await),
            Command::CellularBackup(backup) => {
                self.keeper.cellular_backup = Some(backup);
                (Link::Cellular, self.keeper.reconcile(Link::Cellular).await)
            }
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

    /// Nobody counts for a link that is gone.
    pub(super) fn forget_drain(&mut self, link: Link) {
        self.watched.retain(|watched| *watched != link);
    }

    async fn notices(&mut self, datagram: &[u8]) {
        let mut learn = false;
        for frame in frame::frames(datagram).map_while(Result::ok) {
            if frame.kind == NEW_NEIGHBOUR {
                let Ok(Some(neighbour)) = neighbour::read(frame.body) else { continue };
                learn |= neighbour.router;
                self.gateway(neighbour).await;
            } else if frame.kind == ADVERTISED_OPTION {
                if let Ok(Some(told)) = advertised::read(frame.body) {
                    self.learn_servers(told).await;
                }
            } else {
                learn |= [Rtm::Newaddr, Rtm::Deladdr].map(u16::from).contains(&frame.kind);
            }
        }
        if learn {
            self.learn_all().await;
        }
    }

    /// The default route points to this link from now on, or to none of ours.
    pub(super) fn watch(&mut self, link: Option<Link>) {
        if link != Some(Link::Wlan) {
            (self.suspicion, self.alarm) = (None, None);
        } else if self.suspicion.is_none() {
            self.suspicion = Some(Watch::new(Instant::now(), self.alarms));
        }
    }

    async fn gateway(&mut self, neighbour: Neighbour) {
        let Some(watch) = &mut self.suspicion else { return };
        let Some(plan) = self.keeper.wanted.plan(Link::Wlan) else { return };
        let gateway = plan.ways.iter().any(|way| way.gateway == Some(neighbour.ip));
        if gateway && plan.interface == neighbour.interface && watch.gateway(Instant::now(), neighbour) {
            self.tell(Event::Suspect(Link::Wlan)).await;
        }
    }

    /// The first packet after a silence.
    fn packet(&mut self) {
        tracing::debug!("traffic on a link that was idle");
        self.alarm = None;
        if let Some(watch) = &mut self.suspicion {
            watch.packet(Instant::now());
        }
    }

    async fn look(&mut self) {
        let Some(watch) = &mut self.suspicion else { return };
        let (sample, interface) = match self.keeper.wanted.plan(Link::Wlan) {
            Some(plan) => (sample(&mut self.keeper.route, plan).await, plan.interface),
            None => (Err(NetlinkError::from(frame::Malformed::Payload)), 0),
        };
        tracing::trace!(?sample, "a look");
        let hint = match sample {
            Ok(sample) => watch.look(Instant::now(), sample),
            // Mostly because the interface has gone, which others tell.
            Err(error) => {
                tracing::debug!(%error, "the link's traffic is not looked at any more");
                return self.watch(None);
            }
        };
        if watch.next_look().is_none() && self.alarms {
            tracing::debug!("the link is idle");
            self.alarm = Alarm::set(interface)
                .inspect_err(|error| tracing::warn!(%error, "an idle link is not watched"))
                .ok();
        }
        if hint {
            self.tell(Event::Suspect(Link::Wlan)).await;
        }
    }

    /// A restart breaks no connection: the former run's set-up stays until there is an order about its link. What
    /// nobody wants within the grace goes.
    async fn drop_leftovers(&mut self) {
        self.leftovers_go = None;
        for link in [Link::Wlan, Link::Cellular] {
            if *self.keeper.wanted.slot(link) == Slot::AsFound
                && let Err(error) = self.release(link).await
            {
                tracing::warn!(error, ?link, "not everything of a former run could be taken away");
            }
        }
        if self.keeper.wanted.preferred == Preferred::AsFound {
            self.keeper.wanted.preferred = Preferred::Nobody;
            self.settle().await;
        }
    }

    async fn clean_up(&mut self) {
        for link in [Link::Wlan, Link::Cellular] {
            if let Err(error) = self.release(link).await {
                tracing::warn!(error, ?link, "not everything could be taken away");
            }
        }
        self.keeper.wanted.preferred = Preferred::Nobody;
        self.settle().await;
    }

    async fn settle(&mut self) {
        if let Err(error) = self.keeper.reconcile(Link::Cellular).await {
            tracing::warn!(error, "not everything could be taken away");
        }
        self.name_servers().await;
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

    pub(super) fn setup(&self, link: Link) -> &Setup {
        match link {
            Link::Cellular => &self.cellular,
            Link::Wlan => &self.wlan,
        }
    }

    pub(super) fn setup_mut(&mut self, link: Link) -> &mut Setup {
        match link {
            Link::Cellular => &mut self.cellular,
            Link::Wlan => &mut self.wlan,
        }
    }

    pub(super) async fn tell(&self, event: Event) {
        // The daemon ends when the other end is dropped.
        let _ = self.events.send(event).await;
    }
}

async fn sample(route: &mut Socket, plan: &Plan) -> Result<Sample, NetlinkError> {
    let (received, sent) = rt::packets(route, plan.interface).await?;
    let sources: Vec<IpAddr> = plan.ways.iter().map(|way| way.ip).collect();
    let drain::Progress { stalled, heard, open } = drain::progress(&sources).await?;
    Ok(Sample { sent, received, stalled, heard, open })
}

async fn rung(alarm: Option<&Alarm>) {
    match alarm {
        Some(alarm) => alarm.rings().await,
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
