//! The commented file that `portal-aaa init` writes: each key with its meaning, unit, default and consequence.

use std::net::{IpAddr, SocketAddr};

/// What `init` was told.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Realm.
    pub realm: String,
    /// Address that everything listens on.
    pub listen: IpAddr,
    /// Port of the portal.
    pub portal_port: u16,
    /// Port of Access-Requests.
    pub radius_port: u16,
    /// Port of Accounting-Requests.
    pub accounting_port: u16,
    /// Portal's name.
    pub portal_name: String,
    /// AAA's name.
    pub aaa_name: String,
}

/// The text.
pub fn template(seed: &Seed) -> String {
    let at = |port| SocketAddr::new(seed.listen, port).to_string();
    let Seed { realm, portal_name, aaa_name, .. } = seed;
    let (portal, radius, accounting) = (at(seed.portal_port), at(seed.radius_port), at(seed.accounting_port));
    format!(
        r#"# Configuration of portal-aaa. `portal-aaa check --config THIS-FILE` says whether it is right, and where not.
# A key that is left out has the default named with it; an unknown key is an error. `serve` reads the file at its
# start only: restart it after a change. Access points and packet gateways are not here but in the database:
# `portal-aaa nas add` and `portal-aaa gateway add`, which take effect within a second.

# What stands after the @ of every username: a domain name of yours, so that others can route by it. No default.
# Usernames are sealed to it: after a change no credential issued before can log on.
realm = "{realm}"

# Folder with the database (portal-aaa.db), the keys (keys.toml) and tls/, relative to this file. Default ".".
data_dir = "."


# The HTTPS service that gives credentials to devices. Only the packet gateway's side of the network should reach it.
[portal]
# Address and port, TCP. [ADDRESS]:PORT for IPv6. Default "0.0.0.0:8443".
listen = "{portal}"
# Certificate chain (leaf first) and private key, PEM, relative to data_dir.
# Defaults "tls/portal.pem" and "tls/portal.key". Devices refuse a certificate that does not carry `name`.
certificate = "tls/portal.pem"
key = "tls/portal.key"
# The DNS name that devices connect to. Default portal.REALM.
name = "{portal_name}"
# Who gets credentials, when proved: "any" (default), all but those that `portal-aaa subscriber` has as denied or
# suspended; "listed", only those that it has as allowed.
subscribers = "any"
# Requests that one address may send at once after a time of quiet, and seconds after which one more is given back;
# beyond it 429 and Retry-After. 1 to 1000000. Defaults 20 and 2. A listed proxy's address is not counted.
address_burst = 20
address_refill_secs = 2
# The same of one subscriber from whatever addresses, counted when he is proved: so many credentials, at most, does a
# device get that sends its request again and again. Defaults 30 and 10.
subscriber_burst = 30
subscriber_refill_secs = 10
# Requests a second of all devices together, 1 to 1000000. Default 5000.
max_rate = 5000


# The AAA: answers logins that access points pass on, and takes accounting.
[radius]
# Address and port of Access-Requests, UDP. Default "0.0.0.0:1812".
listen = "{radius}"
# Address and port of Accounting-Requests, of access points and of packet gateways, UDP. Default "0.0.0.0:1813".
accounting_listen = "{accounting}"
# PEAP on TLS 1.2: whether the server's first words inside the tunnel go out together with the end of the handshake,
# which makes a login one round shorter. wpa_supplicant takes it so; others may not. "issued" (default): for those
# whose outer identity is the one that the portal gives to devices. "always", "never".
early_identity = "issued"


# The certificate that stations see inside EAP. A changed file is taken over within a second, and on SIGHUP; one that
# cannot be used is named in the log, and the last good one stays.
[tls]
# Certificate and private key, PEM, ECDSA or RSA, relative to data_dir. Leaf first; what follows it in the file is sent
# as it stands, a root too. Text around the PEM blocks does no harm. Defaults "tls/aaa.pem" and "tls/aaa.key".
certificate = "tls/aaa.pem"
key = "tls/aaa.key"
# The name in that certificate. It goes with every credential and stations refuse a server of another name: after a
# change devices must fetch a new credential first. Default aaa.REALM.
server_name = "{aaa_name}"
# The authority that signed it, PEM, relative to data_dir; goes with every credential like the name.
# Default "tls/ca.pem".
ca = "tls/ca.pem"
# Further certificates to be sent after those of `certificate`, PEM, relative to data_dir. Default none.
#chain = "tls/intermediate.pem"
# Seconds from a full login in which a station may come back by its TLS session, without password check but with all
# others (end, revocation, station, place). 0 keeps no session; at most 604800. Default 28800.
resumption_secs = 28800
# Most sessions that are kept, half a kilobyte each; the oldest goes first. 0 to 1048576, default 32768.
resumption_sessions = 32768


# RADIUS over TLS (RFC 6614): certificates instead of shared secrets. Without this table there is none. Restart after a
# change of its files.
#[radsec]
# Address and port of access points' and proxies' connections, TCP. Default none: we only connect to home servers.
# Who connects shows a certificate of `ca` that carries (subjectAltName DNS, else CN) its name in the client table,
# `portal-aaa nas add NAME`, and comes from that one's network. The secret given there does not matter here.
#listen = "0.0.0.0:2083"
# Our certificate chain (leaf first) and private key, shown to both sides, and the authority of the others', all PEM,
# relative to data_dir. Defaults "tls/aaa.pem", "tls/aaa.key" and "tls/ca.pem". The certificate of `init` is one for
# servers: as a client of home servers that look closely you need one that is for clients too.
#certificate = "tls/radsec.pem"
#key = "tls/radsec.key"
#ca = "tls/radsec-ca.pem"


# Logins and accounting of other realms go to their home servers. What counts is what follows the last @ of User-Name,
# the outer identity where there is a tunnel. Our own realm, names without realm and accounts made by `user add` stay
# here; a realm that nobody knows is rejected. Default: no home server, no other realm. One table a home server:
#[[proxy.home_server]]
# Its name in the log and below. No default.
#name = "partner-1"
# "udp" (default) or "radsec", which needs the table [radsec].
#transport = "udp"
# Where it takes Access-Requests; with radsec HOST:PORT (2083), looked up in the DNS. No default.
#address = "192.0.2.10:1812"
# Where it takes Accounting-Requests, for udp. Default: the next port.
#accounting_address = "192.0.2.10:1813"
# Shared with it, for udp; or the name of a file that holds it, relative to data_dir. One of the two is needed.
#secret = "16 characters or more"
#secret_file = "partner-1.secret"
# With radsec, the name in its certificate. Default: the host of `address`.
#server_name = "radsec.partner.example"
# Whether it answers Status-Server, by which it is found dead within 15 seconds and alive within 10. Otherwise three
# unanswered requests make it dead for a minute. Default true.
#status_server = true
# "require" (default): its answers are worth nothing without Message-Authenticator (CVE-2024-3596). "off": for old
# ones, on networks where nobody else sends. With radsec it does not matter; with EAP it is always needed.
#message_authenticator = "require"
#
# One table a realm:
#[[proxy.realm]]
# "partner.example", all below it ".partner.example", or "*" for all others; the most exact one counts. No default.
#realm = "partner.example"
# Names of its home servers, in order of preference; [] for a second name of our own realm. No default.
#home_servers = ["partner-1"]
# Whether @realm is taken off User-Name on the way. Default false.
#strip_realm = false
# "fail-over" (default): the first that lives. "round-robin": in turn. A conversation stays where it began.
#balance = "fail-over"


# Why a device is believed to have the SIM that it claims.
[proof]
# "gateway-accounting" (default): the packet gateway's RADIUS accounting says whose address the request came from;
#   without a live session, or with another's, it is refused. Needs `portal-aaa gateway add`.
# "trusted-prefix": whoever comes from one of `prefixes` is believed. Every attached device can then claim any SIM:
#   a listed subscriber can be found by trying, and a suspended one can ask as somebody else. Only where nothing but
#   the gateway checks addresses and identities.
# "header": a proxy of yours, the only way from the devices to the portal, ends their TLS and writes IMSI or MSISDN of
#   the session into each request. It must remove such headers from what devices send. Requests from elsewhere are
#   refused whatever headers they have, and the device's address is not taken from any.
mode = "gateway-accounting"
# Networks of attached devices, for trusted-prefix, such as ["10.64.0.0/10", "2001:db8:64::/48"]. Default none.
prefixes = []
# With gateway-accounting: seconds without a word of any gateway after which no device is served, because sessions
# that have ended would still be believed. Longer than the gateway's interim interval. 1 to 86400, default 300.
max_silence_secs = 300
# With gateway-accounting: identities not its own that may be claimed from one address before it counts as shared
# (address translation, or somebody who tries SIMs out) and nobody is served from it, until no other was claimed for ten
# minutes. With trusted-prefix: identities at all. 1 to 64, default 4.
max_identities = 4
# With header: networks that the proxies connect from, such as ["192.0.2.8"]; and the name of the header with the IMSI,
# of the one with the MSISDN (looked up in `portal-aaa subscriber`), or both: then both must be right. Default none.
proxies = []
imsi_header = ""
msisdn_header = ""


# Credentials by short messages, over SMPP 3.4 to your message centre. Without this table there are none. The sender's
# number as the message centre tells it is the proof, looked up in `portal-aaa subscriber`: only messages that your own
# network authenticated may be routed to us, none of aggregators, who choose numbers at will. SMPP is not encrypted.
# What devices need is printed by `portal-aaa sms key`. Restart after a change.
#[sms]
# The message centre, HOST:PORT. No default.
#server = "smsc.operator.example:2775"
# What we bind with, as a transceiver: name, and the file with the password of at most 8 characters, relative to
# data_dir. No defaults. System type, default "".
#system_id = "wifi-offload"
#password_file = "smsc.password"
#system_type = ""
# The number that devices send to and get answers from. No default. Its type and numbering plan, and those of devices'
# numbers, as SMPP counts them; defaults 1 (international) and 1 (ISDN). Short codes often have ton 3 or 6 and npi 0.
#source = "15550001000"
#source_ton = 1
#source_npi = 1
#dest_ton = 1
#dest_npi = 1
# How a credential, some five or six messages long, is handed over: "udh" (default), in parts with a header as phones
# know it; "sar", in parts with parameters; "payload", whole. The last two only where the message centre makes parts.
#long = "udh"
# Messages that may be without an answer at one time, 1 to 1000, and messages a second, 1 to 10000. Defaults 10 and 10.
# What your message centre allows; beyond it refuses for a while, and so long we wait.
#window = 10
#max_rate = 10
# Whether the message centre is asked to tell what became of each message; the log has it. Default true.
#receipts = true
# Numbers of our keys, 0 to 255: devices are told the first, requests are taken by all. For a new key put a new number
# in front, and take the old one out when the devices have changed. Default [1].
#keys = [1]
# Seconds that a request's time may be from ours, 60 to 86400. So long is each remembered, so that none is served twice.
# Default 900.
#clock_window_secs = 900
# Requests that one subscriber may send at once, and seconds after which one more is given back; beyond it there is no
# answer. 1 to 100 and 1 to 86400. Defaults 5 and 300. Each costs you some six messages.
#subscriber_burst = 5
#subscriber_refill_secs = 300
# "as-asked" (default): who asks by SMS is answered by SMS, who asks by HTTPS by HTTPS. "sms-only": credentials go by
# SMS, to the number in `portal-aaa subscriber`, whichever way they were asked for; a device that is not set up for it
# gets none.
#delivery = "as-asked"


# What is issued.
[credential]
# "device": good until revoked (default). "one-time": for one login; the device fetches a new one each time.
# A number: seconds from issue; above 16777215 (194 days) rounded up to full hours. Sessions end with the credential.
lifetime = "device"
# "permanent": good only for the WLAN card that asked, by its own MAC address, so it cannot be shared (default).
# "issued": the same, by a random address that the portal makes for each credential and the device then uses on the air:
# nobody in range learns the card's own.
# "unbound": good for any card; needed where devices use random addresses.
mac = "permanent"
# What devices are told to log on with, the EAP method and the one inside its tunnel: "peap" with "mschapv2" (default)
# or "gtc"; "ttls" with "pap" or "mschapv2". The AAA answers all of them whatever stands here, and `outer` first:
# another outer method takes a round more.
outer = "peap"
inner = "mschapv2"
# Days that a credential stays on record after its end, so that it can be looked up; then it is forgotten, some hundred
# a second. What accounting says of it stays (see [accounting]). Revoked ones without end stay too. Default 28; 0 for
# ever.
keep_expired_days = 28


# Where issued credentials are good. Accounts made by `portal-aaa user add` have restrictions of their own.
[access]
# Network names (exactly, as in Called-Station-Id), such as ["operator-wifi"]; at others the login is refused with
# wrong-ssid, also where the access point does not tell the name. Default [] (any).
ssids = []
# Names given by `portal-aaa nas add`; at others the login is refused with wrong-nas. Default [] (any).
nas = []

# What access points are told about each session, and how many a subscriber may have. A table [session.nas.NAME] with
# some of these keys (but the last two) holds at the access point NAME instead.
[session]
# Seconds until the station must log on again (Session-Timeout), 60 to 31536000; a credential that ends earlier makes
# it shorter. Default 0 (not sent).
timeout_secs = 0
# Seconds of silence after which the access point ends the session (Idle-Timeout), 30 to 86400. Default 0 (not sent).
idle_timeout_secs = 0
# Seconds between two reports of usage (Acct-Interim-Interval), 60 to 86400; 0 is not sent. Default 600. A session that
# misses three of them counts no more. Shorter: more accounting to write.
interim_secs = 600
# VLAN that stations are put into, 1 to 4094. Default 0 (the access point's own).
vlan = 0
# Name of a filter that the access points have (Filter-Id). Default "" (none).
filter_id = ""
# Most bandwidth, kbit/s, from the station and to it (WISPr-Bandwidth-Max-Up and -Down). Default 0 (not sent).
max_up_kbits = 0
max_down_kbits = 0
# Time of day (UTC) at which sessions end, such as "04:00" (WISPr-Session-Terminate-Time). Default "" (none).
terminate_at = ""
# Sessions that one subscriber may have at once; one more login is refused with too-many-sessions. The same WLAN card
# again is no second session. Default 0 (any number).
max_sessions = 0
# Seconds after which a session counts no more when nothing is heard of it and no interim report is due.
# Default 0 (timeout_secs, or a day where that is not set).
assume_gone_secs = 0

# Usage as reported by access points and packet gateways; `portal-aaa accounting` shows it.
[accounting]
# Days that ended sessions and their reports are kept. Default 0 (for ever).
keep_days = 0

# What devices are told about the WLAN. All keys of this table are needed. Devices take it over with their next
# credential.
# `portal-aaa policy` overrides any of it, and of [credential], for all devices, for a group or for one device.
[policy]
# Count it up with each change, and never down: devices do not go back to an older policy. Changes by `portal-aaa policy`
# are counted on top of it.
version = 1
# Names of the networks to use (1 to 32 octets) and how much each is preferred (higher is better). With
# `operator-owned = true` their access points count as yours for `ap-filter`. With `wispr` a network is open and has a
# WISPr 1.0 gateway (at most 4 of them): the password goes only to login pages whose certificate is for one of
# `login-names` ("*." stands for one label), and where `location` is set only if the gateway's LocationName begins with it.
# {{ ssid = "Cafe", priority = 5, wispr = {{ login-names = ["login.partner.example"], location = "PARTNER,", stay-logged-on = false }} }}
networks = [{{ ssid = "operator-wifi", priority = 10 }}]
# Signal, dBm: join at or above the one, leave under the other. Closer together means more moves.
enter-dbm = -65
leave-dbm = -75
# Seconds that the signal must hold before a move. Longer: fewer moves of those who pass by.
dwell-secs = 5
# Seconds without a new attempt after a failed or lost one; doubles with each further one.
penalty-secs = 30
# An http:// URL that answers 204 where the Internet is reachable; a WLAN on which it does not is not used.
probe-url = "http://probe.{realm}/generate_204"
# Cellular after the move: "down" (bearer disconnected once drained; saves battery), "standby" (kept, unused) or "backup"
# (kept, and MPTCP connections use it when Wi-Fi does not deliver; agents of version 0.1.0 refuse it).
cellular-after-move = "down"
# Seconds that connections on the old link get to end.
drain-secs = 30
# Whether a device that came back to cellular fetches a new credential before it uses Wi-Fi again.
renew-after-return = false
# Seconds after which devices fetch a new credential unasked; 0 for never.
renew-every-secs = 0
# Which comes first at a move: "make-before-break" (Wi-Fi is proved before cellular is let go; nothing is lost) or
# "break-before-make" (cellular is disconnected, then the device authenticates; traffic stands still meanwhile).
sequence = "make-before-break"
# Whether a device fetches a new credential just before each move to Wi-Fi. Each move then takes a request longer.
renew-before-move = false
# With one-time credentials: how many a device holds beside the one in use, 0 to 8, so that it can log on again where
# there is no cellular.
one-time-reserve = 0
# A credential whose renewal is due may still be used, until it expires, once the device could not reach the portal for
# so many seconds; 0 for never.
offline-grace-secs = 0
# Which access points: "policy-ssid" (the networks above, and those of `passpoints` that are home), "operator-owned" (of
# these only yours: networks marked so, and Passpoint ones that tell a domain of yours) or "any" (also roaming partners'
# that advertise one of `passpoints`).
ap-filter = "policy-ssid"
# Networks known by what they advertise (IEEE 802.11u, Passpoint), up to 8, such as
# passpoints = [{{ priority = 5, roaming-consortiums = ["506f9a"], domains = ["wifi.{realm}"] }}]
passpoints = []
# When a device moves to Wi-Fi: "automatic" (a network is good enough), "on-request" (somebody at the device asks) or
# "never".
offload = "automatic"
# "dbm": enter-dbm and leave-dbm count. "off": any signal over which login and probe succeed.
threshold = "dbm"
# Which credential a device uses when it holds several: "newest" (the old one is kept until the new one has worked) or
# "oldest" (until its end).
use-credential = "newest"
# Whether a device fetches a new credential each time it has attached to cellular, though it holds a good one.
renew-on-attach = false
# Whether a device may talk to the portal by SMS: "never", "fallback" (where there is no data) or "always".
sms = "never"
"#
    )
}
