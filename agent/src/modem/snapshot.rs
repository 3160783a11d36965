//! What ModemManager shows of a modem, reduced to a [`Snapshot`]; and which modem of several. Pure.
//!
//! Numbers are those of ModemManager's `ModemManager-enums.h`; they are stable interface.

use std::cmp::Reverse;

use super::{
    Presence, Registration, Snapshot,
    bearer::bearer,
    pin::lock,
    properties::{Properties, number, quality, signed, text},
};

/// `MM_MODEM_STATE_FAILED`.
const FAILED: i32 = -1;
/// `MM_MODEM_STATE_LOCKED`.
const LOCKED: i32 = 2;
/// `MM_MODEM_STATE_DISABLED`; from here on the modem can be used.
const DISABLED: i32 = 3;
/// `MM_MODEM_STATE_FAILED_REASON_SIM_MISSING`.
const SIM_MISSING: u32 = 2;

/// Property maps of one modem, read at one moment.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// `org.freedesktop.ModemManager1.Modem`.
    pub(super) modem: Properties,
    /// `…Modem.Modem3gpp`; missing while the modem is locked or failed.
    pub(super) modem3gpp: Properties,
    /// `org.freedesktop.ModemManager1.Sim` of the active SIM.
    pub(super) sim: Properties,
    /// `org.freedesktop.ModemManager1.Bearer`, each.
    pub(super) bearers: Vec<Properties>,
}

/// No ModemManager, or no modem.
pub(super) fn absent() -> Snapshot {
    Snapshot {
        presence: Presence::NoModem,
        imsi: None,
        imei: None,
        registration: Registration::Searching,
        messaging: false,
        operator_code: None,
        home_operator: None,
        signal_percent: None,
        bearer: None,
        network_time: None,
        lock: None,
    }
}

/// The modem as it is.
pub(super) fn snapshot(raw: &Raw) -> Snapshot {
    let imei = text(&raw.modem, "EquipmentIdentifier").or_else(|| text(&raw.modem3gpp, "Imei"));
    Snapshot {
        presence: presence(&raw.modem),
        imsi: text(&raw.sim, "Imsi").and_then(|digits| digits.parse().ok()),
        imei: imei.and_then(|digits| digits.parse().ok()),
        registration: registration(&raw.modem3gpp),
        messaging: presence(&raw.modem) == Presence::Ready && messaging(&raw.modem3gpp),
        operator_code: text(&raw.modem3gpp, "OperatorCode").map(str::to_owned),
        home_operator: text(&raw.sim, "OperatorIdentifier").map(str::to_owned),
        signal_percent: signal(&raw.modem),
        bearer: raw.bearers.iter().find_map(bearer),
        network_time: None,
        lock: (presence(&raw.modem) == Presence::Locked).then(|| lock(&raw.modem)),
    }
}

fn presence(modem: &Properties) -> Presence {
    match signed(modem, "State") {
        Some(FAILED) if number(modem, "StateFailedReason") == Some(SIM_MISSING) => Presence::SimMissing,
        Some(FAILED) => Presence::Failed,
        Some(LOCKED) => Presence::Locked,
        Some(DISABLED..) => Presence::Ready,
        // Unknown and initializing last moments, and nothing can be asked of the modem meanwhile.
        _ => Presence::NoModem,
    }
}

/// `MMModem3gppRegistrationState`. `Modem.State` must not be asked instead: it says registered before this does, and
/// goes on saying connected after registration is lost.
fn registration(modem3gpp: &Properties) -> Registration {
    match number(modem3gpp, "RegistrationState") {
        Some(1 | 9) => Registration::Home,
        Some(5 | 10) => Registration::Roaming,
        Some(3) => Registration::Denied,
        // Idle, searching, unknown; and the states without data: SMS only, emergency only, RLOS.
        _ => Registration::Searching,
    }
}

/// Registered in any way, also for SMS only (6 and 7; 9 and 10 are without preference for voice).
fn messaging(modem3gpp: &Properties) -> bool {
    matches!(number(modem3gpp, "RegistrationState"), Some(1 | 5 | 6 | 7 | 9 | 10))
}

