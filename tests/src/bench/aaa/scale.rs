//! portal-aaa alone: cost and memory by the number of stored credentials, and memory of half-open conversations.

use anyhow::{Result, ensure};

use super::{
    Place, Plan,
    contestant::{Contestant, Kin, certificate},
    folder, gate,
    report::{HalfOpen, Size},
    shape::{Mode, Shape},
    trust::Trust,
};
use crate::{
    bench::{median, process, stock::Stock},
    peers::{
        certificate::{Certificate, Kind},
        eapol::Tls,
        private_folder,
    },
};

/// Both shapes of the series.
const SHAPES: [Shape; 2] = [
    Shape { mode: Mode::Pap, tls: Tls::V12, certificate: Kind::P256 },
    Shape { mode: Mode::Peap, tls: Tls::V12, certificate: Kind::P256 },
];

/// Server CPU per login at each size. The sizes are measured in turn, like servers.
pub(super) fn series(plan: &Plan, place: &Place) -> Result<Vec<Size>> {
    private_folder(&place.work)?;
    let certificate = certificate(&place.work, Kind::P256)?;
    let trust = Trust::load(&certificate.ca)?;
    let mut servers = Vec::new();
    for &stored in plan.sizes {
        servers.push(start(stored, &certificate, place)?);
    }
    let mut costs = vec![[Vec::new(), Vec::new()]; servers.len()];
    let mut wrong: Vec<Option<String>> = vec![None; servers.len()];
    for shape in SHAPES {
        for (server, wrong) in servers.iter_mut().zip(&mut wrong) {
            if let Err(error) = gate::check(server, shape, &trust, &certificate, &place.work) {
                *wrong = Some(format!("{}: {error:#}", shape.mode.name()));
            }
        }
    }
    for _ in 0..plan.runs {
        for ((server, costs), wrong) in servers.iter_mut().zip(&mut costs).zip(&mut wrong) {
            for (shape, costs) in SHAPES.into_iter().zip(costs) {
                match server.measure(shape, &trust, shape.mode.logins() / plan.logins_divisor) {
                    Ok(run) => costs.push(run.server_cpu_us),
                    Err(error) => *wrong = Some(format!("{}: {error:#}", shape.mode.name())),
                }
            }
        }
    }
    let sizes = plan.sizes.iter().zip(&servers).zip(costs).zip(wrong);
    sizes
        .map(|(((&stored, server), [pap, peap]), not_measured)| {
            let rss_mib = process::cost(server.pid()?)?.rss_kib as f64 / 1024.0;
            Ok(Size { stored, pap_us: median(pap), peap_us: median(peap), rss_mib, not_measured })
        })
        .collect()
}

fn start(stored: usize, certificate: &Certificate, place: &Place) -> Result<Contestant> {
    let name = format!("scale-{stored}");
    let [shape, _] = SHAPES;
    let (work, logs) = (place.work.join(&name), folder(place, &name)?);
    Contestant::start(Kin::Ours, shape, &Stock::of(stored)?, true, certificate, &work, &logs)
}

/// Begins conversations, leaves them, and looks at what the server has grown by. A server each, for a clean start.
pub(super) fn half_open(stock: &Stock, plan: &Plan, place: &Place) -> Result<Vec<HalfOpen>> {
    let shape = Shape { mode: Mode::Peap, tls: Tls::V12, certificate: Kind::P256 };
    let mut all = Vec::new();
    for (requests, left) in [(1, "the start"), (2, "the server's certificate"), (3, "the TLS handshake")] {
        private_folder(&place.work)?;
        let certificate = certificate(&place.work, Kind::P256)?;
        let trust = Trust::load(&certificate.ca)?;
        let logs = folder(place, &format!("half-open-{requests}"))?;
        let mut server = Contestant::start(Kin::Ours, shape, stock, true, &certificate, &place.work, &logs)?;
        // Threads, caches and allocator as they are in a server that works.
        server.measure(shape, &trust, 500)?;
        let before = process::cost(server.pid()?)?.rss_kib;
        let users = server.users.clone();
        server.generator(shape, &users, &trust)?.leave_open(plan.half_open, requests)?;
        let after = process::cost(server.pid()?)?.rss_kib;
        ensure!(after > before, "{} conversations take no memory", plan.half_open);
        let kib_each = (after - before) as f64 / plan.half_open as f64;
        all.push(HalfOpen { left, conversations: plan.half_open, kib_each });
    }
    Ok(all)
}
