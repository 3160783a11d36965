//! The policy in few octets. What is not written has the value that a policy without it has; what follows is passed
//! over, so that fields may be added at the end.

use zeroize::Zeroizing;

use super::{
    SmsError,
    wire::{Reader, Writer},
};
use crate::{
    message::{
        AfterMove, ApFilter, MAX_RESERVE, Network, Offload, Policy, Sequence, SmsUse, Threshold,
        UseCredential,
    },
    wispr::Wispr,
    xml::MAX_NETWORKS,
};

const RENEW_AFTER_RETURN: u8 = 1;
const RENEW_BEFORE_MOVE: u8 = 2;
const BREAK_BEFORE_MAKE: u8 = 4;
const RENEW_ON_ATTACH: u8 = 8;

const AFTER_MOVE: [AfterMove; 3] = [AfterMove::Down, AfterMove::Standby, AfterMove::Backup];

// Lists that never change but at their end.
const AP_FILTER: [ApFilter; 3] = [ApFilter::PolicySsid, ApFilter::OperatorOwned, ApFilter::Any];
const OFFLOAD: [Offload; 3] = [Offload::Automatic, Offload::OnRequest, Offload::Never];
const THRESHOLD: [Threshold; 2] = [Threshold::Dbm, Threshold::Off];
const USE_CREDENTIAL: [UseCredential; 2] = [UseCredential::Newest, UseCredential::Oldest];
const SMS: [SmsUse; 3] = [SmsUse::Never, SmsUse::Fallback, SmsUse::Always];

fn place<T: PartialEq>(known: &[T], value: &T) -> u64 {
    known.iter().position(|known| known == value).unwrap_or_default() as u64
}

fn of_place<T: Copy>(known: &[T], reader: &mut Reader<'_>, what: &'static str) -> Result<T, SmsError> {
    let place = usize::try_from(reader.small(what)?).map_err(|_| SmsError::Value(what))?;
    known.get(place).copied().ok_or(SmsError::Value(what))
}

pub(super) fn write(policy: &Policy, realm: &str) -> Zeroizing<Vec<u8>> {
    // In full, so that a field that is added cannot be forgotten here.
    let Policy {
        version,
        networks,
        enter_dbm,
        leave_dbm,
        dwell_secs,
        penalty_secs,
        probe_url,
        cellular_after_move,
        drain_secs,
        renew_after_return,
        renew_every_secs,
        sequence,
        renew_before_move,
        one_time_reserve,
        offline_grace_secs,
        ap_filter,
        passpoints,
        offload,
        threshold,
        use_credential,
        renew_on_attach,
        sms,
    } = policy;
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let mut writer = Writer::new();
    writer.number(*version);
    writer.number(networks.len() as u64);
    for Network { ssid, priority, operator_owned: _, wispr: _ } in networks {
        writer.block(ssid.as_bytes());
        writer.signed(*priority);
    }
    writer.signed(*enter_dbm);
    writer.signed(*leave_dbm);
    writer.number((*dwell_secs).into());
    writer.number((*penalty_secs).into());
    writer.text(probe_url, realm);
    let after = AFTER_MOVE.iter().position(|known| known == cellular_after_move).unwrap_or_default();
    writer.number(after as u64);
    writer.number((*drain_secs).into());
    writer.octet(
        flag(*renew_after_return, RENEW_AFTER_RETURN)
            | flag(*renew_before_move, RENEW_BEFORE_MOVE)
            | flag(*sequence == Sequence::BreakBeforeMake, BREAK_BEFORE_MAKE)
            | flag(*renew_on_attach, RENEW_ON_ATTACH),
    );
    writer.number(*renew_every_secs);
    writer.number((*one_time_reserve).into());
    writer.number((*offline_grace_secs).into());
    for number in [
        place(&AP_FILTER, ap_filter),
        place(&OFFLOAD, offload),
        place(&THRESHOLD, threshold),
        place(&USE_CREDENTIAL, use_credential),
        place(&SMS, sms),
    ] {
        writer.number(number);
    }
    for network in networks {
        writer.octet(u8::from(network.operator_owned));
    }
    // Rare, and of many fields: as JSON has it.
    let passpoints =
        if passpoints.is_empty() { Vec::new() } else { serde_json::to_vec(passpoints).unwrap_or_default() };
    writer.block(&passpoints);
    let hotspots: Vec<Option<&Wispr>> = networks.iter().map(|network| network.wispr.as_ref()).collect();
    let hotspots = if hotspots.iter().all(Option::is_none) {
        Vec::new()
    } else {
        serde_json::to_vec(&hotspots).unwrap_or_default()
    };
    writer.block(&hotspots);
    writer.done()
}

