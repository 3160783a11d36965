//! The loop: one input at a time into the machine, its actions out to the worlds.

use std::{
    os::fd::{AsFd, AsRawFd, RawFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        time::TimeSpec,
        timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, watch},
};

use super::{clock, journal::Journal, metrics::Counts, start::notify, story};
use crate::{
    bus::View,
    machine::{Action, Input, Machine, UserWord},
    modem::Modem,
    provision::Portal,
    supplicant::{self, Supplicant},
    vault::Vault,
    wispr::Wispr,
    wlan::{self, Wlan, links::Links, probe::Probe},
};

/// A shorter sleep of the device changes nothing around it.
const LEAST_SLEEP: Duration = Duration::from_secs(2);

/// Every outside world, real or simulated.
pub struct Worlds {
    /// ModemManager.
    pub modem: Box<dyn Modem>,
    /// The WLAN card.
    pub wlan: Box<dyn Wlan>,
    /// Addresses and routes.
    pub links: Box<dyn Links>,
    /// wpa_supplicant of the card in use.
    pub supplicant: Box<dyn Supplicant>,
    /// Makes [`Worlds::supplicant`] when a card comes.
    pub supplicant_of: SupplicantOf,
    /// The portal.
    pub portal: Box<dyn Portal>,
    /// The probe.
    pub probe: Box<dyn Probe>,
    /// Gateways of open networks.
    pub wispr: Box<dyn Wispr>,
    /// What is kept on disk.
    pub vault: Vault,
}

/// No card has come yet, so there is no supplicant to talk to.
#[derive(Debug)]
pub(super) struct NoSupplicant;

impl Supplicant for NoSupplicant {
    fn send(&self, _command: supplicant::Command) {}
}

/// Reaches the supplicant of one WLAN interface.
pub type SupplicantOf = Box<dyn Fn(&str) -> std::io::Result<Box<dyn Supplicant>>>;

/// Runs until `stop` says so; every change of the machine's picture goes to `view`.
pub async fn run(
    mut machine: Machine,
    mut worlds: Worlds,
    mut inputs: mpsc::Receiver<Input>,
    view: watch::Sender<View>,
    mut stop: watch::Receiver<bool>,
) {
    let (mut journal, mut counts) = (Journal::default(), Counts::default());
    publish(&machine, &journal, &counts, &view);
    let mut watchdog = Watchdog::start();
    let alarm = Alarm::new();
    let jump = Jump::new();
    let mut slept = clock::slept();
    let mut card = None;
    loop {
        let input = tokio::select! {
            biased;
            _ = stop.changed() => break,
            input = inputs.recv() => match input {
                Some(input) => input,
                None => break,
            },
            () = alarm.at(machine.deadline()) => Input::Timeout,
            // Whether the device has slept is seen below.
            () = jump.heard() => Input::Timeout,
            () = watchdog.due() => {
                watchdog.pet();
                continue;
            }
        };
        if let Input::Wlan(wlan::Event::Interface(interface)) = &input
            && card.as_ref() != Some(&interface.name)
        {
            meet_supplicant(&mut worlds, &interface.name);
            card = Some(interface.name.clone());
        }
        let woke_up = clock::slept() > slept + LEAST_SLEEP;
        slept = clock::slept();
        let resumed = woke_up.then_some(Input::User(UserWord::Resumed));
        for input in resumed.into_iter().chain([input]) {
            let now = clock::now();
            for action in machine.handle(now, input) {
                if let Action::Note(note) = &action {
                    journal.take(now.unix, note);
                    counts.take(note);
                }
                perform(&mut worlds, action);
            }
        }
        publish(&machine, &journal, &counts, &view);
    }
    tracing::info!(event = "stopping", state = %machine.state(), "stopping; links are put back as they were");
}

fn meet_supplicant(worlds: &mut Worlds, interface: &str) {
    match (worlds.supplicant_of)(interface) {
        Ok(supplicant) => worlds.supplicant = supplicant,
        Err(error) => tracing::error!(%error, interface, "the supplicant's control socket cannot be used"),
    }
}

fn perform(worlds: &mut Worlds, action: Action) {
    match action {
        Action::Modem(command) => worlds.modem.send(command),
        Action::Wlan(command) => worlds.wlan.send(command),
        Action::Links(command) => worlds.links.send(command),
        Action::Supplicant(command) => worlds.supplicant.send(command),
        Action::Portal(command) => worlds.portal.send(command),
        Action::Probe(command) => worlds.probe.send(command),
        Action::Wispr(command) => worlds.wispr.send(command),
        Action::Note(note) => story::tell(&note),
        Action::SetClock(unix) => clock::set(unix),
        Action::Save(stored) => {
            if let Err(error) = worlds.vault.store(&stored) {
                // The credential still works until the next restart, so this is no reason to stop.
                tracing::error!(event = "vault-failed", %error, "the credential could not be kept on disk");
            }
        }
    }
}

