//! EAP inside a tunnel, after the identity: a proposal, perhaps a Nak, a method. PEAP and TTLS carry it.

use std::sync::Arc;

use super::{Config, account::Account, gtc, method::Progress, mschapv2::Mschapv2};
use crate::{
    LoginMethod, Random, Reason,
    packet::{Identifier, Type, nak},
};

/// One login by an EAP method inside.
pub(super) struct InnerEap {
    config: Arc<Config>,
    outer: Type,
    identity: String,
    account: Account,
    method: Method,
    /// The first request of the method is out: the peer may still refuse it.
    proposed: bool,
    /// The peer was offered this one before.
    refused: Option<Type>,
}

enum Method {
    Mschapv2(Mschapv2),
    Gtc,
}

/// Methods in the order in which they are proposed: the one that proves both sides first.
const METHODS: [Type; 2] = [Type::MSCHAPV2, Type::GTC];

impl InnerEap {
    /// Proposes the first method that the account allows. Who is unknown, or may do nothing here, gets the first one
    /// and fails at its end, so that nobody learns who exists.
    pub(super) fn new(config: Arc<Config>, outer: Type, identity: String, account: Account) -> Self {
        let allowed =
            METHODS.into_iter().find(|kind| login(outer, *kind).is_some_and(|login| account.allows(login)));
        let method = Method::of(allowed.unwrap_or(Type::MSCHAPV2));
        Self { config, outer, identity, account, method, proposed: true, refused: None }
    }

    /// Type of the next request.
    pub(super) fn kind(&self) -> Type {
        match self.method {
            Method::Mschapv2(_) => Type::MSCHAPV2,
            Method::Gtc => Type::GTC,
        }
    }

    /// Appends what follows the type in the next request.
    pub(super) fn request(&mut self, identifier: Identifier, random: &mut Random<'_>, data: &mut Vec<u8>) {
        match &mut self.method {
            Method::Mschapv2(method) => method.request(identifier, &self.config.name, random, data),
            Method::Gtc => data.extend_from_slice(gtc::PROMPT),
        }
    }

    /// Takes a response.
    pub(super) fn process(&mut self, kind: Type, data: &[u8]) -> Progress {
        if let Some(wanted) = nak(kind, data) {
            return self.nak(&wanted).map(|()| Progress::Continue).into();
        }
        let Some(login) = login(self.outer, self.kind()).filter(|_| kind == self.kind()) else {
            return Progress::Done(Err(Reason::ProtocolError));
        };
        self.proposed = false;
        let password = self.account.password(login);
        match &mut self.method {
            Method::Mschapv2(method) => method.process(data, &self.identity, password),
            Method::Gtc => Progress::Done(gtc::verify(data, password)),
        }
    }

    /// What is being logged in with.
    pub(super) fn login(&self) -> Option<LoginMethod> {
        login(self.outer, self.kind())
    }

    /// Key of the method; GTC derives none.
    pub(super) fn key(&self) -> &[u8] {
        match &self.method {
            Method::Mschapv2(method) => method.key(),
            Method::Gtc => &[],
        }
    }

    /// RFC 3748 §5.3.1: the peer refuses the proposal and names what it would take.
    fn nak(&mut self, wanted: &[Type]) -> Result<(), Reason> {
        if !self.proposed {
            return Err(Reason::ProtocolError);
        }
        let offered = self.kind();
        let mut reason = Reason::NoCommonMethod;
        for kind in wanted.iter().copied().filter(|kind| *kind != offered && Some(*kind) != self.refused) {
            match login(self.outer, kind) {
                Some(login) if self.account.allows(login) => {
                    self.refused = Some(offered);
                    self.method = Method::of(kind);
                    return Ok(());
                }
                Some(_) => reason = Reason::MethodNotAllowed,
                None => {}
            }
        }
        Err(reason)
    }
}

impl Method {
    fn of(kind: Type) -> Self {
        if kind == Type::GTC { Self::Gtc } else { Self::Mschapv2(Mschapv2::new()) }
    }
}