pub(super) fn read(octets: &[u8], realm: &str) -> Result<Policy, SmsError> {
    let mut reader = Reader::new(octets);
    let version = reader.number("version")?;
    let count = reader.number("networks")?;
    let count = usize::try_from(count).ok().filter(|count| *count <= MAX_NETWORKS);
    let mut networks = Vec::new();
    for _ in 0..count.ok_or(SmsError::Value("networks"))? {
        let ssid =
            std::str::from_utf8(reader.block("ssid")?).map_err(|_| SmsError::Value("ssid"))?.to_owned();
        networks.push(Network::new(ssid, reader.signed("priority")?));
    }
    let (enter_dbm, leave_dbm) = (reader.signed("enter-dbm")?, reader.signed("leave-dbm")?);
    let (dwell_secs, penalty_secs) = (reader.small("dwell-secs")?, reader.small("penalty-secs")?);
    let probe_url = reader.text(realm, "probe-url")?;
    let after = reader.small("cellular-after-move")? as usize;
    let cellular_after_move = *AFTER_MOVE.get(after).ok_or(SmsError::Value("cellular-after-move"))?;
    let drain_secs = reader.small("drain-secs")?;
    let flags = reader.octet("policy-flags")?;
    let renew_every_secs = reader.number("renew-every-secs")?;
    let reserve = reader.number("one-time-reserve")?;
    let one_time_reserve = u8::try_from(reserve).ok().filter(|reserve| *reserve <= MAX_RESERVE);
    let offline_grace_secs = reader.small("offline-grace-secs")?;
    let ap_filter = of_place(&AP_FILTER, &mut reader, "ap-filter")?;
    let offload = of_place(&OFFLOAD, &mut reader, "offload")?;
    let threshold = of_place(&THRESHOLD, &mut reader, "threshold")?;
    let use_credential = of_place(&USE_CREDENTIAL, &mut reader, "use-credential")?;
    let sms = of_place(&SMS, &mut reader, "sms")?;
    for network in &mut networks {
        network.operator_owned = reader.octet("operator-owned")? != 0;
    }
    let passpoints = match reader.block("passpoints")? {
        [] => Vec::new(),
        json => serde_json::from_slice(json).map_err(|_| SmsError::Value("passpoints"))?,
    };
    // Portals before 0.2.0 end here.
    if !reader.is_empty() {
        let hotspots: Vec<Option<Wispr>> = match reader.block("wispr")? {
            [] => Vec::new(),
            json => serde_json::from_slice(json).map_err(|_| SmsError::Value("wispr"))?,
        };
        for (network, wispr) in networks.iter_mut().zip(hotspots) {
            network.wispr = wispr;
        }
    }
    Ok(Policy {
        version,
        networks,
        enter_dbm,
        leave_dbm,
        dwell_secs,
        penalty_secs,
        probe_url,
        cellular_after_move,
        drain_secs,
        renew_after_return: flags & RENEW_AFTER_RETURN != 0,
        renew_every_secs,
        sequence: if flags & BREAK_BEFORE_MAKE != 0 {
            Sequence::BreakBeforeMake
        } else {
            Sequence::default()
        },
        renew_before_move: flags & RENEW_BEFORE_MOVE != 0,
        one_time_reserve: one_time_reserve.ok_or(SmsError::Value("one-time-reserve"))?,
        offline_grace_secs,
        ap_filter,
        passpoints,
        offload,
        threshold,
        use_credential,
        renew_on_attach: flags & RENEW_ON_ATTACH != 0,
        sms,
    })
}
