//! Suite `handover`: what a move costs those who talk through it, counted on real parts in the virtual laptop.
//!
//! | file | asks |
//! |---|---|
//! | [`moves`] | many moves there and back under every kind of traffic: is anything lost? |
//! | [`losing`] | the access point fades, falls silent, says goodbye, loses its uplink: how soon does traffic go on? |
//! | [`traces`] | somebody walks away, drives past, stands at the edge: how often does traffic move? |
//! | [`joins`] | how long does a join take, beside a bare supplicant with udhcpc? |
//! | [`beside`] | the same moves and losses with NetworkManager |
//! | [`figures`] | what the agent takes of the device |
//! | [`arrival`] | how long a join took, and which part of it |
//! | [`ground`] | the world as these cases want it: policy, traffic, waiting |
//! | [`table`] | what came out, for people |
//!
//! Times are those of the server in the Internet: when the packets of a flow begin to come by the other link. The
//! virtual laptop stands still now and then; so each gap is shown beside the longest silence of the same flow in the
//! three seconds before, when nothing was done to it.

mod arrival;
mod beside;
mod figures;
mod ground;
mod joins;
mod losing;
mod moves;
pub(crate) mod table;
mod traces;

use std::{cell::RefCell, fs};

use anyhow::Result;

use crate::{
    cases::{self, Entry},
    report::Reporter,
    world::{Options, World},
};
use table::Table;

/// How much of the suite is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Moves to Wi-Fi, and as many back.
    pub(crate) moves: u32,
    /// Every trace, and everything with NetworkManager, too: a quarter of an hour more.
    pub(crate) full: bool,
}

/// From so many moves on, nobody waits for the suite to end soon.
const MANY: u32 = 20;
/// Pairs of joins beside a bare supplicant.
const PAIRS: usize = 5;
const FEW_PAIRS: usize = 2;

/// Suite `handover`; true where all cases are good.
pub(crate) fn run(
    only: Option<&str>,
    Extent { moves, full }: Extent,
    options: &Options,
    reporter: &Reporter,
) -> Result<bool> {
    let mut world = World::build(options, reporter)?;
    let table = RefCell::new(Table::default());
    let few = moves.div_ceil(10);
    let entries = [
        Entry {
            name: "moves-with-cellular-standing-by",
            run: &|world, reporter| moves::standby(world, reporter, moves, &mut table.borrow_mut()),
        },
        Entry {
            name: "moves-with-cellular-put-down",
            run: &|world, reporter| moves::down(world, reporter, few, &mut table.borrow_mut()),
        },
        Entry {
            name: "fading-access-point-is-left-before-it-is-silent",
            run: &|world, _| losing::fade(world, &mut table.borrow_mut()),
        },
        Entry {
            name: "silence-without-warning",
            run: &|world, _| losing::silence(world, &mut table.borrow_mut()),
        },
        Entry {
            name: "access-point-says-goodbye",
            run: &|world, _| losing::goodbye(world, &mut table.borrow_mut()),
        },
        Entry {
            name: "uplink-cut-under-traffic-and-mended",
            run: &|world, _| losing::cut(world, &mut table.borrow_mut()),
        },
        Entry {
            name: "uplink-cut-while-idle",
            run: &|world, _| losing::cut_idle(world, &mut table.borrow_mut()),
        },
        Entry {
            name: "what-the-agent-takes",
            run: &|world, _| {
                let time = full || only.is_some() || moves >= MANY;
                figures::taken(world, &mut table.borrow_mut(), time)
            },
        },
        Entry {
            name: "joins-beside-a-bare-supplicant",
            run: &|world, reporter| {
                let pairs = if full { PAIRS } else { FEW_PAIRS };
                joins::pairs(world, reporter, pairs, full, &mut table.borrow_mut())
            },
        },
        // A policy of its own.
        Entry {
            name: "signal-traces-beside-networkmanager",
            run: &|world, reporter| traces::traces(world, reporter, full, &mut table.borrow_mut()),
        },
        Entry {
            name: "moves-beside-networkmanager",
            run: &|world, reporter| beside::moves(world, reporter, few, full, &mut table.borrow_mut()),
        },
    ];
    let good = cases::each(&mut world, &entries.iter().collect::<Vec<_>>(), only, reporter)?;
    fs::write(options.out.join(table::FILE), table.borrow().markdown())?;
    world.finish()?;
    Ok(good)
}