/// ModemManager says zero, recent or not, while it has not measured anything.
fn signal(modem: &Properties) -> Option<u32> {
    quality(modem, "SignalQuality").map(|(percent, _)| percent).filter(|percent| *percent > 0)
}

/// Which of several modems: the most usable one; among equals the one chosen before, else one that is connected or
/// registered, else the one found first. `candidates` are object paths with the properties of their `Modem` interface.
pub(super) fn choose<'a>(
    candidates: impl Iterator<Item = (&'a str, &'a Properties)>,
    before: Option<&str>,
) -> Option<&'a str> {
    candidates
        .min_by_key(|(path, modem)| {
            let (usable, state) = (usability(modem), signed(modem, "State").unwrap_or(0));
            (Reverse(usable), before != Some(*path), Reverse(state), index(path), *path)
        })
        .map(|(path, _)| path)
}

fn usability(modem: &Properties) -> u8 {
    match presence(modem) {
        Presence::Ready => 2,
        Presence::Locked => 1,
        Presence::NoModem | Presence::SimMissing | Presence::Failed => 0,
    }
}

/// `/org/freedesktop/ModemManager1/Modem/N` by number, because 10 comes after 9.
fn index(path: &str) -> u32 {
    path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zbus::{ObjectPath, OwnedVariant, Structure, Variant};

    use super::*;

    fn own(value: impl Into<Variant<'static>>) -> OwnedVariant {
        OwnedVariant::try_from(value.into()).expect("no descriptor in it")
    }

    fn modem(state: i32) -> Properties {
        Properties::from([
            ("State".to_owned(), own(state)),
            ("StateFailedReason".to_owned(), own(0u32)),
            ("EquipmentIdentifier".to_owned(), own("490154203237518")),
            ("SignalQuality".to_owned(), own(Structure::from((67u32, true)))),
            (
                "Sim".to_owned(),
                own(ObjectPath::try_from("/org/freedesktop/ModemManager1/SIM/0").expect("a path")),
            ),
        ])
    }

    fn raw(state: i32) -> Raw {
        Raw {
            modem: modem(state),
            modem3gpp: Properties::from([
                ("RegistrationState".to_owned(), own(1u32)),
                ("OperatorCode".to_owned(), own("00101")),
            ]),
            sim: Properties::from([
                ("Imsi".to_owned(), own("001010123456789")),
                ("OperatorIdentifier".to_owned(), own("00101")),
            ]),
            bearers: Vec::new(),
        }
    }

    #[test]
    fn a_registered_modem() {
        let expected = Snapshot {
            presence: Presence::Ready,
            imsi: "001010123456789".parse().ok(),
            imei: "490154203237518".parse().ok(),
            registration: Registration::Home,
            messaging: true,
            operator_code: Some("00101".to_owned()),
            home_operator: Some("00101".to_owned()),
            signal_percent: Some(67),
            bearer: None,
            network_time: None,
            lock: None,
        };
        assert_eq!(snapshot(&raw(8)), expected);
    }

    #[test]
    fn states() {
        for (state, reason, expected) in [
            (-1, 2, Presence::SimMissing),
            (-1, 3, Presence::Failed),
            (0, 0, Presence::NoModem),
            (1, 0, Presence::NoModem),
            (2, 0, Presence::Locked),
            (3, 0, Presence::Ready),
            (11, 0, Presence::Ready),
        ] {
            let mut raw = raw(state);
            raw.modem.insert("StateFailedReason".to_owned(), own(reason as u32));
            assert_eq!(snapshot(&raw).presence, expected, "{state} {reason}");
        }
        assert_eq!(snapshot(&Raw::default()), absent());
    }

    #[test]
    fn registration_is_not_read_from_the_state() {
        for (told, expected) in [
            (0, Registration::Searching),
            (1, Registration::Home),
            (2, Registration::Searching),
            (3, Registration::Denied),
            (4, Registration::Searching),
            (5, Registration::Roaming),
            (6, Registration::Searching),
            (7, Registration::Searching),
            (8, Registration::Searching),
            (9, Registration::Home),
            (10, Registration::Roaming),
            (77, Registration::Searching),
        ] {
            let mut connected = raw(11);
            connected.modem3gpp.insert("RegistrationState".to_owned(), own(told as u32));
            let got = snapshot(&connected);
            assert_eq!(got.registration, expected, "{told}");
            let data = matches!(expected, Registration::Home | Registration::Roaming);
            assert_eq!(got.messaging, data || matches!(told, 6 | 7), "{told}");
        }
    }

    #[test]
    fn an_unknown_signal_is_none() {
        let mut raw = raw(3);
        for unknown in [own(Structure::from((0u32, false))), own(Structure::from((0u32, true))), own(50u32)] {
            raw.modem.insert("SignalQuality".to_owned(), unknown);
            assert_eq!(snapshot(&raw).signal_percent, None);
        }
        raw.modem.insert("SignalQuality".to_owned(), own(Structure::from((50u32, false))));
        assert_eq!(snapshot(&raw).signal_percent, Some(50), "the last one known");
    }

    #[test]
    fn identifiers_that_are_none_are_left_out() {
        let mut raw = raw(2);
        raw.sim.insert("Imsi".to_owned(), own(""));
        raw.modem.insert("EquipmentIdentifier".to_owned(), own(""));
        raw.modem3gpp.insert("Imei".to_owned(), own("490154203237518"));
        let got = snapshot(&raw);
        assert_eq!(got.imsi, None);
        assert_eq!(got.imei, "490154203237518".parse().ok());
        raw.modem3gpp.insert("Imei".to_owned(), own("unknown"));
        assert_eq!(snapshot(&raw).imei, None);
    }

    #[test]
    fn the_first_usable_modem_stays_chosen() {
        let paths = ["/Modem/10", "/Modem/9", "/Modem/11"];
        let pick = |states: [i32; 3], before: Option<&str>| {
            let modems = states.map(modem);
            choose(paths.into_iter().zip(&modems), before).map(str::to_owned)
        };
        let is = |path: &str| Some(path.to_owned());
        assert_eq!(pick([3, 3, 3], None), is("/Modem/9"));
        assert_eq!(pick([3, 3, 3], Some("/Modem/11")), is("/Modem/11"));
        assert_eq!(pick([3, 3, 3], Some("/Modem/0")), is("/Modem/9"), "the one before is gone");
        assert_eq!(pick([8, -1, 2], Some("/Modem/9")), is("/Modem/10"), "the one before failed");
        assert_eq!(pick([-1, -1, 2], None), is("/Modem/11"), "a locked one can be unlocked");
        assert_eq!(pick([-1, -1, -1], Some("/Modem/11")), is("/Modem/11"));
        assert_eq!(pick([3, 11, 8], None), is("/Modem/9"), "a connected one");
        assert_eq!(pick([3, 7, 8], None), is("/Modem/11"), "a registered one");
        assert_eq!(pick([3, 11, 8], Some("/Modem/10")), is("/Modem/10"), "no change while it works");
        assert_eq!(choose(std::iter::empty(), Some("/Modem/9")), None);
    }

    proptest! {
        #[test]
        fn any_values_of_any_type_give_a_snapshot(
            names in proptest::collection::vec(
                proptest::sample::select(vec![
                    "State", "StateFailedReason", "EquipmentIdentifier", "SignalQuality", "Imsi", "Imei",
                    "RegistrationState", "OperatorCode", "Connected", "Interface", "Ip4Config", "Ip6Config",
                ]),
                0..12,
            ),
            number: u32,
            signed: i32,
            text: String,
            kind in 0u8..5,
        ) {
            let value = || match kind {
                0 => own(number),
                1 => own(signed),
                2 => own(text.clone().replace('\0', "")),
                3 => own(true),
                _ => own(Structure::from((number, false))),
            };
            let map: Properties = names.iter().map(|name| ((*name).to_owned(), value())).collect();
            let clone = || map.keys().map(|name| (name.clone(), value())).collect();
            snapshot(&Raw { modem: clone(), modem3gpp: clone(), sim: clone(), bearers: vec![clone(), map] });
        }
    }
}
