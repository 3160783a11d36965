//! Suite `doctor`: faults seeded one at a time into the running virtual laptop; `offloadctl doctor` is to name each as the
//! first broken link, with a remedy, and each is taken out again.

use std::{cell::RefCell, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{Entry, each, rounds};
use crate::{
    atsim::{
        Order,
        modem::{Registration, Sim},
    },
    clock, guest,
    report::Reporter,
    world::{Feed, Options, World, ap, owner::Owner, plan},
};

/// The table, among the results.
pub(crate) const FILE: &str = "table.md";
/// Faults that the suite is to seed one day.
const WANTED: usize = 25;
/// Until a fault is named; ModemManager's probing and a silent RADIUS server are the longest of it.
const NAMED: Duration = Duration::from_secs(90);
/// Joins that fail are tried again soon.
const POLICY: [(&str, &str); 2] = [("dwell-secs", "0"), ("penalty-secs", "1")];
/// Asking starts a program.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// 1 January 2040.
const IN_2040: u64 = 2_208_988_800;

/// A fault: what it is called, the link that is to be named, how it comes and how it goes.
struct Fault {
    name: &'static str,
    link: &'static str,
    seed: fn(&mut World) -> Result<()>,
    mend: fn(&mut World) -> Result<()>,
}

/// In an order in which each begins where the one before ends: first Wi-Fi, then cellular, then the portal.
const FAULTS: [Fault; 24] = [
    Fault { name: "no-ap", link: "ap-heard", seed: leave_cell, mend: nothing },
    Fault { name: "weak-ap", link: "ap-signal", seed: |world| cell_at(world, -85), mend: leave_cell },
    Fault {
        name: "disk-full",
        link: "disk",
        seed: |world| fill(world.agent.state_dir()),
        mend: |world| Ok(umount2(world.agent.state_dir(), MntFlags::MNT_DETACH)?),
    },
    Fault { name: "rfkill", link: "rfkill", seed: |_| block(true), mend: |_| block(false) },
    Fault {
        name: "supplicant-absent",
        link: "supplicant",
        seed: |world| world.supplicant()?.daemon.kill(),
        mend: |world| world.supplicant()?.start(),
    },
    Fault {
        name: "owned-by-another",
        link: "owner",
        seed: |world| {
            world.agent.daemon.stop()?;
            world.agent.lay_over(Some("[wlan]\nowner = \"wpa-supplicant\"\n"))?;
            world.give(Owner::NmWifi)?;
            world.agent.start()
        },
        mend: |world| {
            world.agent.daemon.stop()?;
            world.agent.lay_over(None)?;
            world.take_back()?;
            world.agent.start()
        },
    },
    Fault {
        name: "captive-page",
        link: "captive",
        seed: |world| {
            world.internet.probe.set_captive(true);
            cell_at(world, ap::NEAR)
        },
        mend: |world| {
            world.internet.probe.set_captive(false);
            leave_cell(world)
        },
    },
    Fault {
        name: "no-internet",
        link: "internet",
        seed: |world| {
            world.ap()?.cut_uplink(&world.core.place)?;
            cell_at(world, ap::NEAR)
        },
        mend: |world| {
            world.ap()?.mend_uplink(&world.core.place)?;
            leave_cell(world)
        },
    },
    Fault {
        name: "no-dhcp",
        link: "dhcp",
        seed: |world| {
            world.ap_mut()?.stop_addresses()?;
            cell_at(world, ap::NEAR)
        },
        mend: |world| {
            world.ap_mut()?.start_addresses()?;
            leave_cell(world)
        },
    },
    Fault {
        name: "radius-silent",
        link: "radius",
        seed: |world| {
            world.ap()?.forget_keys()?;
            world.core.portal_aaa.hold(true)?;
            cell_at(world, ap::NEAR)
        },
        mend: |world| {
            world.core.portal_aaa.hold(false)?;
            leave_cell(world)
        },
    },
    Fault {
        name: "password-refused",
        link: "login",
        seed: |world| {
            world.ap()?.forget_keys()?;
            world.supplicant()?.spoil_password()?;
            cell_at(world, ap::NEAR)
        },
        mend: leave_cell,
    },
    Fault {
        name: "wrong-server-certificate",
        link: "server-certificate",
        seed: World::raise_rogue,
        mend: |world| world.drop_rogue().map(drop),
    },
    Fault {
        name: "not-registered",
        link: "registration",
        seed: |world| register(world, Registration::Searching),
        mend: nothing,
    },
    Fault {
        name: "denied",
        link: "denied",
        seed: |world| register(world, Registration::Denied),
        mend: |world| register(world, Registration::Home),
    },
    Fault {
        name: "no-bearer",
        link: "bearer",
        seed: |world| {
            world.cellular.modem.simulator.order(&Order::Data(false));
            world.cellular.modem.simulator.order(&Order::DropSession);
            Ok(())
        },
        mend: |world| {
            world.cellular.modem.simulator.order(&Order::Data(true));
            Ok(())
        },
    },
    Fault { name: "no-modem", link: "modem", seed: |world| world.cellular.modem.unplug(), mend: nothing },
    Fault { name: "sim-missing", link: "sim", seed: |world| plug(world, Sim::Absent), mend: unplug },
    Fault { name: "sim-locked", link: "sim-lock", seed: |world| plug(world, Sim::Pin), mend: replug },
    Fault {
        name: "dns-dead",
        link: "dns",
        seed: |world| anew(world, |world| world.core.stop_names()),
        mend: |world| world.core.start_names(),
    },
    Fault {
        name: "portal-down",
        link: "portal",
        seed: |world| anew(world, |world| world.core.portal_aaa.stop()),
        mend: |world| world.core.serve(),
    },
    Fault {
        name: "imsi-refused",
        link: "subscriber",
        seed: |world| {
            anew(world, |world| {
                world.core.portal_aaa.stop()?;
                world.cellular.set_feed(Feed::OtherImsi);
                world.core.serve()
            })
        },
        mend: |world| {
            world.core.portal_aaa.stop()?;
            world.cellular.set_feed(Feed::Honest);
            world.core.serve()
        },
    },
    Fault {
        name: "suspended",
        link: "subscriber",
        seed: |world| anew(world, |world| subscriber(world, "suspended")),
        mend: |world| subscriber(world, "allow"),
    },
    Fault {
        name: "portal-certificate-expired",
        link: "portal-certificate",
        seed: |world| anew(world, old_certificates),
        mend: |world| {
            world.cellular.modem.simulator.order(&Order::NetworkTime(None));
            world.agent.daemon.stop()?;
            world.core.new_certificates()
        },
    },
    Fault {
        name: "clock-wrong",
        link: "clock",
        seed: |world| anew(world, |_| guest::set_clock(clock::unix_ms() / 1000 + IN_2040 - NOW_ABOUT)),
        mend: |world| {
            world.agent.daemon.stop()?;
            guest::set_clock(clock::unix_ms() / 1000 + NOW_ABOUT - IN_2040)
        },
    },
];
/// Far enough from 2040; the clock is moved by the difference and back by the same.
const NOW_ABOUT: u64 = 1_793_491_200;

/// Suite `doctor`; true where every fault is named.
pub(crate) fn run(only: Option<&str>, options: &Options, reporter: &Reporter) -> Result<bool> {
    let mut world = World::build(options, reporter)?;
    world.core.set_policy(&POLICY)?;
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], rounds::ARMED)?;
    let rows = RefCell::new(Vec::new());
    let runs: Vec<_> = FAULTS
        .iter()
        .map(|fault| {
            let rows = &rows;
            move |world: &mut World, _: &Reporter| seeded(world, fault).map(|row| rows.borrow_mut().push(row))
        })
        .collect();
    let mut entries = vec![Entry { name: "nothing-is-broken", run: &healthy }];
    entries.extend(FAULTS.iter().zip(&runs).map(|(fault, run)| Entry { name: fault.name, run }));
    let good = each(&mut world, &entries.iter().collect::<Vec<_>>(), only, reporter)?;
    fs::write(options.out.join(FILE), table(&rows.borrow()))?;
    world.finish()?;
    Ok(good)
}

