//! The card's task: three sockets (requests, nl80211 events, link events), the clock, and nothing to decide.
//!
//! Events are hints and tables are truth: after `ENOBUFS` everything is read anew, and a card that is not there is
//! looked for whenever the kernel tells of any link.

use std::time::Duration;

use linux_raw_sys::netlink::rtnetlink_groups::RTNLGRP_LINK;
use neli::consts::{
    nl::{GenlId, NlmF},
    rtnl::Rtm,
    socket::NlFamily,
};
use neli::rtnl::Ifinfomsg;
use nix::errno::Errno;
use provisioning::identity::Mac;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    channels,
    parse::{self, Family},
    request,
    track::{Cqm, LADDER_HYSTERESIS_DB, Step, Thresholds, Tracker},
};
use crate::wlan::{
    Bss, Command, Event, Interface,
    netlink::{NetlinkError, Socket, frame},
};

/// `NL80211_GENL_NAME`.
const FAMILY: &str = "nl80211";
/// Multicast groups that are listened to: scans; CQM and the end of associations; interfaces.
const GROUPS: [&str; 3] = ["scan", "mlme", "config"];
/// A scan of all channels in software takes 4 s, beside traffic 13 s.
const SCAN_LIMIT: Duration = Duration::from_secs(15);
/// Pause before the sockets are opened again after one of them failed.
const REOPEN: Duration = Duration::from_secs(1);

/// Runs until nobody listens to `events` or the commands' sender is dropped.
pub(super) async fn run(
    wanted: Option<String>,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
) {
    let mut memory =
        Memory { wanted, tracker: Tracker::default(), interface: None, heard: Heard::default(), events };
    while !memory.events.is_closed() {
        let ended = match Task::open(&mut memory).await {
            Ok(mut task) => task.serve(&mut commands).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "nl80211 is opened again"),
        }
        sleep(REOPEN).await;
    }
}

/// What outlives the sockets.
struct Memory {
    wanted: Option<String>,
    tracker: Tracker,
    interface: Option<Interface>,
    heard: Heard,
    events: mpsc::Sender<Event>,
}

/// What the last scans told, and when.
#[derive(Default)]
struct Heard {
    results: Vec<Bss>,
    at: Option<Instant>,
    /// When all channels were looked at.
    whole_at: Option<Instant>,
    /// Ours that is under way looks at all of them.
    whole: bool,
}

/// What the kernel knows of the access point.
enum Peer {
    /// There is no card to ask.
    Unknown,
    /// Not associated.
    Absent,
    /// Associated; dBm where the driver says it.
    Present(Option<i32>),
}

struct Task<'a> {
    memory: &'a mut Memory,
    generic: Socket,
    route: Socket,
    links: Socket,
    /// None while the kernel has no cfg80211.
    wireless: Option<(Family, Socket)>,
    next_reading: Option<Instant>,
    /// Where the driver takes one threshold only: which it has, dBm.
    single: Option<i32>,
    scan_until: Option<Instant>,
}

impl<'a> Task<'a> {
    async fn open(memory: &'a mut Memory) -> Result<Self, NetlinkError> {
        let mut task = Self {
            memory,
            generic: Socket::requests(NlFamily::Generic)?,
            route: Socket::requests(NlFamily::Route)?,
            links: Socket::events(NlFamily::Route, &[RTNLGRP_LINK as u32])?,
            wireless: None,
            next_reading: None,
            single: None,
            scan_until: None,
        };
        task.read_interfaces().await?;
        // The same card as before the sockets failed: what was told meanwhile is not known.
        task.resume_watch().await?;
        Ok(task)
    }

