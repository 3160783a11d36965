//! What the machine asks, as sequences of requests. Called by `control`.
//!
//! Only blocks that carry our mark are ever changed. Other programs' networks are as they were, but for the
//! instant between `SELECT_NETWORK`, which disables them, and the requests right after it, which undo that.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use provisioning::message::Credential;

use super::{
    commands::{Commands, Error},
    network::{self, Block, MARK},
    reply::{self, Listed, Status},
    request::{Request, Value},
};

/// Rounds of `LIST_NETWORKS`: one answers with 4096 octets, some fifty networks.
const MAX_PAGES: usize = 16;

/// A block of ours in the supplicant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) id: u32,
    pub(super) ssid: Vec<u8>,
}

/// Puts the credential in as disabled networks, in place of all earlier ones of ours.
pub(super) fn install(
    commands: &mut Commands,
    run_dir: &Path,
    credential: &Credential,
) -> Result<Vec<Installed>, Error> {
    let ca_file = run_dir.join("aaa-ca.pem");
    let blocks = network::blocks(credential, &ca_file)?;
    remove(commands)?;
    write_ca(&ca_file, &credential.eap.ca_pem).map_err(Error::CaFile)?;
    let installed: Result<Vec<_>, _> = blocks.into_iter().map(|block| add(commands, block)).collect();
    if installed.is_err() {
        // Half a block must not stay; when even that fails the error below is the one to tell.
        let _ = remove(commands);
    }
    installed
}

/// Joins one of our blocks: it alone is selected, whatever else is in reach.
pub(super) fn join(commands: &mut Commands, block: &Installed) -> Result<(), Error> {
    if !is_ours(commands, block.id)? {
        return Err(Error::Refused("network of ours is gone".into()));
    }
    let others: Vec<u32> =
        networks(commands)?.into_iter().filter(|n| !n.disabled && n.id != block.id).map(|n| n.id).collect();
    // SELECT_NETWORK prefers ours only among those of the same priority once the others are back.
    let mut highest = 0;
    for id in &others {
        let reply = commands.ask(&Request::GetNetwork { id: *id, field: "priority" })?;
        highest = highest.max(reply.trim_end().parse::<i64>().unwrap_or(0));
    }
    if !others.is_empty() {
        set(
            commands,
            block.id,
            "priority",
            Value::Number(highest.saturating_add(1).min(i64::from(i32::MAX))),
        )?;
    }
    done(commands, &Request::SelectNetwork(block.id))?;
    for id in others {
        // A network that another program removed meanwhile is no reason to fail.
        commands.ask(&Request::EnableNetworkQuietly(id))?;
    }
    Ok(())
}

/// Disables our networks, which ends an association with them. `DISCONNECT` only where that did not: it would
/// also keep the supplicant from joining other programs' networks by itself.
pub(super) fn leave(commands: &mut Commands, installed: &[Installed]) -> Result<(), Error> {
    for block in installed {
        if is_ours(commands, block.id)? {
            commands.ask(&Request::DisableNetwork(block.id))?;
        }
    }
    let now = status(commands)?;
    if !now.idle() && installed.iter().any(|block| now.network == Some(block.id)) {
        done(commands, &Request::Disconnect)?;
    }
    Ok(())
}

/// Takes every block of ours out, whichever run of the agent put it in.
pub(super) fn remove(commands: &mut Commands) -> Result<(), Error> {
    for Listed { id, .. } in networks(commands)? {
        if is_ours(commands, id)? {
            done(commands, &Request::RemoveNetwork(id))?;
        }
    }
    Ok(())
}

/// What the supplicant is right now.
pub(super) fn status(commands: &mut Commands) -> Result<Status, Error> {
    let request = Request::Status;
    let reply = commands.ask(&request)?;
    reply::status(&reply).ok_or_else(|| Error::Unreadable(request.to_string()))
}

/// Whether somebody is there.
pub(super) fn ping(commands: &mut Commands) -> Result<(), Error> {
    match commands.ask(&Request::Ping)?.as_str() {
        "PONG\n" => Ok(()),
        _ => Err(Error::Unreadable(Request::Ping.to_string())),
    }
}

fn add(commands: &mut Commands, block: Block) -> Result<Installed, Error> {
    let request = Request::AddNetwork;
    let reply = commands.ask(&request)?;
    let id = reply::network_id(&reply).ok_or_else(|| Error::Refused(request.to_string()))?;
    for (field, value) in block.fields {
        if let Err(error) = set(commands, id, field, value) {
            // Without its mark it would not be found again.
            let _ = commands.ask(&Request::RemoveNetwork(id));
            return Err(error);
        }
    }
    Ok(Installed { id, ssid: block.ssid })
}

fn set(commands: &mut Commands, id: u32, field: &'static str, value: Value) -> Result<(), Error> {
    done(commands, &Request::SetNetwork { id, field, value })
}

fn is_ours(commands: &mut Commands, id: u32) -> Result<bool, Error> {
    let reply = commands.ask(&Request::GetNetwork { id, field: "id_str" })?;
    Ok(reply.strip_prefix('"').and_then(|text| text.strip_suffix('"')) == Some(MARK))
}

fn networks(commands: &mut Commands) -> Result<Vec<Listed>, Error> {
    let mut all: Vec<Listed> = Vec::new();
    for _ in 0..MAX_PAGES {
        let request = Request::ListNetworks { after: all.last().map(|network| network.id) };
        let reply = commands.ask(&request)?;
        let page = reply::networks(&reply).ok_or_else(|| Error::Unreadable(request.to_string()))?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    Ok(all)
}

fn done(commands: &mut Commands, request: &Request) -> Result<(), Error> {
    if reply::is_ok(&commands.ask(request)?) { Ok(()) } else { Err(Error::Refused(request.to_string())) }
}

/// World-readable: certificates are no secret, and the supplicant may be another user. Never half written.
pub(crate) fn write_ca(path: &Path, pem: &str) -> io::Result<()> {
    let mut temporary = PathBuf::from(path);
    temporary.set_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
    file.write_all(pem.as_bytes())?;
    drop(file);
    fs::rename(&temporary, path)
}