fn table(rows: &[[String; 3]]) -> String {
    let mut text = String::from("| fault | first broken link | remedy |\n|---|---|---|\n");
    for [fault, link, remedy] in rows {
        text.push_str(&format!("| {fault} | {link} | {remedy} |\n"));
    }
    text.push_str(&format!("\n{} of {WANTED}\n", rows.len()));
    text
}

/// On Wi-Fi, with all links: the doctor finds nothing.
fn healthy(world: &mut World, _: &Reporter) -> Result<()> {
    rounds::enter(world)?;
    let found = world.agent.doctor()?;
    ensure!(found.get("good") == Some(&serde_json::Value::Bool(true)), "it found {found}");
    Ok(())
}

/// The fault comes, is named, and goes; also where it was not named.
fn seeded(world: &mut World, fault: &Fault) -> Result<[String; 3]> {
    let before = first(&world.agent.doctor()?).map(|(link, _)| link);
    // Out of the cell is where each case begins (the one before shows that it is not named in the cell), and two faults of
    // one link stand for two reasons: the daemon's last failure is thrown away with what it has learnt.
    let begins_so = matches!(fault.link, "ap-heard" | "subscriber");
    ensure!(begins_so || before.as_deref() != Some(fault.link), "named before it was seeded");
    let named = (fault.seed)(world).and_then(|()| named(world, fault.link));
    let mended = (fault.mend)(world);
    let remedy = named?;
    mended.context("taking the fault out again")?;
    Ok([fault.name.to_owned(), fault.link.to_owned(), remedy])
}

