//! The machine's notes as log events with stable names (`event=`), for journald, the demo and people.

use crate::machine::Note;

/// Writes one note.
pub(super) fn tell(note: &Note) {
    use tracing::{info, warn};
    match note {
        Note::State { from, to } => info!(event = "state", %from, %to, "{from} → {to}"),
        Note::CellularUp { interface, address, operator, imsi } => info!(
            event = "cellular-up",
            interface,
            address = address.map(tracing::field::display),
            operator = operator.as_deref().unwrap_or(""),
            imsi = imsi.as_ref().map(|imsi| imsi.masked()).unwrap_or_default(),
            "cellular carries traffic by {interface}"
        ),
        Note::CredentialRequested { trigger, by_sms, imsi, imei, mac } => info!(
            event = "credential-requested",
            trigger = ?trigger,
            via = if *by_sms { "sms" } else { "data" },
            imsi = imsi.as_ref().map(|imsi| imsi.masked()).unwrap_or_default(),
            imei = imei.as_ref().map(|imei| imei.masked()).unwrap_or_default(),
            %mac,
            "asking the portal for a credential"
        ),
        Note::CredentialReceived { username, expires_at } => {
            info!(event = "credential-received", username, expires_at, "the portal gave a credential");
        }
        Note::CredentialInstalled { username } => {
            info!(event = "credential-installed", username, "the supplicant holds the credential, disabled");
        }
        Note::NetworkSensed { ssid, signal_dbm } => {
            info!(event = "network-sensed", ssid, signal_dbm, "{ssid} at {signal_dbm} dBm");
        }
        Note::Joining { ssid } => info!(event = "joining", ssid, "joining {ssid}"),
        Note::Connected { bssid, cipher, tls_version } => info!(
            event = "connected",
            %bssid,
            cipher,
            tls_version = tls_version.as_deref().unwrap_or(""),
            "authenticated at {bssid}"
        ),
        Note::WlanAddress { address } => {
            info!(event = "wlan-address", %address, "address {address} on Wi-Fi")
        }
        Note::LoggingIn { ssid } => info!(event = "logging-in", ssid, "logging on at the gateway of {ssid}"),
        Note::LoggedOn { gateway, location, ends_in } => info!(
            event = "logged-on",
            gateway,
            location = location.as_deref().unwrap_or(""),
            ends_in_secs = ends_in.map(|end| end.as_secs()),
            "the gateway {gateway} lets us through"
        ),
        Note::LoggedOff { confirmed } => {
            info!(event = "logged-off", confirmed, "the gateway was told that we go");
        }
        Note::ProbeOnline => info!(event = "probe-online", "the Internet answers by Wi-Fi"),
        Note::MovedToWifi => info!(event = "moved-to-wifi", "traffic goes by Wi-Fi"),
        Note::CellularDown => info!(event = "cellular-down", "cellular is disconnected"),
        Note::Returning { why, signal_dbm } => {
            info!(
                event = "returning",
                reason = why.code(),
                signal_dbm,
                "going back to cellular: {}",
                why.code()
            );
        }
        Note::MovedToCellular => info!(event = "moved-to-cellular", "traffic goes by cellular"),
        Note::WifiLeft => info!(event = "wifi-left", "Wi-Fi is left"),
        Note::Failed { failure, text } => {
            warn!(event = "failed", reason = failure.code(), detail = text, "{}: {text}", failure.code());
        }
    }
}
