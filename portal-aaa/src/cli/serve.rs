//! `portal-aaa serve`: puts the parts together, says when it is ready, and stops cleanly.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;
use eap::server::{Early, Method};
use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};
use provisioning::message::OuterMethod;
use sd_notify::NotifyState;
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use super::{
    Config,
    installation::Installation,
    keeper::{self, Charge, Keeper},
    log,
};
use crate::{
    accounting::{
        intake::Intake,
        live::{Live, table},
    },
    config::{EarlyIdentity, Settings},
    gateway::Prover,
    portal::{self, Portal},
    server::{clock::Clock, radius},
    sms,
};

/// The portal waits more than it computes; logins have threads of their own.
const PORTAL_THREADS: usize = 2;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How log lines on standard error look.
    #[arg(long, value_enum, default_value_t = log::Format::Text)]
    log_format: log::Format,
    #[command(flatten)]
    config: Config,
}

pub(super) fn run(options: &Options) -> Result<()> {
    log::start(options.log_format);
    // Before the first key is read.
    no_core_dumps().context("core dumps cannot be switched off")?;
    let clock = Clock::start();
    let now = clock.now().unix;
    let installation = Installation::open(&options.config.path)?;
    let Installation { settings, keys, store } = &installation;
    let authority = Arc::new(installation.authority(now)?);
    let prover = Prover::new(settings.proof.clone(), Arc::clone(keys), store.clone(), now);
    let prover = Arc::new(prover.context("the gateway sessions cannot be read")?);
    let session = &settings.session;
    let interim_secs = session.everywhere.0.interim_interval_secs.unwrap_or(0);
    let limits = table::Limits {
        assume_gone_secs: session.assume_gone_secs,
        interim_secs,
        ..table::Limits::default()
    };
    let live = Arc::new(Live::new(limits, authority.clone()));
    live.restore(&**store, now, interim_secs).context("the sessions cannot be read")?;
    let keeper = Keeper::start(Charge {
        authority: authority.clone(),
        live: Arc::clone(&live),
        store: store.clone(),
        clock,
        silence: keeper::silence(settings),
        keys: settings.keys(),
        keep_secs: keeper::keep_secs(settings.accounting.keep_days),
        keep_expired_secs: keeper::keep_secs(settings.credential.keep_expired_days),
    });
    let keeper = keeper.context("a thread cannot be started")?;
    let parts = radius::Parts {
        store: store.clone(),
        keys: Arc::clone(keys),
        directory: authority.clone(),
        sessions: Arc::<Live>::clone(&live),
        endings: Some(Arc::<Live>::clone(&live)),
        feed: Arc::new(Intake::new(prover.clone(), live, Arc::clone(keys))),
        clock,
    };
    let radius_settings = radius::Settings {
        listen: settings.radius.listen,
        accounting_listen: settings.radius.accounting_listen,
        stations: radius::Terms {
            tls: settings.tls.clone(),
            // What devices are told to use.
            default_method: match settings.credential.outer {
                OuterMethod::Peap => Method::Peap,
                OuterMethod::Ttls => Method::Ttls,
            },
            early: early(settings),
        },
        radsec: settings.radsec.clone(),
        realm: settings.realm.clone(),
        proxy: settings.proxy.clone(),
    };
    let tls = portal::tls::load(&settings.portal.certificate, &settings.portal.key)
        .context("the portal's certificate cannot be used")?;
    let sms = settings.sms.clone().map(|sms| {
        let delivery = sms.delivery;
        let made = sms::Service::new(sms, Arc::clone(keys), prover.clone(), authority.clone(), clock);
        (delivery, made)
    });
    let courier = match &sms {
        Some((sms::Delivery::SmsOnly, (_, courier))) => Some(courier.clone()),
        _ => None,
    };
    let portal = Portal::new(prover, authority, clock, settings.portal.limits, courier)
        .context("a thread cannot be started")?;

    let tokio = runtime::Builder::new_multi_thread().worker_threads(PORTAL_THREADS).enable_all().build()?;
    let radius = tokio.block_on(async {
        // Both before READY, so that a stop that comes at once is a clean one.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let listener = listen(settings.portal.listen).await?;
        let radius = radius::spawn(&radius_settings, parts).context("the AAA cannot start")?;
        let (leave, left) = oneshot::channel::<()>();
        let messages = sms.map(|(_, (service, _))| tokio::spawn(service.run(left)));
        tracing::info!(event = "portal-ready", address = %listener.local_addr()?, name = settings.portal.name);
        notify(&[NotifyState::Ready]);
        // Among the connections, not on this thread: who accepts one would wake another thread to serve it.
        let (told, stopped) = oneshot::channel::<()>();
        let mut serving = tokio::spawn(portal::serve(listener, tls, portal, async { drop(stopped.await) }));
        tokio::select! {
            () = stop(&mut terminate, &mut interrupt) => {}
            () = reload(&mut hangup, &radius) => {}
            ended = &mut serving => return Err(ended.err().map_or(anyhow::anyhow!("the portal ended"), Into::into)),
        }
        drop(told);
        serving.await.context("the portal died")?;
        drop(leave);
        if let Some(messages) = messages {
            messages.await.context("the way by SMS died")?;
        }
        anyhow::Ok(radius)
    })?;
    // Accounting that was received is written before this returns.
    radius.stop();
    drop(keeper);
    tracing::info!(event = "stopped");
    Ok(())
}

/// Whose PEAP login is a round shorter: the outer identity that devices get tells them from others.
fn early(settings: &Settings) -> Early {
    match settings.radius.early_identity {
        EarlyIdentity::Never => Early::Never,
        EarlyIdentity::Issued => Early::Outer(settings.anonymous_identity()),
        EarlyIdentity::Always => Early::Always,
    }
}

/// A crash must not leave keys and identifiers in a file; nor may another process of this user read them.
fn no_core_dumps() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("TCP {address} is taken by another program: stop it, or change [portal] listen")
        }
        _ => anyhow::Error::new(error).context(format!("the portal cannot listen on TCP {address}")),
    })
}

async fn stop(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(event = "stopping");
    notify(&[NotifyState::Stopping]);
}

/// SIGHUP: what has changed is looked for at once. Never ends.
async fn reload(hangup: &mut Signal, radius: &radius::Running) {
    while hangup.recv().await.is_some() {
        tracing::info!(event = "reload");
        radius.reload();
    }
    std::future::pending().await
}

/// Does nothing where no service manager asked for it.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(event = "notify-failed", %error, "the service manager cannot be told");
    }
}
