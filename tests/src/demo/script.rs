//! What the world does to the agent during a demo: it runs inside the virtual laptop.
//!
//! The script moves the access point and watches; it never tells the agent anything. What it reports comes from
//! `steps`, which reads the programs' logs.

use std::time::Duration;

use anyhow::Result;

use super::{
    Break, parts,
    steps::{Meaning, Story, Trouble},
};
use crate::{
    clock,
    report::{Line, Reporter, Stopped, Tcp, Traffic, Udp},
    traffic::{Carried, Downloaded, Echoed, Socket},
    world::{
        Feed, Options, World,
        ap::{self, AccessPoint},
        netns::Netns,
        owner::Owner,
    },
};

/// Cellular up, credential fetched and installed: the modem's probing takes most of it.
const PROVISIONING: Duration = Duration::from_secs(90);
/// From audible to the default route on Wi-Fi.
const MOVING: Duration = Duration::from_secs(60);
/// Until the old connections have drained.
const DRAINING: Duration = Duration::from_secs(60);
/// From the fade to Wi-Fi left.
const RETURNING: Duration = Duration::from_secs(60);
/// Programs write to different logs: the one that knows best may write a moment later.
const AFTERWORD: Duration = Duration::from_secs(2);
/// The walk into the cell and out of it, dBm.
const APPROACH: [i32; 4] = [-85, -75, -65, ap::NEAR];
/// The walk out; -90 is the edge of what the radio hears.
const FADE: [i32; 8] = [-55, -60, -65, -70, -75, -80, -85, -90];
/// One step of such a walk.
const STRIDE: Duration = Duration::from_millis(400);
/// Octets a second of the download: small, so that what is captured stays small.
const DOWNLOAD_RATE: u32 = 100_000;
/// Time on a link that is long enough to see that it carries.
const STAY: Duration = Duration::from_secs(3);

/// Runs the demo; true where it went to its end and lost nothing.
pub(crate) fn run(
    broken: Option<Break>,
    owner: Option<Owner>,
    wispr: bool,
    options: &Options,
    reporter: &Reporter,
) -> Result<bool> {
    for (name, version) in parts::in_the_guest(owner.is_some()) {
        reporter.send(&Line::Part { name, version });
    }
    let feed = match broken {
        Some(Break::NoGatewayFeed) => Feed::Silent,
        Some(Break::OtherImsi) => Feed::OtherImsi,
        _ => Feed::Honest,
    };
    let mut world = World::build(&Options { feed, ..options.clone() }, reporter)?;
    if let Some(owner) = owner {
        reporter.progress("NetworkManager, with connections of its own");
        world.give(owner)?;
    }
    if wispr {
        reporter.progress("an open network, and its WISPr gateway");
        world.set_up_hotspot()?;
    }
    let result = Script::new(&mut world, reporter).play(broken);
    world.agent.daemon.stop()?;
    let found = world.connections_are_as_found();
    world.finish()?;
    found?;
    match result? {
        None => Ok(true),
        Some(stopped) => {
            reporter.send(&Line::Stopped(stopped));
            Ok(false)
        }
    }
}

/// One play of it in a world whose agent does not run yet.
pub(crate) struct Script<'a> {
    world: &'a mut World,
    reporter: &'a Reporter,
}

impl<'a> Script<'a> {
    /// In this world.
    pub(crate) fn new(world: &'a mut World, reporter: &'a Reporter) -> Self {
        Self { world, reporter }
    }

    /// None where nothing stopped it.
    pub(crate) fn play(&mut self, broken: Option<Break>) -> Result<Option<Stopped>> {
        let mut story = self.world.story();
        self.world.agent.start()?;
        if let Some(stopped) = self.follow(&mut story, "50", PROVISIONING)? {
            return Ok(Some(stopped));
        }
        let here = Netns::here();
        let udp = self.world.internet.echo(&here, Socket::Free)?;
        if let Some(stopped) = self.follow(&mut story, "68", PROVISIONING)? {
            return Ok(Some(stopped));
        }
        let tcp = self.world.internet.download(&here, Carried::Tcp, DOWNLOAD_RATE)?;
        self.spoil(broken)?;
        if broken != Some(Break::RogueAp) {
            self.walk(&APPROACH)?;
        }
        if let Some(stopped) = self.follow(&mut story, "move", MOVING)? {
            return Ok(Some(stopped));
        }
        // The connection that began on cellular goes on there while new traffic takes Wi-Fi.
        clock::pause(STAY);
        let tcp = tcp.finish()?;
        if let Some(stopped) = self.follow(&mut story, "down", DRAINING)? {
            return Ok(Some(stopped));
        }
        clock::pause(STAY);
        self.walk(&FADE)?;
        if let Some(stopped) = self.follow(&mut story, "left", RETURNING)? {
            return Ok(Some(stopped));
        }
        clock::pause(STAY);
        let udp = udp.finish()?;
        self.ap()?.radio.in_range(false)?;
        Ok(self.judge(udp, tcp))
    }