fn login(outer: Type, inner: Type) -> Option<LoginMethod> {
    LoginMethod::ALL.into_iter().find(|login| login.outer() == outer && login.inner() == Some(inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Methods, server::Known, tests::server_config};

    fn inner(outer: Type, methods: &[LoginMethod]) -> InnerEap {
        let known = Known { password: b"secret", methods: methods.iter().copied().collect() };
        let account = Account::new(Some(known));
        InnerEap::new(Arc::new(server_config()), outer, "me".to_owned(), account)
    }

    fn refused(reason: Reason) -> Progress {
        Progress::Done(Err(reason))
    }

    #[test]
    fn the_first_proposal_is_one_that_the_account_allows() {
        assert_eq!(inner(Type::PEAP, &LoginMethod::ALL).kind(), Type::MSCHAPV2);
        assert_eq!(inner(Type::PEAP, &[LoginMethod::PeapGtc]).kind(), Type::GTC);
        assert_eq!(inner(Type::TTLS, &[LoginMethod::TtlsEapGtc]).kind(), Type::GTC);
        assert_eq!(inner(Type::TTLS, &[LoginMethod::PeapGtc]).kind(), Type::MSCHAPV2);
        assert_eq!(inner(Type::PEAP, &[]).kind(), Type::MSCHAPV2);
    }

    #[test]
    fn a_nak_leads_to_what_is_allowed_and_not_in_circles() {
        let mut all = inner(Type::PEAP, &LoginMethod::ALL);
        assert_eq!(all.process(Type::NAK, &[13, 6]), Progress::Continue);
        assert_eq!((all.kind(), all.login()), (Type::GTC, Some(LoginMethod::PeapGtc)));
        assert_eq!(all.process(Type::NAK, &[26]), refused(Reason::NoCommonMethod));
        for nak in [&[13][..], &[0], &[], &[26]] {
            let step = inner(Type::PEAP, &LoginMethod::ALL).process(Type::NAK, nak);
            assert_eq!(step, refused(Reason::NoCommonMethod));
        }
        let mut one = inner(Type::PEAP, &[LoginMethod::PeapMschapv2, LoginMethod::TtlsEapGtc]);
        assert_eq!(one.process(Type::NAK, &[6]), refused(Reason::MethodNotAllowed));
        let expanded = [0, 0, 0, 0, 0, 0, 3, 254, 0, 0, 0, 0, 0, 0, 6];
        assert_eq!(
            inner(Type::TTLS, &LoginMethod::ALL).process(Type::EXPANDED, &expanded),
            Progress::Continue
        );
        let mut begun = inner(Type::PEAP, &LoginMethod::ALL);
        assert_eq!(begun.process(Type::MSCHAPV2, &[7]), refused(Reason::PeerRefused));
        assert_eq!(begun.process(Type::NAK, &[6]), refused(Reason::ProtocolError));
    }

    #[test]
    fn a_method_that_is_not_allowed_fails_at_its_end() {
        let mut none = inner(Type::TTLS, &[LoginMethod::PeapGtc]);
        assert_eq!(none.process(Type::NAK, &[6]), refused(Reason::MethodNotAllowed));
        let account = Account::new(Some(Known { password: b"secret", methods: Methods::NONE }));
        let mut none = InnerEap::new(Arc::new(server_config()), Type::PEAP, "me".to_owned(), account);
        let response = [&[2, 9, 0, 56, 49][..], &[0; 49], b"me"].concat();
        assert_eq!(none.process(Type::MSCHAPV2, &response), Progress::Continue);
        let mut words = Vec::new();
        none.request(Identifier(1), &mut |_: &mut [u8]| {}, &mut words);
        assert_eq!(words[0], 4, "a failure as for a wrong password");
        // Acknowledged, tried again, or a new password: the end is the same.
        assert_eq!(none.process(Type::MSCHAPV2, &[4]), refused(Reason::MethodNotAllowed));
        for answer in [&response[..], &[7], &[7, 9, 2], &[3], b"?", &[]] {
            let mut wrong = inner(Type::PEAP, &LoginMethod::ALL);
            assert_eq!(wrong.process(Type::MSCHAPV2, &response), Progress::Continue);
            assert_eq!(wrong.process(Type::MSCHAPV2, answer), refused(Reason::WrongPassword));
        }
    }
}
