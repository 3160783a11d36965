//! The one object: what `dbus/net.wifioffload.Agent1.xml` says, word by word.

use std::{borrow::Cow, collections::HashMap};

use tokio::sync::watch;
use zbus::{Connection, Variant, fdo, message::Header, names::InterfaceName, object_server::SignalEmitter};

use super::{
    NAME, Orders, View,
    authority::{Gate, Right},
};
use crate::machine::UserWord;

pub(super) struct Agent {
    pub(super) view: watch::Receiver<View>,
    orders: Orders,
    gate: Gate,
}

impl Agent {
    pub(super) fn new(view: watch::Receiver<View>, orders: Orders) -> Self {
        Self { view, orders, gate: Gate::new() }
    }

    async fn say(
        &self,
        bus: &Connection,
        header: &Header<'_>,
        right: Right,
        word: UserWord,
    ) -> fdo::Result<()> {
        self.gate.pass(bus, header, right).await?;
        self.orders.say(word).await
    }
}

#[zbus::interface(name = "net.wifioffload.Agent1")]
impl Agent {
    /// The machine's picture, JSON.
    #[zbus(out_args("status"))]
    fn get_status(&self) -> String {
        self.view.borrow().status_json()
    }

    /// The policy that is obeyed, JSON; `null` where there is none.
    #[zbus(out_args("policy"))]
    fn get_policy(&self) -> String {
        self.view.borrow().policy_json()
    }

    /// The last moves with reasons, oldest first, JSON.
    #[zbus(out_args("entries"))]
    fn get_log(&self, most: u32) -> String {
        self.view.borrow().log_json(most)
    }

    /// A new credential, please.
    async fn renew(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        self.say(bus, &header, Right::Renew, UserWord::Renew).await
    }

    /// Look for Wi-Fi now.
    async fn join(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        self.say(bus, &header, Right::Join, UserWord::Join).await
    }

    /// Back to cellular, and stay there.
    async fn leave(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        self.say(bus, &header, Right::Leave, UserWord::Leave).await
    }

    /// Where the portal is, and whose certificates it has.
    async fn setup(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
        url: String,
        ca_pem: String,
    ) -> fdo::Result<()> {
        self.gate.pass(bus, &header, Right::Setup).await?;
        self.orders.set_up(&url, &ca_pem).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.view.borrow().state()
    }

    #[zbus(property)]
    fn carrier(&self) -> &'static str {
        self.view.borrow().carrier()
    }

    #[zbus(property)]
    fn ssid(&self) -> String {
        self.view.borrow().ssid()
    }

    #[zbus(property)]
    fn status(&self) -> String {
        self.view.borrow().status_json()
    }

    #[zbus(property)]
    fn policy(&self) -> String {
        self.view.borrow().policy_json()
    }

    #[zbus(property)]
    fn logged(&self) -> u64 {
        self.view.borrow().logged
    }
}

/// One PropertiesChanged with all that differs; none where nothing does.
pub(super) async fn tell_changes(emitter: &SignalEmitter<'_>, old: &View, new: &View) -> zbus::Result<()> {
    let mut changed: HashMap<&str, Variant<'_>> = HashMap::new();
    if old.status != new.status {
        changed.insert("Status", new.status_json().into());
        let words = [
            ("State", old.state(), new.state()),
            ("Carrier", old.carrier().to_owned(), new.carrier().to_owned()),
            ("Ssid", old.ssid(), new.ssid()),
        ];
        let differing = words.into_iter().filter(|(_, old, new)| old != new);
        changed.extend(differing.map(|(name, _, new)| (name, new.into())));
    }
    if old.policy != new.policy {
        changed.insert("Policy", new.policy_json().into());
    }
    if old.logged != new.logged {
        changed.insert("Logged", new.logged.into());
    }
    if changed.is_empty() {
        return Ok(());
    }
    let interface = InterfaceName::from_static_str_unchecked(NAME);
    fdo::Properties::properties_changed(emitter, interface, changed, Cow::Borrowed(&[])).await
}
