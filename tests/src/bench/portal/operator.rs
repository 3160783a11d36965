//! An operator's installation with so many devices: each has a credential and is listed in the directory, and many of
//! them are on a bearer now. What the packet gateway says comes by its own RADIUS accounting.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use portal_aaa::{
    credential::{Keys, Purpose, load},
    store::{Handle, SubscriberEntry, SubscriberState, Subscribers as _, sqlite::SqliteStore},
};
use radius::{AttributeType as A, Builder, Code, Packet, Vendor, check_reply, tgpp};
use rusqlite::{Connection, params};

use super::{PORTAL_NAME, client::Client, fleet::Device};
use crate::{
    bench::stock::{self, Stock},
    clock,
    peers::{
        SECRET,
        certificate::{Certificate, Kind},
        eapol::Tls,
        portal::PortalAaa,
        private_folder,
    },
    progress, workshop,
};

/// Devices that are on a bearer: those that ask. The table of bearers holds 262 144.
const ATTACHED: usize = 100_000;
/// Subscribers of one transaction.
const BATCH: usize = 50_000;
/// Where the gateway's accounting comes from; 127.0.0.1 is the access points'.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(super) const GATEWAY_NETWORK: &str = "127.0.0.2/32";
/// Its name among the clients.
pub(super) const GATEWAY_NAME: &str = "pgw.lab";
/// An answer of the accounting port takes a transaction.
const PATIENCE: Duration = Duration::from_secs(10);

/// One installation.
pub(super) struct Operator {
    /// The program.
    pub(super) server: PortalAaa,
    /// Credentials stored at the start.
    pub(super) stored: usize,
    step: usize,
    attached: usize,
}

impl Operator {
    /// One with `stored` devices, not serving yet. The certificate is `init`'s own (P-256), or an RSA one.
    pub(super) fn install(name: &str, stored: usize, kind: Kind, dir: &Path, logs: &Path) -> Result<Self> {
        let directory = directory(stored)?;
        let server = PortalAaa::shipped(name, dir, logs)?;
        fs::copy(directory.join("keys.toml"), server.path("keys.toml"))?;
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(server.path(&format!("portal-aaa.db{end}")));
        }
        // A copy: what is issued during a run is not there at the next.
        fs::copy(directory.join("portal-aaa.db"), server.path("portal-aaa.db"))?;
        server.add_client()?;
        server.admin(&["gateway", "add", GATEWAY_NAME, "--network", GATEWAY_NETWORK, "--secret", SECRET])?;
        server.edit("subscribers = \"any\"", "subscribers = \"listed\"")?;
        if kind == Kind::Rsa {
            let folder = dir.join("rsa");
            private_folder(&folder)?;
            server.use_portal_certificate(&Certificate::make(&folder, kind, PORTAL_NAME)?)?;
        }
        let attached = stored.min(ATTACHED);
        let made = Self { server, stored, step: (stored / attached.max(1)).max(1), attached };
        made.attach()?;
        Ok(made)
    }

    /// The device that asks as the n-th; neighbours here are none in the database.
    pub(super) fn device(&self, number: usize) -> Result<Device> {
        Device::stored((number * 7919 % self.attached) * self.step)
    }

    /// A client of the portal.
    pub(super) fn client(&self, tls: Tls) -> Result<Client> {
        Client::new(self.server.portal(), &self.server.portal_certificate().ca, tls)
    }

    /// Serves, and hears from the gateway.
    pub(super) fn serve(&mut self) -> Result<()> {
        self.server.serve()?;
        self.hear()
    }

    /// The gateway is alive: one of its sessions reports. Without a word of it nobody is served after a while.
    pub(super) fn hear(&self) -> Result<()> {
        report(&self.server, 0, &self.device(0)?)
    }

    /// Puts the bearers where a running server has put them before it was started anew.
    fn attach(&self) -> Result<()> {
        let keys = load(&self.server.path("keys.toml"))?;
        let now = i64::try_from(clock::unix_ms() / 1000)?;
        let mut db = Connection::open(self.server.path("portal-aaa.db"))?;
        let all = db.transaction()?;
        for number in 0..self.attached {
            let device = Device::stored(number * self.step)?;
            all.prepare_cached(
                "INSERT INTO gateway_session (gateway, session_id, address, prefix, subscriber, equipment, seen_at)
                 VALUES (?1, ?2, ?3, 32, ?4, ?5, ?6)",
            )?
            .execute(params![
                GATEWAY_NAME,
                session(&device),
                device.address.to_string(),
                keys.handle_imsi(&device.imsi).0,
                keys.handle_imei(&device.imei).0,
                now
            ])?;
        }
        Ok(all.commit()?)
    }
}