fn publish(machine: &Machine, journal: &Journal, counts: &Counts, view: &watch::Sender<View>) {
    let new = View {
        status: Some(machine.status()),
        policy: machine.policy().cloned(),
        log: journal.entries(),
        logged: journal.written(),
        counts: counts.clone(),
    };
    view.send_if_modified(|old| {
        let changed = *old != new;
        *old = new;
        changed
    });
}

/// Wakes the loop at the machine's deadline, and at once after a sleep of the device in which it passed: tokio's own
/// timers stand still while the device sleeps.
struct Alarm {
    timer: Option<AsyncFd<Timer>>,
}

/// nix's timer does not say by itself which descriptor it is.
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    fn new() -> Self {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(timerfd::ClockId::CLOCK_BOOTTIME, flags);
        let timer = timer.map_err(std::io::Error::from).and_then(|timer| registered(Timer(timer)));
        if let Err(error) = &timer {
            tracing::warn!(%error, "no timer that counts sleep; deadlines may come late after one");
        }
        Self { timer: timer.ok() }
    }

    async fn at(&self, deadline: Option<Duration>) {
        let Some(at) = deadline else { return std::future::pending().await };
        if let Some(timer) = &self.timer
            && set(&timer.get_ref().0, at).is_ok()
        {
            while let Ok(mut ready) = timer.readable().await {
                let rang = timer.get_ref().0.wait().is_ok();
                ready.clear_ready();
                // Else it rang before it was set anew, and nobody had listened.
                if rang {
                    return;
                }
            }
        }
        tokio::time::sleep(at.saturating_sub(clock::now().since_boot)).await;
    }
}

/// Wakes the loop when the device has slept, or its clock has been set: an idle machine has no deadline soon.
struct Jump {
    timer: Option<AsyncFd<Timer>>,
}

impl Jump {
    fn new() -> Self {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(timerfd::ClockId::CLOCK_REALTIME, flags);
        let timer = timer.map_err(std::io::Error::from).and_then(|timer| registered(Timer(timer)));
        let jump = Self { timer: timer.ok() };
        jump.listen();
        jump
    }

    /// timerfd_create(2): a timer that is cancelled by each jump of the clock, which a sleep is as well.
    fn listen(&self) {
        let Some(timer) = &self.timer else { return };
        let never = Expiration::OneShot(TimeSpec::new(i64::MAX / 2_000_000_000, 0));
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        if let Err(error) = timer.get_ref().0.set(never, flags) {
            tracing::warn!(%error, "the end of a sleep may be seen late");
        }
    }

    async fn heard(&self) {
        let Some(timer) = &self.timer else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = timer.readable().await else { return std::future::pending().await };
            let jumped = timer.get_ref().0.wait();
            ready.clear_ready();
            if jumped != Err(Errno::EAGAIN) {
                self.listen();
                return;
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "the new name is unsafe; this timer owns its descriptor and never gives it away"
)]
fn registered(timer: Timer) -> std::io::Result<AsyncFd<Timer>> {
    AsyncFd::with_interest(timer, Interest::READABLE)
}

/// The alarm rings at this time of `CLOCK_BOOTTIME`; setting it takes an earlier ring back.
fn set(timer: &TimerFd, at: Duration) -> nix::Result<()> {
    // Zero would disarm it.
    let at = TimeSpec::from_duration(at.max(Duration::from_nanos(1)));
    timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
}

/// systemd's watchdog: petted by this loop, so that a loop that hangs is started anew.
struct Watchdog {
    every: Option<tokio::time::Interval>,
}

impl Watchdog {
    fn start() -> Self {
        // Twice within the limit that the unit file sets.
        Self { every: sd_notify::watchdog_enabled().map(|limit| tokio::time::interval(limit / 2)) }
    }

    async fn due(&mut self) {
        match &mut self.every {
            Some(every) => {
                every.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    fn pet(&self) {
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_alarm_rings_and_can_be_set_anew() {
        let alarm = Alarm::new();
        assert!(alarm.timer.is_some());
        let begin = clock::now().since_boot;
        let soon = begin + Duration::from_millis(20);
        alarm.at(Some(soon)).await;
        assert!(clock::now().since_boot >= soon, "it rang too early");
        // What has passed rings at once; what was set and given up does not ring any more.
        alarm.at(Some(Duration::ZERO)).await;
        let far = begin + Duration::from_secs(3600);
        let waited = tokio::time::timeout(Duration::from_millis(50), alarm.at(Some(far))).await;
        assert!(waited.is_err(), "it rang an hour early");
        alarm.at(Some(soon)).await;
    }

    #[tokio::test]
    async fn a_clock_that_goes_on_is_no_jump() {
        let jump = Jump::new();
        assert!(jump.timer.is_some());
        for _ in 0..2 {
            let heard = tokio::time::timeout(Duration::from_millis(50), jump.heard()).await;
            assert!(heard.is_err());
        }
    }
}