fn named(world: &World, link: &str) -> Result<String> {
    let mut last = String::new();
    clock::until_every(LOOK_EVERY, &format!("the doctor names {link}"), NAMED, || {
        let found = world.agent.doctor()?;
        let first = first(&found);
        last = found.to_string();
        Ok(first.filter(|(named, remedy)| named == link && !remedy.is_empty()).map(|(_, remedy)| remedy))
    })
    .map_err(|error| error.context(format!("it said last: {last}")))
}

fn first(found: &serde_json::Value) -> Option<(String, String)> {
    let text = |key: &str| found.get(key)?.as_str().map(str::to_owned);
    Some((text("first-broken")?, text("remedy").unwrap_or_default()))
}

fn nothing(_: &mut World) -> Result<()> {
    Ok(())
}

fn cell_at(world: &mut World, dbm: i32) -> Result<()> {
    world.ap()?.radio.heard_at(dbm)?;
    world.ap()?.radio.in_range(true)
}

fn leave_cell(world: &mut World) -> Result<()> {
    world.ap()?.radio.in_range(false)
}

/// A file system of its own over the agent's folder, without room.
fn fill(folder: &Path) -> Result<()> {
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=64k"))?;
    // Half of it is enough: the doctor wants more than the whole of it.
    Ok(fs::write(folder.join("filler"), vec![0; 32 * 1024])?)
}

/// The switches of the laptop's card.
fn block(yes: bool) -> Result<()> {
    let phy = Path::new("/sys/class/net").join(plan::LAPTOP_WLAN).join("phy80211");
    for entry in fs::read_dir(&phy)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rfkill")) {
            return Ok(fs::write(path.join("soft"), if yes { "1" } else { "0" })?);
        }
    }
    anyhow::bail!("{} has no switch", phy.display())
}

fn register(world: &mut World, registration: Registration) -> Result<()> {
    world.cellular.modem.simulator.order(&Order::Registration(registration));
    Ok(())
}

fn unplug(world: &mut World) -> Result<()> {
    world.cellular.modem.unplug()
}

fn plug(world: &mut World, sim: Sim) -> Result<()> {
    world.cellular.modem.simulator.order(&Order::Sim(sim));
    world.cellular.modem.plug()
}

fn replug(world: &mut World) -> Result<()> {
    unplug(world)?;
    plug(world, Sim::Ready)
}

/// An agent that has learnt nothing asks the portal anew, in a world that `change` has spoilt.
fn anew(world: &mut World, change: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    change(world)?;
    world.agent.start()
}

fn subscriber(world: &mut World, state: &str) -> Result<()> {
    world.core.admin(&["subscriber", "add", "--imsi", plan::IMSI, "--state", state]).map(drop)
}

/// An operator's certificates that ended years ago, and a network that says what time it is.
fn old_certificates(world: &mut World) -> Result<()> {
    const YEARS: u64 = 20 * 365 * 86_400;
    let now = clock::unix_ms() / 1000;
    guest::set_clock(now - YEARS)?;
    let made = world.core.new_certificates();
    guest::set_clock(now)?;
    made?;
    world.cellular.modem.simulator.order(&Order::NetworkTime(Some(now)));
    register(world, Registration::Searching)?;
    let modem = &world.cellular.modem;
    clock::until("the modem searches", NAMED, || {
        Ok(modem.mmcli(&["-m", "any"])?.contains("searching").then_some(()))
    })?;
    register(world, Registration::Home)
}