/// The gateway's Start of this device's bearer, acknowledged.
pub(super) fn report(server: &PortalAaa, identifier: u8, device: &Device) -> Result<()> {
    let imeisv = format!("{}01", device.imei.equipment());
    let request = Builder::accounting_request(identifier)
        .integer(A::ACCT_STATUS_TYPE, 1)
        .text(A::NAS_IDENTIFIER, GATEWAY_NAME)
        .integer(A::EVENT_TIMESTAMP, u32::try_from(clock::unix_ms() / 1000)?)
        .text(A::ACCT_SESSION_ID, &session(device))
        .attribute(A::FRAMED_IP_ADDRESS, &device.address.octets())
        .vendor(Vendor::TGPP, tgpp::IMSI, device.imsi.expose().as_bytes())
        .vendor(Vendor::TGPP, tgpp::IMEISV, imeisv.as_bytes())
        .finish(SECRET.as_bytes())?;
    let socket = UdpSocket::bind((GATEWAY, 0))?;
    socket.connect(server.accounting())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&request)?;
    let mut octets = [0; 4096];
    let length = socket.recv(&mut octets).context("the gateway's report is not acknowledged")?;
    let (answer, request) =
        (Packet::parse(octets.get(..length).unwrap_or_default())?, Packet::parse(&request)?);
    check_reply(&answer, &request, SECRET.as_bytes())?;
    ensure!(answer.code() == Code::ACCOUNTING_RESPONSE, "not acknowledged: {:?}", answer.code());
    Ok(())
}

/// Acct-Session-Id; says nothing of the identity.
fn session(device: &Device) -> String {
    format!("s-{:08x}", u32::from(device.address))
}

/// A stock of credentials with the directory of their subscribers beside it, made once.
fn directory(count: usize) -> Result<PathBuf> {
    let stock = Stock::of(count)?;
    let folder = workshop::cache("portal-stock")?.join(count.to_string());
    let (mark, schema) = (folder.join("complete"), stock::schema()?);
    if fs::read_to_string(&mark).ok().as_ref() == Some(&schema) {
        return Ok(folder);
    }
    progress::step(&format!("list {count} subscribers (kept for the next run)"), || {
        private_folder(&folder)?;
        for file in ["keys.toml", "portal-aaa.db"] {
            fs::copy(stock.folder().join(file), folder.join(file))?;
        }
        subscribe(&folder.join("portal-aaa.db"), &load(&folder.join("keys.toml"))?, count)?;
        anyhow::Ok(fs::write(&mark, &schema)?)
    })?;
    Ok(folder)
}

/// Through the store itself, in the order of its table.
fn subscribe(database: &Path, keys: &Keys, count: usize) -> Result<()> {
    let store = SqliteStore::open(database)?;
    store.expect_many()?;
    let mut handles: Vec<(Handle, usize)> = (0..count)
        .map(|number| Ok((keys.handle_imsi(&stock::imsi(number)?), number)))
        .collect::<Result<_>>()?;
    handles.sort_unstable();
    let now = clock::unix_ms() / 1000;
    for batch in handles.chunks(BATCH) {
        let entry = |(handle, number): &(Handle, usize)| -> Result<SubscriberEntry> {
            let imsi = stock::imsi(*number)?;
            let owner = HEXLOWER.encode(&handle.0);
            Ok(SubscriberEntry {
                imsi: *handle,
                imsi_sealed: keys.seal(Purpose::SubscriberImsi, &owner, imsi.expose().as_bytes())?,
                msisdn: None,
                state: Some(SubscriberState::Allow),
                group: None,
            })
        };
        store.put_subscribers(&batch.iter().map(entry).collect::<Result<Vec<_>>>()?, now)?;
    }
    // All of it into the one file that is copied.
    drop(store);
    Connection::open(database)?.pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
    ensure!(
        SqliteStore::open(database)?.subscriber(keys.handle_imsi(&stock::imsi(0)?))?.is_some(),
        "not listed"
    );
    Ok(())
}