    async fn serve(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), NetlinkError> {
        loop {
            let wireless = async {
                match &mut self.wireless {
                    Some((_, socket)) => socket.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await?,
                    None => return Ok(()),
                },
                datagram = wireless => match datagram {
                    Ok(datagram) => self.notices(&datagram).await?,
                    Err(NetlinkError::Lost) => self.read_everything().await?,
                    Err(error) => return Err(error),
                },
                // What changed is not looked at: the whole list is cheaper to trust.
                link = self.links.next() => match link {
                    Ok(_) | Err(NetlinkError::Lost) => self.read_interfaces().await?,
                    Err(error) => return Err(error),
                },
                () = at(self.next_reading) => self.read_signal().await?,
                () = at(self.scan_until) => {
                    self.scan_until = None;
                    self.tell(Event::ScanFailed("no result in time".to_owned())).await;
                }
                () = self.memory.events.closed() => return Ok(()),
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), NetlinkError> {
        match command {
            Command::Scan { ssids, frequencies } => self.scan(&ssids, &frequencies).await,
            Command::SetMac(mac) => self.set_mac(mac).await,
            Command::Watch { leave_dbm, hysteresis_db } => {
                self.memory.tracker.watch(Thresholds { leave_dbm, hysteresis_db });
                self.resume_watch().await
            }
            Command::Unwatch => {
                if self.memory.tracker.watched().is_some() {
                    self.memory.tracker.unwatch();
                    self.next_reading = None;
                    if let Some(index) = self.index() {
                        self.try_cqm(index, &[0], 0).await?;
                    }
                }
                Ok(())
            }
        }
    }

    async fn notices(&mut self, datagram: &[u8]) -> Result<(), NetlinkError> {
        for frame in frame::frames(datagram) {
            let frame = frame?;
            if !frame::is_data(&frame) {
                continue;
            }
            if let Some(notice) = parse::notice(frame.body, self.index())?
                && let Some(step) = self.memory.tracker.notice(notice)
            {
                self.step(step).await?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<(), NetlinkError> {
        match step {
            Step::Tell(event) => {
                if let Event::ScanFailed(_) = event {
                    self.scan_until = None;
                }
                // A crossing may have brought the threshold near.
                if let Event::Signal { .. } = event {
                    let pause = self.memory.tracker.read_every();
                    let next = pause.map(|pause| Instant::now() + pause);
                    self.next_reading = self.next_reading.or(next);
                }
                self.tell(event).await;
                Ok(())
            }
            Step::ReadInterfaces => self.read_interfaces().await,
            Step::ReadScan => self.read_scan().await,
            Step::ReadSignal => self.read_signal().await,
            Step::SetCqm(thresholds) => self.set_cqm(thresholds).await,
        }
    }

    async fn read_everything(&mut self) -> Result<(), NetlinkError> {
        tracing::warn!("nl80211 events were lost, everything is read anew");
        self.read_interfaces().await?;
        self.read_scan().await?;
        let event = match self.peer().await? {
            Peer::Unknown => None,
            Peer::Absent => self.memory.tracker.peer_seen(false),
            Peer::Present(_) => self.memory.tracker.peer_seen(true),
        };
        if let Some(event) = event {
            self.tell(event).await;
        }
        self.resume_watch().await
    }

    /// Finds the interface again and tells what changed about it.
    async fn read_interfaces(&mut self) -> Result<(), NetlinkError> {
        let found = self.find().await?;
        if found == self.memory.interface {
            return Ok(());
        }
        let before = self.index();
        self.memory.interface.clone_from(&found);
        let replaced = self.index() != before;
        if replaced {
            self.memory.tracker.forget();
            self.memory.heard = Heard::default();
            self.scan_until = None;
            self.next_reading = None;
        }
        match found {
            Some(interface) => self.tell(Event::Interface(interface)).await,
            None => self.tell(Event::Gone).await,
        }
        if replaced { self.resume_watch().await } else { Ok(()) }
    }

    async fn find(&mut self) -> Result<Option<Interface>, NetlinkError> {
        if self.wireless.is_none() {
            self.wireless = self.resolve().await?;
        }
        let Some(bodies) = self.dump(request::interfaces()?).await? else {
            // Unloaded; when it comes again the kernel may number it otherwise.
            self.wireless = None;
            // An interface that the configuration names is believed in also where the kernel has no nl80211 for it: its
            // MAC is what a credential is bound to, and only scans and signal are missing.
            let Some(name) = self.memory.wanted.clone() else { return Ok(None) };
            return self.link(request::link(Some(&name), 0)?).await;
        };
        let mut stations = Vec::new();
        for body in &bodies {
            stations.extend(parse::station_interface(body)?);
        }
        stations.sort();
        let wanted = self.memory.wanted.as_deref();
        let Some((index, _)) =
            stations.into_iter().find(|(_, name)| wanted.is_none_or(|wanted| wanted == name))
        else {
            return Ok(None);
        };
        self.link(request::link(None, index)?).await
    }

    /// What rtnetlink knows of one interface; none when there is no such.
    async fn link(&mut self, question: Ifinfomsg) -> Result<Option<Interface>, NetlinkError> {
        let answer = self.route.request(Rtm::Getlink.into(), NlmF::empty(), question).await;
        let Some(body) = absent_is_none(answer)?.and_then(|bodies| bodies.into_iter().next()) else {
            return Ok(None);
        };
        let link = parse::link(&body)?;
        Ok(link.current.map(|current_mac| Interface {
            name: link.name,
            index: link.index,
            permanent_mac: link.permanent.unwrap_or(current_mac),
            current_mac,
        }))
    }

    /// The family and a socket that hears its groups; none while the kernel has no nl80211.
    async fn resolve(&mut self) -> Result<Option<(Family, Socket)>, NetlinkError> {
        let answer = self.generic.request(GenlId::Ctrl.into(), NlmF::empty(), request::family(FAMILY)?).await;
        let Some(bodies) = absent_is_none(answer)? else { return Ok(None) };
        let Some(family) = bodies.first().map(|body| parse::family(body)).transpose()?.flatten() else {
            return Ok(None);
        };
        let wanted = family.groups.iter().filter(|(name, _)| GROUPS.contains(&name.as_str()));
        let groups: Vec<u32> = wanted.map(|(_, number)| *number).collect();
        let socket = Socket::events(NlFamily::Generic, &groups)?;
        Ok(Some((family, socket)))
    }

    async fn scan(&mut self, ssids: &[Vec<u8>], frequencies: &[u32]) -> Result<(), NetlinkError> {
        let Some(index) = self.index() else {
            self.tell(Event::ScanFailed("no WLAN interface".to_owned())).await;
            return Ok(());
        };
        let heard = &self.memory.heard;
        let age = heard.at.map(|at| at.elapsed()).unwrap_or_default();
        let channels = match channels::asked(frequencies) {
            asked if asked.is_empty() => {
                channels::to_scan(ssids, &heard.results, age, heard.whole_at.map(|at| at.elapsed()))
            }
            asked => asked,
        };
        let done = self.ask(request::scan(index, ssids, &channels)?).await;
        self.memory.heard.whole = done.is_ok() && channels.is_empty();
        match done {
            // Another program's scan is under way: its results are as good as ours.
            Ok(()) | Err(NetlinkError::Refused { errno: Errno::EBUSY, .. }) => {
                self.scan_until = Some(Instant::now() + SCAN_LIMIT);
            }
            Err(NetlinkError::Refused { errno, text }) => {
                let text = text.map(|text| format!(" ({text})")).unwrap_or_default();
                self.tell(Event::ScanFailed(format!("scan on interface {index}: {errno}{text}"))).await;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn read_scan(&mut self) -> Result<(), NetlinkError> {
        let Some(index) = self.index() else { return Ok(()) };
        let Some(bodies) = self.dump(request::scan_results(index)?).await? else { return Ok(()) };
        let mut found = Vec::new();
        for body in &bodies {
            // One odd entry must not hide the others.
            found.extend(parse::bss(body).ok().flatten());
        }
        let heard = &mut self.memory.heard;
        let now = Instant::now();
        heard.results.clone_from(&found);
        heard.at = Some(now);
        if self.scan_until.take().is_some() && std::mem::take(&mut heard.whole) {
            heard.whole_at = Some(now);
        }
        self.tell(Event::Scan(found)).await;
        Ok(())
    }

    async fn resume_watch(&mut self) -> Result<(), NetlinkError> {
        if let Some(thresholds) = self.memory.tracker.watched() {
            self.set_cqm(thresholds).await?;
            self.read_signal().await?;
        }
        Ok(())
    }

    async fn set_cqm(&mut self, thresholds: Thresholds) -> Result<(), NetlinkError> {
        let Some(index) = self.index() else { return Ok(()) };
        let single = self.memory.tracker.single(thresholds);
        self.single = None;
        let taken = if self.try_cqm(index, &thresholds.ladder(), LADDER_HYSTERESIS_DB).await? {
            Cqm::Ladder
        } else if self.try_cqm(index, &[single], thresholds.hysteresis_db).await? {
            self.single = Some(single);
            Cqm::One
        } else {
            tracing::debug!("the driver takes no CQM thresholds, the signal is read every second");
            Cqm::Refused
        };
        self.memory.tracker.cqm_set(taken);
        Ok(())
    }

    /// A single threshold is moved to where the signal is now.
    async fn follow(&mut self) -> Result<(), NetlinkError> {
        let (Some(thresholds), Cqm::One) = (self.memory.tracker.watched(), self.memory.tracker.cqm()) else {
            return Ok(());
        };
        if self.single == Some(self.memory.tracker.single(thresholds)) {
            return Ok(());
        }
        self.set_cqm(thresholds).await
    }

    /// Whether the driver takes these.
    async fn try_cqm(
        &mut self,
        index: u32,
        thresholds: &[i32],
        hysteresis_db: u32,
    ) -> Result<bool, NetlinkError> {
        match self.ask(request::watch(index, thresholds, hysteresis_db)?).await {
            Ok(()) => Ok(true),
            Err(NetlinkError::Refused { errno, .. }) => {
                tracing::debug!(%errno, ?thresholds, "CQM thresholds are refused");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the address: at once where the driver takes it so, else with the interface down for a moment. What
    /// the card then says it has is what counts.
    async fn set_mac(&mut self, mac: Mac) -> Result<(), NetlinkError> {
        let Some(index) = self.index() else {
            self.tell(Event::MacRefused("no WLAN interface".to_owned())).await;
            return Ok(());
        };
        let there = self.memory.interface.as_ref().map(|interface| interface.current_mac);
        let mut refused = None;
        if there != Some(mac)
            && let Err(error) = self.change_mac(index, mac).await
        {
            refused = Some(error.to_string());
        }
        let found = self.link(request::link(None, index)?).await?;
        match found {
            Some(interface) if interface.current_mac == mac => {
                self.memory.interface = Some(interface.clone());
                self.tell(Event::Interface(interface)).await;
            }
            _ => {
                let why = refused.unwrap_or_else(|| "the driver kept its own".to_owned());
                self.tell(Event::MacRefused(format!("set the address of interface {index}: {why}"))).await;
                self.read_interfaces().await?;
            }
        }
        Ok(())
    }

    async fn change_mac(&mut self, index: u32, mac: Mac) -> Result<(), NetlinkError> {
        match self.set_link(request::set_mac(index, mac)?).await {
            Err(error) if matches!(error.errno(), Some(Errno::EBUSY | Errno::EOPNOTSUPP)) => {}
            done => return done,
        }
        self.set_link(request::set_up(index, false)?).await?;
        let done = self.set_link(request::set_mac(index, mac)?).await;
        // The supplicant waits for it to come up again.
        self.set_link(request::set_up(index, true)?).await?;
        done
    }

    async fn set_link(&mut self, message: Ifinfomsg) -> Result<(), NetlinkError> {
        self.route.request(Rtm::Newlink.into(), NlmF::empty(), message).await.map(|_| ())
    }

    async fn read_signal(&mut self) -> Result<(), NetlinkError> {
        self.next_reading = self.memory.tracker.read_every().map(|pause| Instant::now() + pause);
        if let Peer::Present(dbm) = self.peer().await? {
            self.memory.tracker.peer_seen(true);
            if let Some(dbm) = dbm {
                self.memory.tracker.level(dbm);
                self.next_reading = self.memory.tracker.read_every().map(|pause| Instant::now() + pause);
                self.follow().await?;
                self.tell(Event::Signal { dbm }).await;
            }
        }
        Ok(())
    }

    async fn peer(&mut self) -> Result<Peer, NetlinkError> {
        let Some(index) = self.index() else { return Ok(Peer::Unknown) };
        let Some(bodies) = self.dump(request::station(index)?).await? else { return Ok(Peer::Unknown) };
        bodies.first().map_or(Ok(Peer::Absent), |body| Ok(Peer::Present(parse::signal(body)?)))
    }

    fn index(&self) -> Option<u32> {
        self.memory.interface.as_ref().map(|interface| interface.index)
    }

    /// Reads a table of nl80211; none where the card or nl80211 itself has gone meanwhile.
    async fn dump(&mut self, message: request::Request) -> Result<Option<Vec<Vec<u8>>>, NetlinkError> {
        let Some((family, _)) = &self.wireless else { return Ok(None) };
        absent_is_none(self.generic.dump(family.id, message).await)
    }

    async fn ask(&mut self, message: request::Request) -> Result<(), NetlinkError> {
        let Some((family, _)) = &self.wireless else {
            return Err(NetlinkError::Refused { errno: Errno::ENODEV, text: None });
        };
        self.generic.request(family.id, NlmF::empty(), message).await.map(|_| ())
    }

    async fn tell(&self, event: Event) {
        // The daemon ends when the other end is dropped; `serve` sees that.
        let _ = self.memory.events.send(event).await;
    }
}

/// A question about something that has just gone is no failure of the socket.
fn absent_is_none<T>(answer: Result<T, NetlinkError>) -> Result<Option<T>, NetlinkError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(NetlinkError::Refused {
            errno: Errno::ENOENT | Errno::ENODEV | Errno::ENETDOWN | Errno::EOPNOTSUPP,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