    /// The access point that is walked up to: the open network's, where there is one.
    fn ap(&self) -> Result<&AccessPoint> {
        match self.world.open() {
            Ok(open) => Ok(&open.ap),
            Err(_) => self.world.ap(),
        }
    }

    /// Reports the traffic; lost packets stop a demo too.
    fn judge(&self, udp: Echoed, tcp: Downloaded) -> Option<Stopped> {
        self.reporter.send(&Line::Traffic(Traffic {
            udp: Udp { sent: udp.sent, lost: udp.lost, longest_gap_ms: udp.longest_gap_ms },
            tcp: Tcp { bytes: tcp.bytes, intact: tcp.intact, resets: tcp.resets },
        }));
        let whole = udp.lost == 0 && tcp.intact && tcp.resets == 0;
        (!whole).then(|| Stopped {
            step: "traffic".to_owned(),
            reason: "traffic-suffered".to_owned(),
            text: format!("both moves were made, but not without loss: {udp:?}, {tcp:?}"),
        })
    }

    /// Makes the one thing wrong that concerns the way to Wi-Fi.
    fn spoil(&mut self, broken: Option<Break>) -> Result<()> {
        match broken {
            Some(Break::WrongMac) => self.world.use_other_cards_credential(),
            Some(Break::WrongPassword) => self.world.supplicant()?.spoil_password(),
            Some(Break::RogueAp) => self.world.raise_rogue(),
            Some(Break::NoGatewayFeed | Break::OtherImsi) | None => Ok(()),
        }
    }

    fn walk(&self, levels: &[i32]) -> Result<()> {
        let ap = self.ap()?;
        for (place, level) in levels.iter().enumerate() {
            ap.radio.heard_at(*level)?;
            if place == 0 {
                ap.radio.in_range(true)?;
            }
            clock::pause(STRIDE);
        }
        Ok(())
    }

    /// Tells the story until this step, or until it stops.
    fn follow(&mut self, story: &mut Story, id: &str, limit: Duration) -> Result<Option<Stopped>> {
        let told = clock::until(&format!("step {id}"), limit, || {
            let trouble = self.tell(story)?;
            Ok(if let Some(trouble) = trouble {
                Some(Some(trouble))
            } else if story.reached(id) {
                Some(None)
            } else {
                self.world.must_run()?;
                None
            })
        });
        match told {
            Ok(None) => Ok(None),
            Ok(Some(trouble)) => self.stopped(story, trouble).map(Some),
            Err(error) => {
                let (step, what) = story.missing().unwrap_or_default();
                let text = format!("this did not happen: {what}\n{error:?}");
                Ok(Some(Stopped { step: step.to_owned(), reason: "timeout".to_owned(), text }))
            }
        }
    }

    /// Which step a trouble stopped: the first that has not happened. Waits for who knows better.
    fn stopped(&self, story: &mut Story, mut trouble: Trouble) -> Result<Stopped> {
        let end = clock::now() + AFTERWORD;
        while clock::now() < end && trouble.rank > 0 {
            if let Some(other) = self.tell(story)?.filter(|other| other.rank < trouble.rank) {
                trouble = other;
            }
            clock::pause(STRIDE / 4);
        }
        let (step, what) = story.missing().unwrap_or_default();
        let text = format!("this did not happen: {what}. {}", trouble.text);
        Ok(Stopped { step: step.to_owned(), reason: trouble.reason, text })
    }

    /// Reports what is new; gives the best informed trouble in it.
    fn tell(&self, story: &mut Story) -> Result<Option<Trouble>> {
        let mut worst: Option<Trouble> = None;
        for meaning in story.news()? {
            match meaning {
                Meaning::Step(step) => self.reporter.send(&Line::Step(step)),
                Meaning::Trouble(trouble) => {
                    if worst.as_ref().is_none_or(|known| trouble.rank < known.rank) {
                        worst = Some(trouble);
                    }
                }
            }
        }
        Ok(worst)
    }
}
